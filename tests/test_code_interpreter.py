"""The Python that runs programs, and the folders that they may read."""

import sys
from pathlib import Path

import pytest

from agentloop.environments.code.interpreter import interpreter, is_below, visible
from agentloop.errors import BadInput


def test_this_python_is_the_default() -> None:
    assert interpreter().path == sys.executable
    assert sys.base_prefix in interpreter().prefixes


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(BadInput, match="'/bin/true' is no Python that runs here"):
        interpreter("/bin/true")


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="is no Python"):
        interpreter("/nowhere/python")


def test_a_program_may_read_the_system_and_the_interpreter_alone() -> None:
    seen = visible(interpreter())
    assert any(is_below(sys.base_prefix, folder) for folder in seen)
    for closed in ("/etc", "/proc", "/home", "/", "/var", "/root", "/tmp"):
        assert closed not in seen


def test_no_folder_lies_in_another() -> None:
    seen = [folder for folder in visible(interpreter(), packages=True) if not Path(folder).is_symlink()]
    assert not any(is_below(one, other) for one in seen for other in seen if one != other)


def test_packages_are_seen_only_when_they_are_allowed() -> None:
    packages = interpreter().packages[0]
    seen = visible(interpreter(), packages=True)
    assert any(is_below(str(Path(packages).resolve()), folder) for folder in seen)


def test_further_folders_can_be_shown(tmp_path: Path) -> None:
    assert str(tmp_path.resolve()) in visible(interpreter(), folders=[tmp_path])


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder at"):
        visible(interpreter(), folders=[tmp_path / "none"])


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [("/usr/bin", "/usr", True), ("/usr", "/usr", True), ("/usrlocal", "/usr", False), ("/a", "/", True)],
)
def test_a_path_is_below_a_folder_by_whole_names(path: str, folder: str, below: bool) -> None:
    assert is_below(path, folder) is below
