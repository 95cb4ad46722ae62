"""The door of an open memory: what the gate's answers become in its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from agentloop.memories.embedding import embed
from agentloop.memories.gate import UNTOLD, Admission, Gate, Refusal, Refused
from agentloop.memories.keeping import Keeping
from agentloop.memories.ledger import Event
from agentloop.memories.novelty import says_the_same
from agentloop.memories.scope import conditions, key_text
from agentloop.types import Attempt, Correction

_COMPARED = 32
_TOLD = 300


class Door:
    """Lets corrections into ``kept`` by the rules of ``gate``; each id is decided once, for good."""

    def __init__(self, gate: Gate, kept: Keeping) -> None:
        self.gate, self.kept = gate, kept

    async def admit(
        self, correction: Correction, attempts: Sequence[Attempt], recalled: Sequence[Correction]
    ) -> Admission:
        """Decide about ``correction``, write the decision down, and say it.

        Comparing and keeping are one step under the memory's lock, so that of two that say the same and come
        at once one is kept. Several machines on one server may each keep one of them.
        """
        kept = self.kept
        kept.follow()
        known = self._known(correction.id)
        if known is not None:
            return known
        refusal = self.gate.refusal(correction, attempts, recalled=recalled)
        if refusal is not None:
            kept.write(kept.ledger.refused(_told(correction, refusal)))
            return Admission("refused", correction.id, refusal)
        await kept.catch_up()
        rows = await embed(kept.embedder, [key_text(correction)])
        with kept.mutex:
            known = self._known(correction.id)
            if known is not None:
                return known
            for held in self._near(rows[0]):
                if _is_one(held, correction):
                    kept.write(kept.ledger.reinforced(held.id, correction))
                    return Admission("reinforced", held.id)
            kept.keep(correction.replace(status="candidate", recalled=0, helped=0, hurt=0), rows)
        return Admission("kept", correction.id)

    def promote(self, id: str) -> None:
        """Make a candidate active whose trials are proof enough."""
        held = self.kept.ledger.corrections.get(id)
        if held is not None and held.status == "candidate" and self.gate.is_proven(held):
            self.kept.admit(held, {"by": "helps", "helped": held.helped, "hurt": held.hurt})

    def _known(self, id: str) -> Admission | None:
        """What was decided about this id before."""
        ledger = self.kept.ledger
        if id in ledger.known:
            return Admission("known", id)
        if id in ledger.refusals:
            told = ledger.refusals[id]
            return Admission("refused", id, Refusal(told["reason"], told["why"]))
        by = ledger.reinforced_by.get(id)
        return Admission("reinforced", by) if by is not None else None

    def _near(self, row: object) -> Iterator[Correction]:
        """The stored corrections that are near enough to be compared word by word, forgotten ones aside."""
        held, similar = self.kept.ledger.corrections, self.gate.similar
        hits = takewhile(lambda hit: hit.score >= similar, self.kept.vectors.search(row))  # type: ignore[arg-type]
        for hit, _ in zip(hits, range(_COMPARED), strict=False):
            found = held.get(hit.id) or hit.record
            if found is not None:
                yield found


def refused(told: Event) -> Refused:
    """A refusal as a person reads it."""
    names = ("id", "reason", "why", "text", "run", "trajectory")
    return Refused(*(str(told.get(name, "")) for name in names))


def _told(correction: Correction, refusal: Refusal) -> Event:
    text = "" if refusal.reason in UNTOLD else correction.text[:_TOLD]
    source = correction.source
    where = {"run": source.run, "trajectory": source.trajectory}
    return {"id": correction.id, "reason": refusal.reason, "why": refusal.why, "text": text, **where}


def _is_one(held: Correction, other: Correction) -> bool:
    """Whether two corrections say the same for the same scope."""
    scopes = ((held.applies_when, other.applies_when), (held.not_when, other.not_when))
    return all(_one_scope(*pair) for pair in scopes) and says_the_same(held.text, other.text)


def _one_scope(first: str, second: str) -> bool:
    exact, other = conditions(first), conditions(second)
    if exact or other:
        return {name: value.lower() for name, value in exact.items()} == {
            name: value.lower() for name, value in other.items()
        }
    return first == second or says_the_same(first, second)
