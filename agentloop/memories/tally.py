"""What became of the uses of each correction, and how long ago each was recalled."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentloop.memories.betting import Counts, Uses


class Draw(NamedTuple):
    """How a use was drawn: with which chance of being withheld, and what came out."""

    share: float
    withheld: bool


class Tally:
    """Counts of drawn uses by correction; a ledger tells it of every event.

    Only uses that were drawn (``drawn``, then ``settle``) are counted here: a use that was shown because
    nobody asked whether to withhold it says nothing of what showing changes. All counts are sums, so that
    the order of events plays no part.
    """

    def __init__(self) -> None:
        self.draws: dict[tuple[str, str], Draw] = {}
        self.total = Counts()
        self._uses: dict[str, dict[float, Counts]] = {}
        self._used: dict[str, float] = {}
        self._beside: dict[str, set[str]] = {}
        self._spared: dict[str, int] = {}
        self._recalls: list[float] = []
        self._recalled: dict[str, float] = {}

    def uses(self, id: str) -> Uses:
        """The counts of one correction, by the chance of being withheld."""
        return self._uses.get(id, {})

    def others(self, id: str) -> float | None:
        """The pass rate over the uses of all other corrections; None when there are none."""
        own = added(self.uses(id))
        count = sum(self.total) - sum(own)
        passed = self.total.shown_passed + self.total.withheld_passed
        return (passed - own.shown_passed - own.withheld_passed) / count if count else None

    def used(self, id: str) -> float | None:
        """When a use of it was last settled, in seconds since 1970; None when none was."""
        return self._used.get(id)

    def recalls_since(self, id: str) -> int:
        """How often the memory was recalled from since it last gave this correction, or first had it."""
        return len(self._recalls) - bisect_right(self._recalls, self._recalled.get(id, 0.0))

    def born(self, id: str, event: Mapping[str, Any]) -> None:
        """A correction was recorded."""
        self._recalled.setdefault(id, when(event))

    def recalled(self, ids: Sequence[str], event: Mapping[str, Any]) -> None:
        """The memory was recalled from, and gave these."""
        at = when(event)
        insort(self._recalls, at)
        self._recalled.update((id, max(at, self._recalled.get(id, 0.0))) for id in ids)

    def drawn(self, event: Mapping[str, Any]) -> None:
        """It was drawn for a trajectory which corrections are withheld."""
        for id, share in event["shares"].items():
            draw = Draw(share, id in event["withheld"])
            self.draws.setdefault((id, event["trajectory"]), draw)
            self._beside.setdefault(id, set()).update(event["shares"])

    def settle(self, event: Mapping[str, Any]) -> None:
        """A use was settled. One that was not drawn only ends what was drawn for it."""
        id = event["id"]
        self.draws.pop((id, event["trajectory"]), None)
        if "share" not in event:
            return
        one = _one(shown=event.get("shown", True), passed=event["helped"])
        held = self._uses.setdefault(id, {})
        held[event["share"]] = _plus(held.get(event["share"], Counts()), one)
        self.total = _plus(self.total, one)
        self._used[id] = max(when(event), self._used.get(id, 0.0))

    def spared(self, id: str) -> int:
        """How many uses it had when one that was recalled beside it last left the memory."""
        return self._spared.get(id, 0)

    def left(self, id: str) -> None:
        """A correction is recalled no more; what the others were worth was measured beside it."""
        for other in self._beside.pop(id, set()) - {id}:
            self._spared[other] = sum(added(self.uses(other)))

    def join(self, id: str, into: str) -> None:
        """Count the uses of one correction as those of another with the same words."""
        held = self._uses.setdefault(into, {})
        for share, counts in self._uses.pop(id, {}).items():
            held[share] = _plus(held.get(share, Counts()), counts)

    def restart(self, id: str, event: Mapping[str, Any]) -> None:
        """Forget the uses of a correction that a person put back to work, and when it was last recalled."""
        self._uses.pop(id, None)
        self._spared.pop(id, None)
        self._recalled[id] = when(event)


def added(uses: Uses) -> Counts:
    """All uses together, however they were drawn."""
    total = Counts()
    for counts in uses.values():
        total = _plus(total, counts)
    return total


def when(event: Mapping[str, Any]) -> float:
    """The time of an event, in seconds since 1970; that of now for one not yet written down."""
    at = event.get("at")
    return datetime.fromisoformat(at).timestamp() if at else datetime.now(UTC).timestamp()


def _one(*, shown: bool, passed: bool) -> Counts:
    place = (0 if shown else 2) + (0 if passed else 1)
    return Counts(*(int(each == place) for each in range(4)))


def _plus(first: Counts, second: Counts) -> Counts:
    return Counts(*(a + b for a, b in zip(first, second, strict=True)))
