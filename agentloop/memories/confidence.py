"""How sure one may be that a correction helps, and how that fades.

After the confidence and decay of GUM ("Creating General User Models from Computer Use"), with two
departures. Confidence is no figure that a model names but a probability, worked out from uses that were
shown or withheld at random, so that it can be checked against what came true (a Brier score). And decay is
a half-life in days: the published program asks for a large number where something lasts long, and then
multiplies the age by it, so that what lasts longest fades first.
"""

from __future__ import annotations

import math

import numpy as np

from agentloop.errors import BadInput
from agentloop.memories.betting import Counts


def confidence(counts: Counts, *, age: float = 0.0, half_life: float = math.inf) -> float:
    """The probability that a correction raises the pass rate; 0.5 without evidence.

    Both pass rates are taken to be anything from 0 to 1, equally likely beforehand and apart from each
    other. ``age`` is the days since its last use: after each ``half_life`` half of what was known is left.
    """
    if age < 0 or half_life <= 0:
        raise BadInput(f"age must be at least 0 days and half_life above 0; got {age} and {half_life}")
    fades: float = 0.5 ** (age / half_life)
    return 0.5 + (_larger(counts) - 0.5) * fades


def _larger(counts: Counts) -> float:
    """The chance that the first of two beta variables, shown and withheld, is the larger one.

    The sum over the first's successes is exact for whole numbers; where there are many it is long, and
    a normal distribution of the difference is as good.
    """
    a, b = counts.shown_passed + 1, counts.shown_failed + 1
    c, d = counts.withheld_passed + 1, counts.withheld_failed + 1
    if a > 10_000:
        return _normal(a, b, c, d)

    each = [_beta(c + i, b + d) - math.log(b + i) - _beta(1 + i, b) - _beta(c, d) for i in range(a)]
    return min(1.0, max(0.0, float(np.exp(each).sum())))


def _beta(first: float, second: float) -> float:
    """The logarithm of the beta function."""
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)


def _normal(a: int, b: int, c: int, d: int) -> float:
    mean = a / (a + b) - c / (c + d)
    variance = a * b / ((a + b) ** 2 * (a + b + 1)) + c * d / ((c + d) ** 2 * (c + d + 1))
    return 0.5 * (1 + math.erf(mean / math.sqrt(2 * variance)))
