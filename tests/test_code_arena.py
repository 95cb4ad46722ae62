"""The arena of the hostile programs holds: what is planted on the machine survives what is done inside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.hostile_arena import ROOT, Refused, refusing_the_machine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="arenas need Linux")
PRELUDE = ROOT / "tests" / "hostile" / "prelude.py"
ENTER = """
import ctypes, os, shutil, sys
from tests.hostile_arena import enter, kernel

CANARY = sys.argv[1]

def tried(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return
    print("DONE", what, arguments)

def attack(known):
    shutil.rmtree(CANARY, ignore_errors=True)
    tried(lambda: open(CANARY + "/kept.txt", "w"))
    tried(lambda: open(CANARY + "/new.txt", "w"))
    tried(os.rename, CANARY, CANARY + "-moved")
    tried(lambda: kernel.mount("none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND))
    tried(lambda: kernel.mount("/dev/vda", "/tmp", kind="ext4"))
    tried(os.mknod, "/tmp/disk", 0o60600, os.makedev(254, 0))
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    tried(lambda: kernel.mount("none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND))
    shutil.rmtree(CANARY, ignore_errors=True)

def judge(known):
    print("entered")
    sys.stdout.flush()
    if os.geteuid() == 0 and os.fork() == 0:
        os.setresuid(65534, 65534, 65534)
        shutil.rmtree(CANARY, ignore_errors=True)
        os._exit(0)
    attack(known)

enter(judge, writable=sys.argv[2:], refused=lambda why: print("REFUSED", why, flush=True))
"""


@pytest.fixture
def canary() -> Iterator[Path]:
    """A folder in the repository, of the kind that git does not see, open to everybody."""
    (ROOT / ".pytest_cache").mkdir(exist_ok=True)
    found = Path(mkdtemp(prefix="canary-", dir=ROOT / ".pytest_cache"))
    found.chmod(0o777)
    (found / "kept.txt").write_text("untouched\n")
    (found / "kept.txt").chmod(0o666)
    yield found
    rmtree(found)


def run(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)


def in_an_arena(canary: Path, *writable: str, cwd: Path = ROOT) -> str:
    done = run(ENTER, str(canary), *writable, cwd=cwd)
    if not writable and "REFUSED" in done.stdout:
        pytest.skip(f"SKIPPED: no arena here, so no hostile program either: {done.stdout}")
    return done.stdout + done.stderr


def test_what_is_deleted_in_the_arena_by_root_or_anybody_is_still_there_on_the_machine(canary: Path) -> None:
    said = in_an_arena(canary)
    assert said == "entered\n"
    assert [path.name for path in canary.iterdir()] == ["kept.txt"]
    assert (canary / "kept.txt").read_text() == "untouched\n"


def test_the_folder_that_the_caller_stands_in_survives_too(canary: Path) -> None:
    assert in_an_arena(canary, cwd=canary) == "entered\n"
    assert (canary / "kept.txt").read_text() == "untouched\n"


def test_an_arena_with_a_hole_is_refused_before_anything_runs(canary: Path) -> None:
    in_an_arena(canary)
    said = in_an_arena(canary, str(canary))
    assert "REFUSED" in said
    assert "entered" not in said
    assert (canary / "kept.txt").exists()


def test_the_machine_itself_is_refused() -> None:
    nothing: dict[str, Any] = {"kept": {}, "writable": []}
    real = {kind: namespace(kind) for kind in ("mnt", "pid", "user")}
    for machine in (real, {}):
        with pytest.raises(Refused):
            refusing_the_machine({**nothing, "machine": machine})


def test_the_host_of_a_back_end_refuses_to_run_outside_an_arena(tmp_path: Path) -> None:
    make = {
        "make": "no_such_module:nothing",
        "keywords": {},
        "known": {"machine": {}, "kept": {}, "writable": []},
    }
    command = [sys.executable, "-m", "tests.hostile_runner", "nobody", json.dumps(make)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode != 0
    assert "Refused" in done.stderr


def namespace(kind: str) -> str:
    """The machine's number of it."""
    return str(Path(f"/proc/self/ns/{kind}").readlink())


def guarded(folder: Path, **host: Any) -> subprocess.CompletedProcess[str]:
    """What stands before every hostile program, alone, on this machine."""
    told = {"machine": {}, "kept": {}, "mark": "planted-here", "judge": 1, **host}
    return run(f"HOST = {told!r}\n{PRELUDE.read_text()}\nprint('goes on')", cwd=folder)


def test_a_program_runs_in_a_folder_that_is_empty_or_carries_the_mark(tmp_path: Path) -> None:
    assert guarded(tmp_path).stdout == "goes on\n"
    (tmp_path / "planted-here").touch()
    (tmp_path / "something.txt").touch()
    assert guarded(tmp_path).stdout == "goes on\n"


def test_a_program_does_not_run_in_a_folder_of_somebody(tmp_path: Path) -> None:
    (tmp_path / "something.txt").touch()
    done = guarded(tmp_path)
    assert (done.returncode, done.stdout) == (99, "")


def test_a_program_does_not_run_where_the_machine_can_be_written_to(tmp_path: Path) -> None:
    told = tmp_path.stat()
    done = guarded(tmp_path, kept={str(tmp_path): [told.st_dev, told.st_ino]})
    assert (done.returncode, done.stdout) == (99, "")


def test_a_program_does_not_run_in_the_namespaces_of_the_machine(tmp_path: Path) -> None:
    for kind in ("mnt", "pid"):
        done = guarded(tmp_path, machine={kind: namespace(kind)})
        assert (done.returncode, done.stdout) == (99, "")
