"""What a correction has to bring in to stay: how often it is withheld, and when it goes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentloop.errors import BadInput
from agentloop.intervals import wilson
from agentloop.memories.betting import Uses, difference, harm, help, interval
from agentloop.memories.tally import added
from agentloop.types import CorrectionStatus, digest

_FEW = 5


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What showing a correction changes: the pass rate where shown minus where withheld, both of first tries.

    ``value`` is None while either was not seen. ``low`` and ``high`` hold at all times at once (see
    agentloop.memories.betting). ``shown`` and ``withheld`` count settled uses that were drawn.
    """

    value: float | None
    low: float
    high: float
    shown: int
    withheld: int

    @property
    def pays(self) -> bool:
        """Whether it is shown to help."""
        return self.low > 0

    @property
    def harms(self) -> bool:
        """Whether it is shown to harm."""
        return self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """The worth for programs."""
        return dataclasses.asdict(self)


class Ruling(NamedTuple):
    """What is to become of a correction, and why."""

    status: CorrectionStatus
    why: str


@dataclass(frozen=True, kw_only=True)
class Rent:
    """How recalls are withheld, and what is done with corrections that do not pay.

    - ``hold_out``: the share of its recalls in which a correction is withheld, each by a draw of its own.
    - ``trial``: the share for one that is suspected, half unless given: it passes less often than the
      others do, or what was seen leans against it. Suspicion is no evidence; it only brings evidence sooner.
    - ``alpha``: the most chance that a harmless correction is ever quarantined is half of it, and that an
      interval ever misses is all of it, for each correction. It is quarantined when the interval of its
      value lies below zero.
    - ``useless_after``: one that was drawn so often, and so often since one recalled beside it left, and
      whose value is then not above zero is retired. Of two that say the same, one stays: the other's
      value shows once the first is gone.
    - ``expires_after``: one that the memory did not recall in so many recalls is retired.
    - ``hurts``: one that was shown so often and never passed is quarantined, even where it was hardly
      withheld; None unless given, since it may only have met hard tasks.
    - ``half_life``: days in which half of the confidence in a correction fades that is not used.

    A draw follows from ``seed``, the correction and the trajectory. None for a number of uses means never.
    """

    hold_out: float = 0.1
    trial: float = 0.5
    alpha: float = 0.05
    useless_after: int | None = 400
    expires_after: int | None = 5000
    hurts: int | None = None
    half_life: float = 90.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.hold_out <= self.trial < 1:
            raise BadInput(
                "hold_out and trial are shares above 0 and below 1, trial the larger; got "
                f"hold_out={self.hold_out}, trial={self.trial}. To withhold nothing leave rent out"
            )
        if not 0 < self.alpha < 1:
            raise BadInput(f"alpha must be above 0 and below 1, got {self.alpha}; 0.05 is usual")
        if self.half_life <= 0:
            raise BadInput(f"half_life must be above 0 days, got {self.half_life}")
        for name in ("useless_after", "expires_after", "hurts"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise BadInput(f"{name} must be at least 1, or None for never; got {count}")

    def withholds(self, id: str, trajectory: str, *, share: float) -> bool:
        """Whether the draw for this correction in this trajectory falls within ``share``."""
        drawn = int(digest("withhold", str(self.seed), id, trajectory), 16) / 2**64
        return drawn < share

    def share(self, uses: Uses, *, others: float | None) -> float:
        """The chance with which the next use is withheld. ``others`` is the pass rate of the others' uses."""
        return self.trial if suspected(uses, others=others) else self.hold_out

    def ruling(self, uses: Uses, *, spared: int = 0) -> Ruling | None:
        """What is to become of a correction with these uses; None: it stays.

        ``spared`` is how many of the uses were before another one left that was recalled beside it.
        """
        counts = added(uses)
        if self.hurts is not None and counts.shown_passed == 0 and counts.shown_failed >= self.hurts:
            return Ruling("quarantined", f"shown {counts.shown} times and never followed by a pass")
        if harm(uses) >= 2 / self.alpha:
            low, high = interval(uses, alpha=self.alpha)
            return Ruling("quarantined", f"showing it changes the pass rate by {low:+.2f} to {high:+.2f}")
        if self.useless_after is not None and sum(counts) - spared >= self.useless_after:
            value = difference(uses)
            if value is not None and value <= 0:
                return Ruling("retired", f"drawn {sum(counts)} times and worth {value:+.2f}")
        return None

    def worth(self, uses: Uses) -> Worth:
        """What showing a correction with these uses changes."""
        counts, (low, high) = added(uses), interval(uses, alpha=self.alpha)
        return Worth(value=difference(uses), low=low, high=high, shown=counts.shown, withheld=counts.withheld)


def suspected(uses: Uses, *, others: float | None) -> bool:
    """Whether a correction should be tried sooner: what was seen leans against it, or it passes rarely.

    It passes rarely when Wilson's interval of its pass rate lies below ``others``, the pass rate of the
    others' uses. One whose evidence leans towards helping is not suspected, however hard its tasks.
    """
    if not uses or help(uses) > 1.0:
        return False
    counts = added(uses)
    rarely = counts.shown >= _FEW and wilson(counts.shown_passed, counts.shown).high < (others or 0.0)
    return rarely or harm(uses) > 1.0
