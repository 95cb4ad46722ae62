"""The README is true: its programs and commands run, in order, in an empty folder."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.conftest import why_no_browser

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def environment() -> dict[str, str]:
    """Commands are found beside this Python, nothing is reached over the network."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_program_and_command_of_the_readme_runs(tmp_path: Path) -> None:
    ran = 0
    for language, text in BLOCKS:
        if "WebEnvironment" in text and (missing := why_no_browser()):
            warnings.warn(f"a program of the README was not run: {missing}", stacklevel=1)
            continue
        if language == "python":
            program = tmp_path / f"program_{ran}.py"
            program.write_text(text, encoding="utf-8")
            commands = [[sys.executable, program.name]]
        elif language == "bash":
            lines = [line for line in text.splitlines() if line and not line.startswith("pip install")]
            commands = [["bash", "-c", line] for line in lines]
        else:
            continue
        for command in commands:
            done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{text}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran >= 10


def test_the_readme_opens_with_what_one_gains_then_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    opening = text.split("##")[0]
    assert opening.index("**Say it once.**") < opening.index("make demo") < opening.index("make test")


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
