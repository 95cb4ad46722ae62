"""Control groups: made where the kernel allows it, bounded, and removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentloop.environments.code import cgroups
from agentloop.environments.code.verdict import MIB, Limits

FOUND = cgroups.parents(Limits())
needs_groups = pytest.mark.skipif(FOUND is None, reason="SKIPPED: no control group can be made here")


@needs_groups
def test_a_group_is_gone_when_it_is_removed() -> None:
    assert FOUND is not None
    group = cgroups.ControlGroup(*FOUND, Limits())
    assert all(folder.is_dir() for folder in group.folders)
    group.remove()
    assert not any(folder.exists() for folder in group.folders)


@needs_groups
def test_a_process_that_takes_too_much_memory_is_killed_and_counted() -> None:
    assert FOUND is not None
    group = cgroups.ControlGroup(*FOUND, Limits(resident_bytes=64 * MIB))
    code = "import sys; sys.stdin.readline(); bytearray(256 * 1024 * 1024)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
        group.add(process.pid)
        process.communicate("go\n", timeout=60)
    assert process.returncode == -9
    assert group.killed_for_memory() == 1
    group.remove()


@needs_groups
def test_groups_of_processes_that_died_are_swept_up(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale, own = (tmp_path / f"{cgroups.PREFIX}{process}-1" for process in (dead.pid, os.getpid()))
    stale.mkdir()
    own.mkdir()
    cgroups.sweep(tmp_path, tmp_path)
    assert not stale.exists()
    assert own.exists()


def test_a_folder_that_bounds_nothing_is_no_group(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"has no memory.max"):
        cgroups.ControlGroup(tmp_path, tmp_path, Limits())
    assert list(tmp_path.iterdir()) == []


@needs_groups
def test_what_still_runs_in_a_group_is_killed_when_it_is_removed() -> None:
    assert FOUND is not None
    group = cgroups.ControlGroup(*FOUND, Limits())
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        group.add(process.pid)
        group.remove()
        assert process.wait(timeout=10) == -9
    assert not any(folder.exists() for folder in group.folders)
