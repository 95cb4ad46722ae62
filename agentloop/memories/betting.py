"""What showing something changes, from a share that was withheld at random: an interval for all times.

A use is either shown or withheld, by a draw whose chances are known, and then passes or fails. With S = 1
where it was shown (chance q), 0 where it was withheld (chance p = 1 - q), and Y = 1 where it passed,

    X = (Y - c) (S - q) / (p q)

has the value's own mean, P(pass | shown) - P(pass | withheld), whatever the constant c, however the tasks
change, and whatever else is drawn for the same task (inverse chances: Horvitz and Thompson 1952). X is
bounded, so a gambler who stakes a fixed part of the money on "X falls short of m" earns nothing on average
where the mean is m or more, and has multiplied the money by 1/alpha at any time with a chance of at most
alpha (Ville 1939). The values that no such gambler refutes are the interval: it holds at all times at
once, so it may be looked at after every use and acted upon (Waudby-Smith and Ramdas 2023, "Estimating
means of bounded random variables by betting"; for logged draws Waudby-Smith et al. 2022, arXiv 2210.10768).

Theirs learn what to stake from what has come. Ours spread the money evenly over fixed stakes and fixed c,
which costs a little at first, and makes the money a function of counts alone: the order in which uses are
read back, from one log or from several, changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agentloop.intervals import Interval

_STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Parts of the most that may be staked without ever owing anything."""
_CENTRES = (0.1, 0.3, 0.5, 0.7, 0.9)
_HALVINGS = 24

Floats = npt.NDArray[np.float64]


class Counts(NamedTuple):
    """Uses that were drawn with one chance of being withheld, by what became of them."""

    shown_passed: int = 0
    shown_failed: int = 0
    withheld_passed: int = 0
    withheld_failed: int = 0

    @property
    def shown(self) -> int:
        """Uses in which it was shown."""
        return self.shown_passed + self.shown_failed

    @property
    def withheld(self) -> int:
        """Uses in which it was withheld."""
        return self.withheld_passed + self.withheld_failed

    def turned(self) -> Counts:
        """The same with passes and failures exchanged: its value is the other one's with the sign turned."""
        return Counts(self.shown_failed, self.shown_passed, self.withheld_failed, self.withheld_passed)


Uses = Mapping[float, Counts]
"""Counts by the chance of being withheld with which the uses were drawn."""


def harm(uses: Uses) -> float:
    """The evidence that showing lowers the pass rate: what a bet of 1 on it has become.

    Where it does no harm, it ever reaches 1/alpha with a chance of at most alpha.
    """
    return _exp(_log_money(uses, 0.0))


def help(uses: Uses) -> float:
    """The evidence that showing raises the pass rate; see ``harm``."""
    return harm(_turned(uses))


def interval(uses: Uses, *, alpha: float = 0.05) -> Interval:
    """Bounds of the mean value of the uses so far that hold at all times with a chance of 1 - alpha.

    Where no value is left, as when the draws were not those that were named, the two bounds change places.
    """
    bounds = (-_most(_turned(uses), alpha / 2), _most(uses, alpha / 2))
    return Interval(min(bounds), max(bounds))


def difference(uses: Uses) -> float | None:
    """Pass rate where shown minus where withheld; None while either is without a use.

    Uses are weighted by the inverse of their chance, so that times at which more was withheld, which
    may have been harder ones, weigh no more in one rate than in the other.
    """
    shown = [(1 / (1 - share), each.shown_passed, each.shown) for share, each in uses.items()]
    withheld = [(1 / share, each.withheld_passed, each.withheld) for share, each in uses.items()]
    rates = []
    for cells in (shown, withheld):
        total = math.fsum(weight * count for weight, _, count in cells)
        if not total:
            return None
        rates.append(math.fsum(weight * passed for weight, passed, _ in cells) / total)
    return rates[0] - rates[1]


def _turned(uses: Uses) -> Uses:
    return {share: each.turned() for share, each in uses.items()}


def _most(uses: Uses, alpha: float) -> float:
    """The largest value that is not refuted: money grows with the value bet against."""
    wanted = -math.log(alpha)
    if _log_money(uses, 1.0) < wanted:
        return 1.0
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _log_money(uses, middle) >= wanted else (middle, high)
    return high


def _log_money(uses: Uses, value: float) -> float:
    """The logarithm of the money of the gamblers against ``value`` and more, their mean."""
    counted = [(share, each) for share, each in sorted(uses.items()) if any(each)]
    total = np.zeros(len(_STAKES) * len(_CENTRES))
    for share, each in counted:
        outcomes, stakes = _bets(share)
        total += np.log1p(stakes * (value - outcomes)) @ np.asarray(each, dtype=np.float64)
    most = float(total.max())
    return most + math.log(float(np.exp(total - most).mean()))


@cache
def _bets(share: float) -> tuple[Floats, Floats]:
    """For every gambler, X for the four outcomes in the order of Counts, and what is staked on it."""
    outcomes, stakes = [], []
    for stake, centre in product(_STAKES, _CENTRES):
        row = [(1 - centre) / (1 - share), -centre / (1 - share), -(1 - centre) / share, centre / share]
        outcomes.append(row)
        # The value bet against is at least -1.
        stakes.append([stake / (1 + max(row))])
    return _frozen(outcomes), _frozen(stakes)


def _frozen(rows: Any) -> Floats:
    made = np.asarray(rows, dtype=np.float64)
    made.setflags(write=False)
    return made


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
