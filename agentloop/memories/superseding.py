"""Corrections that give way to others: written together, and followed back from the log."""

from __future__ import annotations

from collections.abc import Sequence

from agentloop.errors import BadInput
from agentloop.memories.folder import now
from agentloop.memories.keeping import Keeping
from agentloop.memories.ledger import Event
from agentloop.types import Correction, Source


def supersede(kept: Keeping, ids: Sequence[str], by: Sequence[Correction], *, how: str) -> None:
    """Retire the corrections ``ids``, record those in ``by`` that are new, and note which came of which.

    All of it or nothing; a second time nothing. BadInput for one that is not kept in this folder.
    """
    with kept.mutex:
        old = [kept.ledger.find(id) for id in ids]
        if any(each.id in ids for each in by):
            raise BadInput(f"a correction cannot give way to itself; got {ids} by {[each.id for each in by]}")
        if all(each.status == "retired" for each in old) and all(each.id in kept.ledger.known for each in by):
            return
        dated = [each if each.created else each.replace(created=now()) for each in by]
        recorded = [kept.ledger.recorded(each) for each in dated]
        into = [each.id for each in by]
        reason = f"{how} into {', '.join(into)}"
        events: list[Event] = [event for event in recorded if event is not None]
        events += [{"event": "marked", "id": id, "status": "retired", "reason": reason} for id in ids]
        events.append({"event": "revised", "from": list(ids), "into": into, "how": how})
        kept.write_together(events)


def earlier(kept: Keeping, id: str) -> Sequence[Correction]:
    """The corrections that gave way to one, and those that gave way to them, without the forgotten ones."""
    ledger, found = kept.ledger, list[str]()
    waiting = list(ledger.earlier.get(id, ()))
    while waiting:
        old = waiting.pop(0)
        if old not in found:
            found.append(old)
            waiting += ledger.earlier.get(old, ())
    return tuple(ledger.corrections[old] for old in found if old in ledger.corrections)


def evidence(kept: Keeping, correction: Correction) -> Sequence[Source]:
    """Where a correction came from, and where those came from that gave way to it."""
    sources = (correction.source, *(each.source for each in earlier(kept, correction.id)))
    return tuple(dict.fromkeys(each for each in sources if each != Source()))
