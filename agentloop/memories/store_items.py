"""The corrections of a memory as the items of a store: each in a namespace, under a key, with a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from agentloop.memories.folder import MemoryFolder, now
from agentloop.memories.keeping import Keeping
from agentloop.memories.ledger import Event, Ledger
from agentloop.memories.namespaces import namespace_of, scope_of, words_of
from agentloop.types import Correction, CorrectionStatus, Source, digest

Place: TypeAlias = tuple[tuple[str, ...], str]
"""A namespace and a key."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a correction stands and when it came there; ``value`` is what was put, None for one learnt."""

    place: Place
    created: datetime
    updated: datetime
    value: dict[str, Any] | None = None
    indexed: bool = True


class Items:
    """Follows the logs of a memory. What was put is kept beside its correction, in the same line."""

    def __init__(self, kept: Keeping) -> None:
        self.ledger = Ledger()
        self._kept = kept
        self._reader = MemoryFolder(kept.folder, shared=False, read_only=True)
        self.entries: dict[str, Entry] = {}
        self._ids: dict[Place, str] = {}
        self._gone: Counter[Place] = Counter()

    def follow(self) -> None:
        """Take in what the logs hold beyond what was read before."""
        with self._kept.mutex:
            for event in self._reader.new_events():
                fresh = event["event"] == "recorded" and event["correction"]["id"] not in self.ledger.known
                self.ledger.apply(event)
                if fresh:
                    self._take_recorded(event)
                elif event.get("id") in self.entries:
                    self._take(event)

    def id_at(self, place: Place) -> str | None:
        """The correction at a place; None when there is none."""
        return self._ids.get(place)

    def value(self, id: str) -> dict[str, Any]:
        """What is told of an item: what was put, or the fields of a correction that was learnt."""
        entry = self.entries[id]
        return _told(self.ledger.corrections[id]) if entry.value is None else deepcopy(entry.value)

    def put(self, place: Place, value: Mapping[str, Any], index: Any, status: CorrectionStatus) -> Event:
        """The event that puts a value at a place: a new correction there, or other words for the old one."""
        namespace, key = place
        item = {"namespace": list(namespace), "key": key, "value": dict(value), "indexed": index is not False}
        id = self._ids.get(place)
        words = {"text": words_of(value)}
        if isinstance(value.get("not_when"), str):
            words["not_when"] = value["not_when"]
        if isinstance(index, str) or (id is not None and self.entries[id].value is not None):
            words["key"] = index if isinstance(index, str) else ""
        if id is not None:
            return {"event": "edited", "id": id, "changes": words, "item": item}
        id = digest("item", *namespace, key, str(self._gone[place]))
        source = Source(run="langgraph", trajectory="/".join((*namespace, key)))
        scope = scope_of(namespace)
        made = Correction(
            id=id,
            applies_when=scope,
            source=source,
            status=status,
            created=now(),
            **words,  # type: ignore[arg-type]
        )
        return {"event": "recorded", "correction": made.to_dict(), "item": item}

    def within(self, prefix: Sequence[str]) -> Iterator[str]:
        """The ids below a namespace: namespaces and keys in the order in which they came."""
        order: dict[tuple[str, ...], list[str]] = {}
        for id, entry in self.entries.items():
            if entry.place[0][: len(prefix)] == tuple(prefix):
                order.setdefault(entry.place[0], []).append(id)
        return (id for ids in order.values() for id in ids)

    def close(self) -> None:
        """Give the files back."""
        self._reader.close()

    def _take(self, event: Event) -> None:
        kind, at = event["event"], _time(event.get("at", ""))
        if kind == "edited":
            self._take_edited(event, at)
        elif kind in ("marked", "admitted"):
            self._set(event["id"], replace(self.entries[event["id"]], updated=at))
        elif kind == "forgotten":
            gone = self.entries.pop(event["id"])
            self._ids.pop(gone.place, None)
            self._gone[gone.place] += 1

    def _take_recorded(self, event: Event) -> None:
        correction, at = Correction.from_dict(event["correction"]), _time(event.get("at", ""))
        made = _time(correction.created) if correction.created else at
        place = (namespace_of(correction.applies_when), correction.id)
        self._set(correction.id, _with_item(Entry(place=place, created=made, updated=at), event))

    def _take_edited(self, event: Event, at: datetime) -> None:
        id, changes = event["id"], event["changes"]
        entry = replace(self.entries[id], updated=at)
        if "item" in event:
            entry = _with_item(entry, event)
        elif entry.value is None and "applies_when" in changes:
            entry = replace(entry, place=(namespace_of(changes["applies_when"]), entry.place[1]))
        elif entry.value is not None and "text" in changes:
            entry = replace(entry, value=_reworded(entry.value, changes["text"]))
        self._set(id, entry)

    def _set(self, id: str, entry: Entry) -> None:
        held = self.entries.get(id)
        if held is not None and held.place != entry.place:
            self._ids.pop(held.place, None)
        self.entries[id] = entry
        self._ids[entry.place] = id


def _with_item(entry: Entry, event: Event) -> Entry:
    item = event.get("item")
    if item is None:
        return entry
    place = (tuple(item["namespace"]), item["key"])
    return replace(entry, place=place, value=item["value"], indexed=item["indexed"])


def _told(correction: Correction) -> dict[str, Any]:
    """A correction that was learnt, as the value of an item."""
    told = Correction.to_dict(correction)
    always = {name: getattr(correction, name) for name in ("text", "applies_when", "not_when", "status")}
    counts = {name: getattr(correction, name) for name in ("recalled", "helped", "hurt")}
    return {**told, **always, **counts}


def _reworded(value: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An item that a person gave other words: they stand where its words stood."""
    name = next((name for name in ("text", "content", "memory", "data") if name in value), "text")
    return {**value, name: text}


def _time(at: str) -> datetime:
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
