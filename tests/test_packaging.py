"""What a stranger gets: a wheel and an sdist that hold everything, and work outside of a checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_wheel_holds_the_package_with_its_texts_schema_and_checkpoint(built: Path) -> None:
    [wheel] = built.glob("agentloop_toolkit-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"py.typed", "schema.json", "texts/retry.md", "tiny/checkpoint/model.safetensors", "cli.py"}
    assert {f"agentloop/{name}" for name in wanted} <= names
    assert not any(name.startswith(("memories/", "critics/", "environments/", "tests/")) for name in names)
    assert wheel.stat().st_size < 15_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_sdist_has_no_links_and_can_be_installed(built: Path, tmp_path: Path) -> None:
    [sdist] = built.glob("agentloop_toolkit-*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        assert not [member.name for member in members if member.issym() or member.islnk()]
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    assert (unpacked / "tests" / "test_house.py").is_file()
    probe = "import agentloop, sys; print(agentloop.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=unpacked, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().startswith(str(unpacked))
    command = [sys.executable, "-m", "pytest", "tests/test_house.py", "tests/test_types.py", "-q"]
    done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
