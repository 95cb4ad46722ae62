"""The append-only log of a run: one line an effect, written before its result is used.

Lines of ``journal.jsonl`` (JSON objects):

- ``{"journal": 1, "run": ID}`` comes first;
- ``{"task": {...}}`` once for every task;
- ``{"place": P, "kind": K, "ask": DIGEST, "value": V}``, an effect, under its place
  ``trajectory/attempt/node/ordinal``; a model call's value is packed (packing.py);
- ``{"end": TRAJECTORY, "group": G, "task_id": T, "chosen": N, "stop_reason": R, ...}`` when a
  trajectory is finished.

A trajectory that ended for want of budget, or on an error, may go on later: its last ``end`` counts.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agentloop.errors import BadInput, JournalCorrupt, JournalLocked, SchemaVersionError
from agentloop.packing import Packer
from agentloop.redact import redact
from agentloop.types import SCHEMA_VERSION, Call, Message, Reply, Task, Usage

logger = logging.getLogger(__name__)

SYNC_SECONDS = 0.005
UNFINISHED = ("budget", "error")
"""Stop reasons after which a resumed run goes on with the trajectory."""


class Effect(NamedTuple):
    """One recorded effect: what was asked, of what kind it is, and what came of it."""

    kind: str
    ask: str
    value: Any


def place_of(trajectory: str, attempt: int, node: str, ordinal: int) -> str:
    """The name of the place where an effect happens."""
    return f"{trajectory}/{attempt}/{node}/{ordinal}"


def trajectory_of(place: str) -> str:
    """The trajectory in which a place lies."""
    return place.rsplit("/", 3)[0]


class Journal:
    """The one writer of a run's journal. Safe to use from several threads; closed by ``close()``.

    ``dropped`` says what was cut from the end when it was opened: at most the line being written
    when the last writer was killed.
    """

    def __init__(self, path: str | Path, *, run: str = "") -> None:
        self.path = Path(path)
        self.dropped = ""
        self.spent = Usage()
        self.finished: set[str] = set()
        self.tasks: dict[str, Task] = {}
        self._effects: dict[str, dict[str, Effect]] = {}
        self._packers: dict[str, Packer] = {}
        self._mutex = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._syncer = _Syncer(self._file)
        try:
            self._lock()
            self._cut_torn_tail()
            self.run = self._load(run)
        except BaseException:
            os.close(self._file)
            raise

    def get(self, place: str) -> Effect | None:
        """What is recorded at ``place`` of an unfinished trajectory."""
        return self._effects.get(trajectory_of(place), {}).get(place)

    def put(self, place: str, kind: str, ask: str, value: Any) -> Effect:
        """Write an effect down and return it. ``value`` is made of JSON values, or a Call."""
        trajectory = trajectory_of(place)
        with self._mutex:
            written = value
            if isinstance(value, Call):
                self.spent = self.spent + value.usage
                written = self._packers.setdefault(trajectory, Packer()).pack(redacted_call(value))
                value = value.replies
            line = _dump({"place": place, "kind": kind, "ask": ask, "value": written})
            effect = Effect(kind, ask, value)
            self._effects.setdefault(trajectory, {})[place] = effect
            self._write(line if kind == "call" else redact(line))
            return effect

    def begin(self, task: Task) -> None:
        """Write a task down, once; the same id with other content is refused."""
        with self._mutex:
            known = self.tasks.get(task.id)
            if known is None:
                self.tasks[task.id] = task
                self._write(_dump({"task": task.to_dict()}))
            elif known != task:
                raise BadInput(
                    f"task {task.id!r} differs from the task of that id in {self.path}; "
                    "give it another id, or start in another folder"
                )

    def end(self, trajectory: str, values: dict[str, Any]) -> None:
        """Write down that a trajectory is finished, and forget its effects here."""
        with self._mutex:
            self._write(_dump({"end": trajectory, **values}))
            self._finish(trajectory, values["stop_reason"])

    def close(self) -> None:
        """Sync and let the journal go. A second call does nothing."""
        if self._file >= 0:
            self._syncer.close()
            os.close(self._file)
            self._file = -1

    def _write(self, line: str) -> None:
        data = line.encode("utf-8", "surrogatepass") + b"\n"
        while data:
            data = data[os.write(self._file, data) :]
        self._syncer.dirty()

    def _finish(self, trajectory: str, reason: str) -> None:
        if reason not in UNFINISHED:
            self.finished.add(trajectory)
            self._effects.pop(trajectory, None)
            self._packers.pop(trajectory, None)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalLocked(
                f"another process writes {self.path}; wait until it ends, or choose another folder"
            ) from error

    def _cut_torn_tail(self) -> None:
        """Drop what follows the last whole line: the write that a kill cut short."""
        kept = whole_length(self.path)
        size = self.path.stat().st_size
        if kept < size:
            with self.path.open("rb") as file:
                file.seek(kept)
                cut = file.read()
            os.ftruncate(self._file, kept)
            start = cut[:80].decode("utf-8", "replace")
            self.dropped = f"{size - kept} bytes of an unfinished last line: {start!r}"
            logger.warning("%s: dropped %s", self.path, self.dropped)

    def _load(self, run: str) -> str:
        empty = True
        for entry in read(self.path):
            if "journal" in entry:
                run = entry["run"]
            elif "task" in entry:
                task = Task.from_dict(entry["task"])
                self.tasks[task.id] = task
            elif "end" in entry:
                self._finish(entry["end"], entry["stop_reason"])
            else:
                self._remember(entry)
            empty = False
        if empty:
            self._write(_dump({"journal": SCHEMA_VERSION, "run": run}))
        return run

    def _remember(self, entry: dict[str, Any]) -> None:
        trajectory, value = trajectory_of(entry["place"]), entry["value"]
        if entry["kind"] == "call":
            call = self._packers.setdefault(trajectory, Packer()).unpack(entry["place"], value)
            self.spent = self.spent + call.usage
            value = call.replies
        effect = Effect(entry["kind"], entry["ask"], value)
        self._effects.setdefault(trajectory, {})[entry["place"]] = effect


class _Syncer:
    """Syncs a file in groups, in a thread of its own, so that no writer waits for the disk."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._dirty = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def dirty(self) -> None:
        """Ask for a sync within a few milliseconds."""
        if not self._dirty.is_set():
            self._dirty.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Sync what is left and end the thread."""
        self._closing = True
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._dirty.wait()
            if not self._closing:
                time.sleep(SYNC_SECONDS)
            self._dirty.clear()
            os.fsync(self._file)


def read(path: str | Path) -> Iterator[dict[str, Any]]:
    """Every whole line of a journal, in order; a torn last line is left out."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"no journal at {path}; give the folder of a run")
    left = whole_length(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            left -= len(line)
            if left < 0:
                return
            try:
                entry = json.loads(line.decode("utf-8", "surrogatepass"))
            except ValueError as error:
                raise JournalCorrupt(
                    f"line {number} of {path} is not JSON; restore the file from a copy, "
                    "or start in another folder"
                ) from error
            if number == 1:
                _check_version(path, entry)
            yield entry


def whole_length(path: Path) -> int:
    """Bytes up to and with the last line that ends in a newline and holds JSON."""
    size = path.stat().st_size
    with path.open("rb") as file:
        end = size
        while end > 0:
            start, line = _last_line(file, end)
            if line.endswith(b"\n") and _is_json(line):
                return end
            end = start
            if size - end > (1 << 26):
                raise JournalCorrupt(f"the last {size - end} bytes of {path} hold no line that can be read")
    return 0


def _last_line(file: Any, end: int) -> tuple[int, bytes]:
    """Where the last line before ``end`` starts, and the line."""
    start, chunk = end - 1, b""
    while start > 0:
        step = min(start, 1 << 16)
        file.seek(start - step)
        chunk = file.read(step)
        found = chunk.rfind(b"\n")
        start -= step
        if found >= 0:
            start += found + 1
            break
    file.seek(start)
    return start, file.read(end - start)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_version(path: Path, entry: dict[str, Any]) -> None:
    if entry.get("journal") != SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} was written with schema version {entry.get('journal')!r}; this agentloop reads version "
            f"{SCHEMA_VERSION}. Use the agentloop that wrote it, or start in another folder"
        )


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def redacted_call(call: Call) -> Call:
    """The call as it may be written down. Where a secret stood, token ids and log-probs go as well."""
    messages = redacted_messages(call.messages)
    texts = [redact(reply.text) for reply in call.replies]
    changed = messages is not call.messages or any(
        text is not reply.text and text != reply.text for text, reply in zip(texts, call.replies, strict=True)
    )
    if not changed:
        return call
    replies = tuple(
        Reply(text=text, finish_reason=reply.finish_reason, usage=reply.usage)
        for text, reply in zip(texts, call.replies, strict=True)
    )
    return call.replace(messages=messages, replies=replies, redacted=True)


def redacted_messages(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without secrets; the same object when there are none."""
    clean = tuple(redact(message["content"]) for message in messages)
    if all(text == message["content"] for text, message in zip(clean, messages, strict=True)):
        return messages
    return tuple(
        Message(role=message["role"], content=text) for text, message in zip(clean, messages, strict=True)
    )
