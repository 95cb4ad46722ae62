"""Rent in an open memory: what is withheld from whom, what corrections are worth, and which have to go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from agentloop.memories.confidence import confidence
from agentloop.memories.keeping import Keeping
from agentloop.memories.rent import Rent, Ruling, Worth
from agentloop.memories.tally import added
from agentloop.types import CorrectionStatus

SWEEP_EVERY = 256
"""Recalls after which what has expired is looked for."""
_DAY = 86_400.0


class Collecting:
    """The rent of one memory. Without ``rent`` nothing is withheld and nothing goes; worth is told."""

    def __init__(self, kept: Keeping, rent: Rent | None) -> None:
        self.rent = rent
        self._kept = kept
        self._asked = rent or Rent()

    def withhold(self, ids: Sequence[str], trajectory: str) -> frozenset[str]:
        """Draw for each of ``ids`` whether this trajectory is not shown it, and write the draws down.

        A second call gives what was drawn at the first, also in another process and after other uses.
        """
        rent, ledger = self.rent, self._kept.ledger
        if rent is None or self._kept.read_only:
            return frozenset()
        self._kept.follow()
        with self._kept.mutex:
            tally, shares, withheld = ledger.tally, {}, set()
            for id in ids:
                draw = tally.draws.get((id, trajectory))
                shares[id] = draw.share if draw else rent.share(tally.uses(id), others=tally.others(id))
                if draw.withheld if draw else rent.withholds(id, trajectory, share=shares[id]):
                    withheld.add(id)
            self._kept.write(ledger.drawn(trajectory, shares, sorted(withheld)))
        return frozenset(withheld)

    def ruling(self, id: str) -> Ruling | None:
        """What is to become of a correction by its uses."""
        tally = self._kept.ledger.tally
        return self.rent.ruling(tally.uses(id), spared=tally.spared(id)) if self.rent is not None else None

    def expired(self, id: str) -> Ruling | None:
        """Whether a correction is to be retired since it was not recalled for too long."""
        after = self.rent.expires_after if self.rent is not None else None
        if after is None or (since := self._kept.ledger.tally.recalls_since(id)) < after:
            return None
        return Ruling("retired", f"not recalled in {since} recalls")

    def rulings(self, statuses: Collection[CorrectionStatus]) -> Mapping[str, Ruling]:
        """What is to become of the corrections with these statuses; those that stay are left out."""
        with self._kept.mutex:
            held = [each.id for each in self._kept.ledger.corrections.values() if each.status in statuses]
            found = {id: self.ruling(id) or self.expired(id) for id in held}
        return {id: ruling for id, ruling in found.items() if ruling is not None}

    def worth(self, id: str) -> Worth:
        """What showing a correction changes."""
        return self._asked.worth(self._kept.ledger.tally.uses(id))

    def confidence(self, id: str, now: datetime | None) -> float:
        """The chance that a correction helps, faded by the time since its last use."""
        tally, at = self._kept.ledger.tally, now or datetime.now(UTC)
        used = tally.used(id)
        age = max(0.0, at.timestamp() - used) / _DAY if used is not None else 0.0
        return confidence(added(tally.uses(id)), age=age, half_life=self._asked.half_life)
