"""The words of a correction taken off the disk: what is left of them in log and index after forgetting."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agentloop.errors import BadInput
from agentloop.memories.embedding import Identity
from agentloop.memories.folder import MemoryFolder, now
from agentloop.memories.local import LocalVectors


class _Line(NamedTuple):
    """A line of a log: where it begins, its bytes without the line end, and what it holds."""

    start: int
    data: bytes
    event: dict[str, Any]


def erase(folder: str | Path, id: str) -> int:
    """Forget a correction and overwrite every line that holds its words; gives how many lines that were.

    In the place of each line stands that it was forgotten, as long as the line was, so that readers go on
    undisturbed. The index goes as well, since Chroma leaves deleted words in its file; it is made anew
    when the memory is opened next. One writer: MemoryLocked while another process writes. What was copied
    elsewhere, such as journals, exports and backups, is out of reach, and so are blocks that a disk or a
    file system keeps of overwritten data.
    """
    opened = MemoryFolder(Path(folder), shared=False, read_only=False)
    try:
        LocalVectors(opened.path, Identity("", "", None), exact_below=0).drop()
        count = sum(_erase_in(path, id) for path in sorted(opened.path.glob("corrections*.jsonl")))
        if not count:
            raise BadInput(f"no line in {folder} holds the words of a correction {id!r}")
        opened.append({"event": "forgotten", "id": id})
        opened.sync()
        return count
    finally:
        opened.close()


def _erase_in(path: Path, id: str) -> int:
    """Overwrite the lines of one log that hold words of the correction."""
    found = [line for line in _lines(path) if _without(line.event, id) != line.event]
    file = os.open(path, os.O_RDWR)
    try:
        for line in found:
            blank = json.dumps(_without(line.event, id), ensure_ascii=False, separators=(",", ":"))
            data = blank.encode("utf-8", "surrogatepass")
            if len(data) > len(line.data):
                raise BadInput(f"{path}: the line at byte {line.start} is too short to be overwritten")
            os.pwrite(file, data.ljust(len(line.data)), line.start)
        os.fsync(file)
    finally:
        os.close(file)
    return len(found)


def _lines(path: Path) -> Iterator[_Line]:
    start = 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield _Line(start, line, json.loads(line.decode("utf-8", "surrogatepass")))
        start += len(line) + 1


def _without(event: dict[str, Any], id: str) -> dict[str, Any]:
    """An event without the words of a correction; the same event where it holds none."""
    if event["event"] == "together":
        return {**event, "events": [_without(part, id) for part in event["events"]]}
    holds = event["event"] == "recorded" and event["correction"]["id"] == id
    holds |= event["event"] in ("edited", "refused") and event["id"] == id
    return {"event": "forgotten", "id": id, "at": event.get("at", now())} if holds else event
