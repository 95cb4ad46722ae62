"""What the events of a memory add up to: the corrections with their counts and status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentloop.errors import BadInput, SchemaVersionError
from agentloop.types import SCHEMA_VERSION, Correction

Event = dict[str, Any]


class Ledger:
    """Corrections by id, in the order in which they were recorded.

    Events are made by ``recorded``, ``settled``, ``recalled`` and ``forgotten``, which
    give None where there is nothing to write down: that is how what comes twice counts once.
    """

    def __init__(self) -> None:
        self.corrections: dict[str, Correction] = {}
        self.known: set[str] = set()
        self.embedder: Event | None = None
        self._settled: set[tuple[str, str]] = set()

    def recorded(self, correction: Correction) -> Event | None:
        """The event for a new correction; None when its id was recorded before, even if forgotten since."""
        if correction.id in self.known:
            return None
        return {"event": "recorded", "correction": correction.to_dict()}

    def settled(self, id: str, trajectory: str, helped: bool) -> Event | None:
        """The event for a use that helped or hurt; None when this trajectory was counted before."""
        if (id, trajectory) in self._settled:
            return None
        return {"event": "settled", "id": id, "trajectory": trajectory, "helped": helped}

    def recalled(self, ids: Sequence[str], task: str) -> Event | None:
        """The event for corrections handed out for a task; None when there are none."""
        return {"event": "recalled", "ids": list(ids), "task": task} if ids else None

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

    def _apply_settled(self, event: Event) -> None:
        id, use = event["id"], (event["id"], event["trajectory"])
        if use in self._settled:
            return
        self._settled.add(use)
        held = self.corrections.get(id)
        if held is not None:
            count = {"helped": held.helped + 1} if event["helped"] else {"hurt": held.hurt + 1}
            self.corrections[id] = held.replace(**count)

    def _apply_recalled(self, event: Event) -> None:
        for id in event["ids"]:
            held = self.corrections.get(id)
            if held is not None:
                self.corrections[id] = held.replace(recalled=held.recalled + 1)

    def _apply_marked(self, event: Event) -> None:
        held = self.corrections.get(event["id"])
        if held is not None:
            self.corrections[held.id] = held.replace(status=event["status"])

    def _apply_forgotten(self, event: Event) -> None:
        self.known.add(event["id"])
        self.corrections.pop(event["id"], None)


_APPLY = {
    "embedder": Ledger._apply_embedder,
    "recorded": Ledger._apply_recorded,
    "settled": Ledger._apply_settled,
    "recalled": Ledger._apply_recalled,
    "marked": Ledger._apply_marked,
    "forgotten": Ledger._apply_forgotten,
}
