"""A control group for each worker, of version 1 or 2, where the kernel lets this process make one."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import time
from pathlib import Path

from agentloop.environments.code.verdict import Limits

logger = logging.getLogger(__name__)
PREFIX = "agentloop-code-"
REMOVE_SECONDS = 2.0
_numbers = itertools.count(1)


class ControlGroup:
    """The folders that bound the memory and the number of processes of one worker."""

    def __init__(self, memory: Path, processes: Path, limits: Limits) -> None:
        name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self.folders = tuple(dict.fromkeys((memory / name, processes / name)))
        self._events = -1
        try:
            for folder in self.folders:
                folder.mkdir()
            _bound(self.folders[0], ("memory.max", "memory.limit_in_bytes"), limits.resident_bytes)
            _bound(self.folders[-1], ("pids.max",), limits.processes)
            with contextlib.suppress(OSError):  # not everywhere is swap counted
                _bound(self.folders[0], ("memory.swap.max",), 0)
            self._events = _events(self.folders[0])
        except OSError:
            self.remove()
            raise

    def add(self, process: int) -> None:
        """Put a process, and what it forks from now on, into the group."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(process))

    def killed_for_memory(self) -> int:
        """How many processes of the group the kernel has killed because memory ran out."""
        if self._events < 0:
            return 0
        _, _, told = (b"\n" + os.pread(self._events, 4096, 0)).partition(b"\noom_kill ")
        return int(told.partition(b"\n")[0] or 0)

    def remove(self) -> None:
        """Remove the group. What still runs in it is killed; it is given a moment to be gone."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        end = time.monotonic() + REMOVE_SECONDS
        left = [folder for folder in self.folders if folder.exists()]
        while left:
            for folder in left:
                _kill_all(folder)
                with contextlib.suppress(OSError):
                    folder.rmdir()
            left = [folder for folder in left if folder.exists()]
            if left and time.monotonic() > end:
                logger.warning("a control group could not be removed: %s", left[0])
                return
            time.sleep(0.002 if left else 0)


def _events(folder: Path) -> int:
    """The file that counts what became of a group, open, since it is read after each job; -1 without one."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(FileNotFoundError):
            return os.open(folder / name, os.O_RDONLY)
    return -1


def _kill_all(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for process in (folder / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGKILL)


def _bound(folder: Path, names: tuple[str, ...], value: int) -> None:
    for name in names:
        if (folder / name).exists():
            (folder / name).write_text(str(value))
            return
    raise OSError(f"{folder} has no {names[0]}")


def parents(limits: Limits) -> tuple[Path, Path] | None:
    """Where groups for memory and for processes can be made, found by making one; None where nowhere."""
    for memory, processes in _candidates():
        try:
            ControlGroup(memory, processes, limits).remove()
        except OSError:
            continue
        return memory, processes
    return None


def sweep(memory: Path, processes: Path) -> None:
    """Remove the groups of processes that died without doing so."""
    for folder in [*memory.glob(f"{PREFIX}*"), *processes.glob(f"{PREFIX}*")]:
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _candidates() -> list[tuple[Path, Path]]:
    """Folders to try: this process's own groups first, then the one above, then the top."""
    own = _own_groups()
    found = []
    if "memory" in own and "pids" in own:
        mounted = _mounts("cgroup")
        for memory in _upwards(mounted.get("memory"), own["memory"]):
            for processes in _upwards(mounted.get("pids"), own["pids"]):
                found.append((memory, processes))
    unified = _mounts("cgroup2").get("")
    return [*found, *((folder, folder) for folder in _upwards(unified, own.get("", "/")))]


def _own_groups() -> dict[str, str]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    own = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    return own


def _mounts(kind: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, this, options, *_ = line.split(" ")
        if this == kind:
            names = options.split(",") if kind == "cgroup" else [""]
            found |= {name: Path(folder) for name in names if name not in found}
    return found


def _upwards(mounted: Path | None, path: str) -> list[Path]:
    if mounted is None:
        return []
    own = mounted / path.strip("/")
    return list(
        dict.fromkeys(folder for folder in (own, own.parent, mounted) if folder.is_relative_to(mounted))
    )
