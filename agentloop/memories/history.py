"""What the logs of a memory's folder tell of one correction: its versions, and every use of it since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agentloop.errors import BadInput
from agentloop.memories.folder import MemoryFolder
from agentloop.memories.ledger import Event, Ledger
from agentloop.types import Correction

_WORDS = ("text", "applies_when", "not_when", "key")


class Version(NamedTuple):
    """A correction as it was from ``at`` on."""

    at: str
    correction: Correction


class Use(NamedTuple):
    """Something that happened to a correction: ``what`` it was, and ``where``, a task or a trajectory."""

    at: str
    what: str
    where: str


class History:
    """The events of a folder, oldest first, and what they add up to; it asks for no embedder and no lock."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise BadInput(
                f"no memory at {folder}; give the folder that --memory or CorrectionMemory(...) named"
            )
        self.ledger = Ledger()
        self.events: list[Event] = []
        opened = MemoryFolder(self.folder, shared=False, read_only=True)
        try:
            for event in opened.new_events():
                self.ledger.apply(event)
                self.events.append(event)
        finally:
            opened.close()

    def of(self, id: str) -> Iterator[Event]:
        """The events that concern one correction."""
        return (event for event in self.events if id in named(event))

    def versions(self, id: str) -> Sequence[Version]:
        """How a correction read from its beginning on; the last one is how it reads now."""
        found: list[Version] = []
        for event in self.of(id):
            at = event.get("at", "")
            if event["event"] == "recorded":
                found = found or [Version(at, Correction.from_dict(event["correction"]))]
            elif event["event"] == "edited" and found and set(event["changes"]) & set(_WORDS):
                found.append(Version(at, found[-1].correction.replace(**event["changes"])))
        return found

    def uses(self, id: str) -> Sequence[Use]:
        """Everything since a correction was recorded, in the order of time."""
        kinds = ("recorded", "embedder")
        return [
            Use(event.get("at", ""), *told(event)) for event in self.of(id) if event["event"] not in kinds
        ]


def named(event: Event) -> Sequence[str]:
    """The ids of the corrections that an event concerns."""
    if event["event"] == "recorded":
        return (event["correction"]["id"],)
    single = [event[name] for name in ("id", "by") if name in event]
    lists = [event[name] for name in ("ids", "shares", "from", "into") if name in event]
    return (*single, *(id for each in lists for id in ([each] if isinstance(each, str) else each)))


def told(event: Event) -> tuple[str, str]:
    """An event in a word or two, and where it happened."""
    kind = event["event"]
    if kind == "settled":
        shown = event.get("shown", True)
        what = "helped" if event["helped"] else "hurt"
        withheld = "passed without it" if event["helped"] else "failed without it"
        return what if shown else withheld, f"trajectory {event['trajectory']}"
    if kind == "recalled":
        return "recalled", f"task {event['task']}" if event["task"] else ""
    if kind == "marked":
        return f"marked {event['status']}", str(event.get("reason", ""))
    if kind == "edited":
        return "edited", ", ".join(event["changes"])
    if kind == "revised":
        return "revised", f"{event['how']}: {', '.join(event['from'])} into {', '.join(event['into'])}"
    return kind, str(event.get("reason") or event.get("trajectory") or "")
