"""Intervals and tests for pass rates and for paired differences between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agentloop.errors import BadInput

Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def wilson(passed: float, count: int) -> Interval:
    """Wilson's 95 % score interval of a proportion (Wilson 1927); (0, 1) when nothing was counted."""
    if count == 0:
        return Interval(0.0, 1.0)
    rate, z2 = passed / count, Z95**2
    centre = (rate + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 * math.sqrt(rate * (1 - rate) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test: the chance of discordant pairs at least as uneven as these."""
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    return float(min(1.0, 2 * tail / 2**discordant))


def paired_difference(first: Sequence[float], second: Sequence[float], *, draws: int = 10_000) -> Interval:
    """95 % percentile bootstrap interval of mean(second - first), drawn over pairs with a fixed seed."""
    if len(first) != len(second) or not first:
        raise BadInput(f"need two results of equal length, got {len(first)} and {len(second)}")
    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    values, counts = np.unique(differences, return_counts=True)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(len(differences), counts / len(differences), size=draws)
    means = drawn @ values / len(differences)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def tasks_needed(first: Sequence[float], second: Sequence[float]) -> int | None:
    """How many tasks a paired comparison of this difference needs to exclude zero with a chance of 80 %.

    None when the observed difference is zero: no number of tasks would show it.
    """
    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    mean = float(differences.mean())
    if mean == 0.0:
        return None
    z_power = 0.8416212335729143
    variance = float(differences.var(ddof=1)) if len(differences) > 1 else 1.0
    return math.ceil(variance * ((Z95 + z_power) / mean) ** 2)
