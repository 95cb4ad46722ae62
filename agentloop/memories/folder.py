"""The folder of a correction memory: who may write there, and the events of all its logs.

A memory by itself has the folder for itself. Writers that share a Chroma server share the folder,
and each has a log of its own: ``corrections.jsonl``, ``corrections-2.jsonl`` and so on.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MemoryLocked
from agentloop.memories.log import Log, lock


class MemoryFolder:
    """An open folder. ``log`` is what this process writes, None for a reader."""

    def __init__(self, path: Path, *, shared: bool, read_only: bool) -> None:
        self.path = path
        self.log: Log | None = None
        self._others: dict[Path, Log] = {}
        self._unlock: Callable[[], object] = lambda: None
        if read_only:
            if not path.is_dir():
                raise BadInput(f"no memory in {path}: there is no such folder; a writer makes it")
            return
        path.mkdir(parents=True, exist_ok=True)
        self._unlock = weakref.finalize(self, os.close, locked(path, shared=shared))
        self.log = self._own_log(shared=shared)

    def new_events(self) -> list[dict[str, Any]]:
        """Events not seen yet, of every log: what was recorded first, then the rest by time."""
        events = self.log.new_events() if self.log is not None else []
        for path in sorted(self.path.glob("corrections*.jsonl")):
            if self.log is not None and path == self.log.path:
                continue
            if path not in self._others:
                self._others[path] = Log(path, read_only=True)
            events += self._others[path].new_events()
        events = [part for event in events for part in _parts(event)]
        late = {"embedder": 0, "recorded": 0}
        return sorted(events, key=lambda event: (late.get(event["event"], 1), event.get("at", "")))

    def append(self, event: dict[str, Any]) -> None:
        """Write an event with its time; BadInput for a reader."""
        self._append({**event, "at": now()})

    def append_together(self, events: Sequence[dict[str, Any]]) -> None:
        """Write several events as one line: after a kill there are all of them or none.

        An event that has a time keeps it; ``new_events`` gives them back one by one.
        """
        dated = [{"at": now(), **event} for event in events]
        self._append(dated[0] if len(dated) == 1 else {"event": "together", "events": dated, "at": now()})

    def sync(self) -> None:
        """Wait until the disk has what was appended."""
        if self.log is not None:
            self.log.sync()

    def close(self) -> None:
        """Give files and locks back. A second time does nothing."""
        for log in [*self._others.values(), *([self.log] if self.log else [])]:
            log.close()
        self._unlock()

    def _append(self, event: dict[str, Any]) -> None:
        if self.log is None:
            raise BadInput(
                f"the memory in {self.path} was opened read_only; open it for writing to change it"
            )
        self.log.append(event)

    def _own_log(self, *, shared: bool) -> Log:
        """The first log that no other process has open; a sole writer has the first."""
        number = 1
        while True:
            name = "corrections.jsonl" if number == 1 else f"corrections-{number}.jsonl"
            try:
                return Log(self.path / name)
            except MemoryLocked:
                if not shared:
                    self.close()
                    raise
            number += 1


def _parts(event: dict[str, Any]) -> list[dict[str, Any]]:
    """What one line holds: an event, or several that were written together."""
    return list(event["events"]) if event["event"] == "together" else [event]


def now() -> str:
    """The time in UTC to the microsecond, as the logs write it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def locked(path: Path, *, shared: bool) -> int:
    """The folder's lock file, open and locked, with the number of a sole writer's process in it."""
    file = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    if not lock(file, shared=shared):
        holder = os.pread(file, 64, 0).decode(errors="replace").strip()
        os.close(file)
        raise MemoryLocked(_refusal(path, holder))
    os.ftruncate(file, 0)
    if not shared:
        os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def _refusal(path: Path, holder: str) -> str:
    if holder == str(os.getpid()):
        who = "this process"
    else:
        who = f"process {holder}" if holder else "a writer with url="
    remedy = (
        f"Close it there (memory.close()), or open this one with read_only=True. For several writers run "
        f"`chroma run --path {path / 'server'}` and give url='http://localhost:8000' to each of them"
    )
    return f"{who} has the memory in {path} open for writing. {remedy}."
