"""Is B better than A on the same tasks: a paired difference with its interval and test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentloop.errors import BadInput
from agentloop.intervals import mcnemar, paired_difference, tasks_needed, wilson


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two results on the same tasks. Rates and differences are shares, from 0 to 1.

    ``low`` and ``high`` bound the difference (95 %, bootstrap over tasks). ``p`` is McNemar's exact test,
    None when a task has several samples. ``needed`` says how many tasks it would take for the interval to
    exclude zero, when it does not; None when it does, or when the difference is zero.
    """

    tasks: int
    left_out: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float | None
    needed: int | None
    first_interval: tuple[float, float]
    second_interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference excludes zero."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """The comparison for programs."""
        return {**dataclasses.asdict(self), "clear": self.clear}

    def summary(self) -> str:
        """The comparison in one line."""
        said = (
            f"{self.first:.1%} -> {self.second:.1%} on {self.tasks} tasks: "
            f"{self.difference * 100:+.1f} points [{self.low * 100:+.1f}, {self.high * 100:+.1f}]"
        )
        said += f", McNemar p = {self.p:.2g}" if self.p is not None else ""
        if not self.clear:
            more = (
                f"about {self.needed - self.tasks} more tasks would tell" if self.needed else "no difference"
            )
            said += f"; not clear of zero: {more}"
        return said


def compare_results(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]
) -> Comparison:
    """Compare results by task; several samples of a task count as their mean."""
    shared = [task for task in first if task in second]
    if not shared:
        raise BadInput(
            f"the two runs share no task ({len(first)} and {len(second)} tasks); "
            "compare runs of the same tasks"
        )
    a = [sum(first[task]) / len(first[task]) for task in shared]
    b = [sum(second[task]) / len(second[task]) for task in shared]
    low, high = paired_difference(a, b)
    single = all(len(first[task]) == len(second[task]) == 1 for task in shared)
    only_first = sum(x > y for x, y in zip(a, b, strict=True))
    only_second = sum(x < y for x, y in zip(a, b, strict=True))
    clear = low > 0 or high < 0
    needed = None if clear else tasks_needed(a, b)
    return Comparison(
        tasks=len(shared),
        left_out=len(first) + len(second) - 2 * len(shared),
        first=sum(a) / len(a),
        second=sum(b) / len(b),
        difference=(sum(b) - sum(a)) / len(a),
        low=low,
        high=high,
        only_first=only_first,
        only_second=only_second,
        p=mcnemar(only_first, only_second) if single else None,
        needed=max(needed, len(shared) + 1) if needed else None,
        first_interval=wilson(sum(a), len(a)),
        second_interval=wilson(sum(b), len(b)),
    )
