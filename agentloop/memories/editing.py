"""A person's change to a correction: what may be changed, and what has to follow from it."""

from __future__ import annotations

from collections.abc import Mapping

from agentloop.errors import BadInput
from agentloop.memories.keeping import Keeping
from agentloop.types import Correction

EDITABLE = ("text", "applies_when", "not_when", "key", "status")


def edit(kept: Keeping, held: Correction, changes: Mapping[str, str]) -> Correction:
    """Write down that ``held`` is changed so; gives it as it is then. Where nothing changes, no line is."""
    wanted = following(held, changes)
    with kept.mutex:
        if held.id not in kept.ledger.corrections:
            raise BadInput(f"correction {held.id!r} is kept by another machine; edit it in the folder there")
        event = kept.ledger.edited(held.id, wanted)
        if event is not None:
            kept.write_together([event])
        return kept.ledger.corrections[held.id]


def following(held: Correction, changes: Mapping[str, str]) -> dict[str, str]:
    """The changes with what follows from them; BadInput where a correction cannot be so."""
    unknown = sorted(set(changes) - set(EDITABLE))
    if unknown:
        raise BadInput(f"{', '.join(unknown)} cannot be edited; {', '.join(EDITABLE)} can")
    if not changes.get("text", held.text).strip():
        raise BadInput("text must hold words; to take a correction away forget it, or give status='retired'")
    wanted = dict(changes)
    if "text" in changes and "key" not in changes and held.text in held.key:
        wanted["key"] = held.key.replace(held.text, changes["text"])
    try:
        held.replace(**wanted)
    except ValueError as error:
        told = "; ".join(each["msg"] for each in getattr(error, "errors", list)()) or str(error)
        raise BadInput(f"correction {held.id!r} cannot be changed so: {told}") from error
    return wanted
