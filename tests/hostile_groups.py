"""The control group around the host of a back end: what gets out still cannot take the machine."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

MEMORY_BYTES = 3 << 30
PROCESSES = 600
TOP = Path("/sys/fs/cgroup")


class OuterGroup:
    """A control group of version 1 or 2 with bounds on memory and processes.

    ``owner`` may make groups below it, and nowhere else.
    """

    def __init__(self, memory: Path, processes: Path, *, owner: int) -> None:
        name = f"hostile-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.memory, self.processes = memory / name, processes / name
        self.unified = memory == processes
        self.lowest = 0
        self._refusals: dict[str, int] = {}
        try:
            self._make()
            self._give(owner)
        except OSError:
            self.remove()
            raise

    @property
    def folders(self) -> list[Path]:
        """The group's own folders, one or two."""
        return list(dict.fromkeys((self.memory, self.processes)))

    def _make(self) -> None:
        for folder in self.folders:
            folder.mkdir()
        (self.processes / "pids.max").write_text(str(PROCESSES))
        if not self.unified:
            (self.memory / "memory.limit_in_bytes").write_text(str(MEMORY_BYTES))
            return
        (self.memory / "memory.max").write_text(str(MEMORY_BYTES))
        # Version 2 wants processes in leaves only, when groups beside them are to have bounds.
        (self.memory / "cgroup.subtree_control").write_text("+memory +pids")
        (self.memory / "host").mkdir()

    def _give(self, owner: int) -> None:
        for folder in self.folders:
            inner = [*(folder / "host").glob("cgroup.procs"), *folder.glob("cgroup.[pst]*")]
            for path in [folder, *inner, *folder.glob("memory.max_usage_in_bytes")]:
                os.chown(path, owner, owner)

    def add(self, process: int) -> None:
        """Put a process in."""
        for folder in self.folders:
            inner = folder / "host" if self.unified else folder
            (inner / "cgroup.procs").write_text(str(process))

    def reset(self) -> None:
        """Begin to count anew."""
        with contextlib.suppress(OSError):
            if not self.unified:
                (self.memory / "memory.max_usage_in_bytes").write_text("0")
        self.lowest = self._number("memory.current" if self.unified else "memory.usage_in_bytes")
        self._refusals = self._refused()

    def grown(self) -> int:
        """Bytes that memory has grown by at its highest since the reset."""
        return self._number("memory.peak" if self.unified else "memory.max_usage_in_bytes") - self.lowest

    def hit(self) -> list[str]:
        """The limits of this group that had to hold back somebody since the reset."""
        return [name for name, count in self._refused().items() if count > self._refusals.get(name, 0)]

    def inner(self) -> list[str]:
        """Groups made inside and not removed."""
        found = [path for folder in self.folders for path in folder.rglob("*") if path.is_dir()]
        return [str(path) for path in found if path != self.memory / "host"]

    def remove(self) -> None:
        """Remove the group and what is left in it."""
        for folder in self.folders:
            for inner in [*sorted(folder.rglob("*"), reverse=True), folder]:
                with contextlib.suppress(OSError):
                    inner.rmdir()

    def _number(self, name: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self.memory / name).read_text())
        return 0

    def _refused(self) -> dict[str, int]:
        found = {}
        memory = "memory.events" if self.unified else "memory.oom_control"
        for path, word in ((self.memory / memory, "oom_kill"), (self.processes / "pids.events", "max")):
            with contextlib.suppress(OSError):
                lines = dict(line.split(" ", 1) for line in path.read_text().splitlines())
                found[word] = int(lines.get(word, 0))
        return {"memory": found.get("oom_kill", 0), "processes": found.get("max", 0)}


def outer_group(*, owner: int) -> OuterGroup | None:
    """A group below our own, or none where we may not make one."""
    for memory, processes in _places():
        with contextlib.suppress(OSError):
            return OuterGroup(memory, processes, owner=owner)
    return None


def _places() -> Iterator[tuple[Path, Path]]:
    own: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own |= dict.fromkeys(controllers.split(","), path.strip("/"))
    yield TOP / "memory" / own.get("memory", ""), TOP / "pids" / own.get("pids", "")
    yield (TOP / own.get("", ""),) * 2
