"""An append-only file of JSON lines with one writer: the truth of a memory.

``append`` returns when the line is with the operating system, so a killed process loses nothing
that it acknowledged; ``sync`` returns when the disk has it, so a power cut does not either.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
import weakref
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MemoryLocked

logger = logging.getLogger(__name__)


class Log:
    """Events, one a line. A writer holds a lock on the file for its whole life; a reader none.

    A writer cuts off a torn last line (of a process that was killed while writing) and says so.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._syncing = threading.Lock()
        self._seen = 0
        self._line = 0
        self._synced = 0
        flags = os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._file: int | None = os.open(path, flags, 0o644)
        self._close = weakref.finalize(self, os.close, self._file)
        if not read_only:
            if not lock(self._file):
                self.close()
                raise MemoryLocked(
                    f"another writer has {path} open; close it there, or open this memory read-only"
                )
            self._cut_torn_tail()

    def new_events(self) -> list[dict[str, Any]]:
        """The events that were not seen yet by this object; a torn last line waits for its end."""
        file = self._open()
        with self._mutex:
            size = os.fstat(file).st_size
            if size <= self._seen:
                return []
            data = os.pread(file, size - self._seen, self._seen)
            data = data[: data.rfind(b"\n") + 1]
            events = []
            for number, line in enumerate(data.split(b"\n")[:-1], start=self._line + 1):
                events.append(self._event(line, number))
            self._seen += len(data)
            self._line += len(events)
            return events

    def append(self, event: dict[str, Any]) -> None:
        """Write one event; when this returns, it survives the end of the process."""
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
        data = line.encode("utf-8", "surrogatepass")
        with self._mutex:
            file = self._open()
            before = os.fstat(file).st_size
            try:
                _write_all(file, data)
            except OSError:
                # Half a line would swallow the next one.
                os.ftruncate(file, before)
                raise
            self._seen = before + len(data)
            self._line += 1

    def sync(self) -> None:
        """Wait until the disk has everything appended so far; callers that wait together share one wait."""
        wanted = self._seen
        with self._syncing:
            if self._synced >= wanted or self._file is None:
                return
            reached = self._seen
            os.fsync(self._file)
            self._synced = reached

    def close(self) -> None:
        """Give the file and its lock back, as also happens when nobody holds this object any more."""
        with self._mutex:
            self._close()
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            raise BadInput(f"the memory's file {self.path} was closed; open the memory again")
        return self._file

    def _event(self, line: bytes, number: int) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            event = json.loads(line.decode("utf-8", "surrogatepass"))
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                return event
        raise BadInput(
            f"{self.path}, line {number} is not an event of a memory: {line[:60]!r}; mend or delete that line"
        )

    def _cut_torn_tail(self) -> None:
        file = self._open()
        size = os.fstat(file).st_size
        whole = _end_of_last_line(file, size)
        if whole < size:
            logger.warning("%s: dropped a torn last line of %d bytes", self.path, size - whole)
            os.ftruncate(file, whole)


def lock(file: int, *, shared: bool = False) -> bool:
    """Lock an open file without waiting; False when another holds it."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _end_of_last_line(file: int, size: int) -> int:
    """Where the last whole line ends, searched from the end of the file."""
    end = size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
