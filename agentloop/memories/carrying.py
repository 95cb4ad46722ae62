"""Corrections carried from one memory to another: exported, imported from files, merged."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.memories.correction import CorrectionMemory
from agentloop.memories.folder import now
from agentloop.memories.history import History, named
from agentloop.memories.ledger import Event
from agentloop.memories.novelty import content
from agentloop.memories.secrets import secret_in
from agentloop.types import SCHEMA_VERSION, Correction, CorrectionStatus

HEADER = "agentloop_memory"
_USES = ("recalled", "settled", "drawn")


@dataclass
class Brought:
    """What came of carrying corrections in: ids that were added, and those that were not, with why."""

    added: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    """Kept already, or forgotten here before: what was forgotten never comes back."""
    doubles: dict[str, str] = field(default_factory=dict)
    """Those that say what one says that is kept, with that one's id."""
    refused: dict[str, str] = field(default_factory=dict)
    """Those that cannot be kept, with why."""


def lines(corrections: Collection[Correction]) -> Iterator[str]:
    """An export, line by line: how many there are, so that a cut-off file is recognised, then each."""
    yield json.dumps({HEADER: SCHEMA_VERSION, "corrections": len(corrections), "exported": now()})
    for each in corrections:
        line = json.dumps(each.to_dict(), ensure_ascii=False)
        # Half a character, which a text may hold, cannot be written but as an escape.
        yield line if line.isascii() or _is_whole(line) else json.dumps(each.to_dict())


def import_into(
    memory: CorrectionMemory,
    corrections: Sequence[Correction],
    *,
    status: CorrectionStatus | None = "candidate",
) -> Brought:
    """Keep corrections from elsewhere, all or none of them: as candidates, with their counts at nought.

    ``status`` None keeps status and counts as they are, to restore an export. The same id or the same
    words in the same scope count once. What holds a secret is refused.
    """
    kept = memory.keeping
    brought, events = Brought(), []
    with kept.mutex:
        kept.follow()
        said = _sayings(kept.ledger.corrections.values())
        known = set(kept.ledger.known)
        for each in corrections:
            if each.id in known:
                brought.known.append(each.id)
            elif why := _unfit(each):
                brought.refused[each.id] = why
            elif saying(each) in said:
                brought.doubles[each.id] = said[saying(each)]
            else:
                fresh = each if status is None else _fresh(each, status)
                events.append({"event": "recorded", "correction": fresh.to_dict(), "imported": True})
                brought.added.append(each.id)
                said[saying(each)] = each.id
                known.add(each.id)
        kept.write_together(events)
    return brought


def merge_folder(memory: CorrectionMemory, other: str | Path) -> Brought:
    """Take in what another folder keeps, with its whole history, all or nothing.

    A correction that is kept here already, by id or in the same words and scope, gets the uses that it had
    there; its words, scope and status stay those of here. Merging again adds only what is new since.
    """
    source, kept = History(other), memory.keeping
    if source.folder.resolve() == kept.folder.resolve():
        raise BadInput(f"{other} is the memory itself; give another folder")
    brought = Brought()
    with kept.mutex:
        kept.follow()
        here = History(kept.folder)
        said = _sayings(kept.ledger.corrections.values())
        names: dict[str, str] = {}
        for each in source.ledger.corrections.values():
            if each.id in kept.ledger.known:
                brought.known.append(each.id)
                names |= {each.id: each.id} if each.id in kept.ledger.corrections else {}
            elif saying(each) in said:
                names[each.id] = brought.doubles[each.id] = said[saying(each)]
            else:
                names[each.id] = said[saying(each)] = each.id
                brought.added.append(each.id)
        kept.write_together(_carried(source.events, names, here, whole=set(brought.added)))
    return brought


def merge_one(memory: CorrectionMemory, id: str, *, into: str) -> Correction:
    """Give the uses of one correction to another, and retire it; the other's words and scope stay."""
    if id == into:
        raise BadInput(f"{id} cannot be merged into itself; give two corrections")
    memory.get(id)
    memory.get(into)
    kept = memory.keeping
    with kept.mutex:
        here = History(kept.folder)
        apart = [each for each in here.events if not {id, into} <= set(named(each))]
        uses = _carried(apart, {id: into}, here, whole=set())
        # Uses that were drawn are joined as a whole, by the last line.
        shown = [{**each, "share": None} for each in uses if each["event"] != "drawn"]
        events = [{name: value for name, value in each.items() if value is not None} for each in shown]
        reason = f"merged into {into}"
        events.append({"event": "marked", "id": id, "status": "retired", "reason": reason})
        events.append({"event": "revised", "from": [id], "into": [into], "how": "identical"})
        kept.write_together(events)
    return memory.get(into)


def saying(correction: Correction) -> tuple[Any, ...]:
    """What a correction says and of what, in one form: equal for the same words in the same scope."""
    scope = (correction.applies_when, correction.not_when)
    words = content(correction.text) or (correction.text,)
    return words, *(" ".join(each.lower().split()) for each in scope)


def _sayings(corrections: Iterable[Correction]) -> dict[tuple[Any, ...], str]:
    """The first correction that says each thing; one in use before one that is not."""
    found: dict[tuple[Any, ...], str] = {}
    for each in sorted(corrections, key=lambda each: each.status in ("quarantined", "retired")):
        found.setdefault(saying(each), each.id)
    return found


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _unfit(correction: Correction) -> str:
    if not correction.text.strip():
        return "it says nothing"
    words = "\n".join((correction.text, correction.key, correction.applies_when, correction.source.quote))
    secret = secret_in(words, personal=False)
    return f"it holds {secret}" if secret else ""


def _fresh(correction: Correction, status: CorrectionStatus) -> Correction:
    created = correction.created or now()
    return correction.replace(status=status, recalled=0, helped=0, hurt=0, created=created)


def _carried(
    events: Iterable[Event], names: Mapping[str, str], here: History, *, whole: Collection[str]
) -> list[Event]:
    """The events of corrections under the names they have here: all of those in ``whole``, else uses."""
    there = {_mark(event) for event in here.events}
    carried: list[Event] = []
    for event in events:
        if event["event"] in _USES:
            event = _narrowed(event, names)
        elif not _is_of(event, whole):
            continue
        if named(event) and _mark(event) not in there:
            carried.append(event)
    return carried


def _is_of(event: Event, whole: Collection[str]) -> bool:
    """Whether an event is of corrections that are carried with all that is known of them."""
    if event["event"] == "recorded":
        return event["correction"]["id"] in whole
    if "id" in event:
        return event["id"] in whole
    ids: Sequence[str] = event.get("into") or event.get("ids") or ()
    return bool(ids) and set(ids) <= set(whole)


def _narrowed(event: Event, names: Mapping[str, str]) -> Event:
    """A use of several corrections as one of those with names here; of none, it names none."""
    event = dict(event)
    for name in ("ids", "withheld"):
        if name in event:
            event[name] = list(dict.fromkeys(names[id] for id in event[name] if id in names))
    if "shares" in event:
        event["shares"] = {names[id]: share for id, share in event["shares"].items() if id in names}
    if "id" in event:
        if event["id"] not in names:
            return {"event": event["event"], "ids": []}
        event["id"] = names[event["id"]]
    return event


def _mark(event: Event) -> str:
    """Tells one event from another; the same event carried twice has the same mark."""
    return json.dumps(event, sort_keys=True)
