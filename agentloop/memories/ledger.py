"""What the events of a memory add up to: the corrections with their counts and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.errors import BadInput, SchemaVersionError
from agentloop.memories.tally import Tally
from agentloop.types import SCHEMA_VERSION, Correction

Event = dict[str, Any]


class Ledger:
    """Corrections by id, in the order in which they were recorded.

    Events are made by ``recorded``, ``settled``, ``recalled``, ``edited`` and ``forgotten``, which
    give None where there is nothing to write down: that is how what comes twice counts once.
    """

    def __init__(self) -> None:
        self.corrections: dict[str, Correction] = {}
        self.known: set[str] = set()
        self.embedder: Event | None = None
        self.refusals: dict[str, Event] = {}
        self.reinforced_by: dict[str, str] = {}
        self.admissions: dict[str, Event] = {}
        self.tally = Tally()
        self.earlier: dict[str, tuple[str, ...]] = {}
        self.compared: set[frozenset[str]] = set()
        self._settled: set[tuple[str, str]] = set()

    def recorded(self, correction: Correction) -> Event | None:
        """The event for a new correction; None when its id was recorded before, even if forgotten since."""
        if correction.id in self.known:
            return None
        return {"event": "recorded", "correction": correction.to_dict()}

    def settled(self, id: str, trajectory: str, helped: bool, *, shown: bool = True) -> Event | None:
        """The event for a use that helped or hurt; None when this trajectory was counted before.

        It names the chance with which the use was drawn, unless what was done is not what was drawn.
        """
        if (id, trajectory) in self._settled:
            return None
        event = {"event": "settled", "id": id, "trajectory": trajectory, "helped": helped}
        if not shown:
            event["shown"] = False
        draw = self.tally.draws.get((id, trajectory))
        if draw is not None and draw.withheld is not shown:
            event["share"] = draw.share
        return event

    def drawn(self, trajectory: str, shares: Mapping[str, float], withheld: Sequence[str]) -> Event | None:
        """The event for a draw of what a trajectory is not shown; None when all of it was drawn before."""
        uses = {id: (id, trajectory) for id in shares}
        done = {id for id, use in uses.items() if use in self.tally.draws or use in self._settled}
        fresh = {id: share for id, share in shares.items() if id not in done}
        if not fresh:
            return None
        kept_back = [id for id in withheld if id in fresh]
        return {"event": "drawn", "trajectory": trajectory, "shares": fresh, "withheld": kept_back}

    def recalled(self, ids: Sequence[str], task: str) -> Event | None:
        """The event for corrections handed out for a task; None when there are none."""
        return {"event": "recalled", "ids": list(ids), "task": task} if ids else None

    def edited(self, id: str, changes: Mapping[str, str]) -> Event | None:
        """The event for other words, another scope or status; None where nothing differs."""
        held = self.find(id)
        changed = {name: value for name, value in changes.items() if getattr(held, name) != value}
        if not changed:
            return None
        held.replace(**changed)  # refuses what a correction cannot hold, before it is written
        return {"event": "edited", "id": id, "changes": changed}

    def refused(self, told: Event) -> Event | None:
        """The event for a correction that was not let in; None when its id was refused before."""
        return None if told["id"] in self.refusals else {"event": "refused", **told}

    def reinforced(self, id: str, by: Correction) -> Event | None:
        """The event for a correction that said what one says that is kept; None when it counted before."""
        if by.id in self.reinforced_by:
            return None
        where = {"run": by.source.run, "trajectory": by.source.trajectory}
        return {"event": "reinforced", "id": id, "by": by.id, **where}

    def admitted(self, id: str, why: Mapping[str, Any]) -> Event | None:
        """The event by which a candidate becomes active, with what speaks for it; None when it is active."""
        return None if self.find(id).status == "active" else {"event": "admitted", "id": id, "why": dict(why)}

    def forgotten(self, id: str) -> Event:
        """The tombstone of a correction: it is not listed, not recalled and never recorded again."""
        self.find(id)
        return {"event": "forgotten", "id": id}

    def find(self, id: str) -> Correction:
        """The correction with this id."""
        if id not in self.corrections:
            raise BadInput(f"no correction with id {id!r}; {len(self.corrections)} are kept, see list()")
        return self.corrections[id]

    def apply(self, event: Event) -> None:
        """Take one event in; an event of an unknown kind was written by a newer version."""
        apply = _APPLY.get(event["event"])
        if apply is None:
            raise SchemaVersionError(
                f"a memory event of the unknown kind {event['event']!r}: the file was written by a newer "
                "version of agentloop; open it with that one"
            )
        apply(self, event)

    def _apply_embedder(self, event: Event) -> None:
        if event.get("schema") != SCHEMA_VERSION:
            raise SchemaVersionError(
                f"the memory's file has schema {event.get('schema')!r}, this version of agentloop reads "
                f"{SCHEMA_VERSION}; open it with the version that wrote it"
            )
        self.embedder = event

    def _apply_recorded(self, event: Event) -> None:
        correction = Correction.from_dict(event["correction"])
        if correction.id not in self.known:
            self.known.add(correction.id)
            self.corrections[correction.id] = correction
            self.tally.born(correction.id, event)

    def _apply_settled(self, event: Event) -> None:
        id, use = event["id"], (event["id"], event["trajectory"])
        if use in self._settled:
            return
        self._settled.add(use)
        self.tally.settle(event)
        held = self.corrections.get(id)
        if held is not None and event.get("shown", True):
            count = {"helped": held.helped + 1} if event["helped"] else {"hurt": held.hurt + 1}
            self.corrections[id] = held.replace(**count)

    def _apply_drawn(self, event: Event) -> None:
        self.tally.drawn(event)

    def _apply_recalled(self, event: Event) -> None:
        self.tally.recalled(event["ids"], event)
        for id in event["ids"]:
            held = self.corrections.get(id)
            if held is not None:
                self.corrections[id] = held.replace(recalled=held.recalled + 1)

    def _apply_marked(self, event: Event) -> None:
        held = self.corrections.get(event["id"])
        if held is not None:
            self._change(held, {"status": event["status"]}, event)

    def _apply_refused(self, event: Event) -> None:
        self.refusals.setdefault(event["id"], event)

    def _apply_reinforced(self, event: Event) -> None:
        self.reinforced_by.setdefault(event["by"], event["id"])

    def _apply_admitted(self, event: Event) -> None:
        held = self.corrections.get(event["id"])
        if held is not None:
            self.admissions[held.id] = event["why"]
            self.corrections[held.id] = held.replace(status="active")

    def _apply_edited(self, event: Event) -> None:
        held = self.corrections.get(event["id"])
        if held is not None:
            self._change(held, event["changes"], event)

    def _change(self, held: Correction, changes: Mapping[str, Any], event: Event) -> None:
        """Other words or another scope begin a new count of uses, and so does being put back to work."""
        changed = self.corrections[held.id] = held.replace(**changes)
        back = changed.status == "active" and held.status in ("quarantined", "retired")
        if held.status == "active" and changed.status in ("quarantined", "retired"):
            self.tally.left(held.id)
        if back or any(changes.get(name, getattr(held, name)) != getattr(held, name) for name in _MEANING):
            self.tally.restart(held.id, event)

    def _apply_revised(self, event: Event) -> None:
        """Some corrections gave way to others."""
        for id in event["into"]:
            self.earlier[id] = (*self.earlier.get(id, ()), *event["from"])
            if event["how"] == "identical":
                for old in event["from"]:
                    self.tally.join(old, into=id)

    def _apply_compared(self, event: Event) -> None:
        self.compared.add(frozenset(event["ids"]))

    def _apply_forgotten(self, event: Event) -> None:
        self.known.add(event["id"])
        self.corrections.pop(event["id"], None)


_MEANING = ("text", "applies_when", "not_when")
"""What a correction says, and of what."""

_APPLY = {
    "embedder": Ledger._apply_embedder,
    "recorded": Ledger._apply_recorded,
    "settled": Ledger._apply_settled,
    "drawn": Ledger._apply_drawn,
    "recalled": Ledger._apply_recalled,
    "marked": Ledger._apply_marked,
    "refused": Ledger._apply_refused,
    "reinforced": Ledger._apply_reinforced,
    "admitted": Ledger._apply_admitted,
    "edited": Ledger._apply_edited,
    "revised": Ledger._apply_revised,
    "compared": Ledger._apply_compared,
    "forgotten": Ledger._apply_forgotten,
}
