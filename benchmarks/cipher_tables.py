"""The tables of cipher.py as Markdown: every arm in figures, and CIPHER's paired differences to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import mean, stdev
from typing import NamedTuple

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""The 97.5 % point of Student's distribution, by the number of seeds."""

TOLD = {
    "whole": "The reader sees in an edit every style of the edited text",
    "one": "The reader sees in an edit what was there, and of what is new only one style",
    "changed": "The reader sees in an edit what is new, and nothing else",
    "fallible": "The reader sees every style of the edited text, and overlooks each one time in ten",
}
OURS = ("CIPHER k=1", "CIPHER k=5")


class Arm(NamedTuple):
    """One arm of one seed in figures; ``late`` is the cost after round 30."""

    cost: int
    late: int
    accepted: float
    purity: float | None
    accuracy: float | None
    tokens: int


def tables(found: Mapping[str, Sequence[Arm]], *, rounds: int, reads: str) -> str:
    """One way of reading edits: the arms, then the differences."""
    base = mean(each.cost for each in found["no learning"])
    late = mean(each.late for each in found["no learning"]) or 1
    lines = [
        f"**{TOLD[reads]}** (`{reads}`).",
        "",
        "| arm | cumulative cost (least to most) | to no learning | after round 30 | accepted | purity "
        "| accuracy | tokens a round |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, arms in found.items():
        costs = [each.cost for each in arms]
        lines.append(
            f"| {name} | {mean(costs):,.0f} ({min(costs):,} to {max(costs):,}) | {mean(costs) / base:.2f} "
            f"| {mean(each.late for each in arms) / late:.2f} | {mean(each.accepted for each in arms):.0%} "
            f"| {_share([each.purity for each in arms])} | {_share([each.accuracy for each in arms])} "
            f"| {mean(each.tokens for each in arms) / rounds:,.0f} |"
        )
    return "\n".join([*lines, "", *differences(found)])


def differences(found: Mapping[str, Sequence[Arm]]) -> list[str]:
    """CIPHER's cumulative cost less that of the others on the same seeds, with 95 % intervals."""
    lines = [
        "| cumulative cost less that of | CIPHER k=1 | CIPHER k=5 |",
        "|---|---|---|",
    ]
    for name in found:
        if name != "oracle preference" and name not in OURS:
            lines.append(f"| {name} | {' | '.join(_less(found[each], found[name]) for each in OURS)} |")
    return lines


def _less(ours: Sequence[Arm], other: Sequence[Arm]) -> str:
    less = [one.cost - two.cost for one, two in zip(ours, other, strict=True)]
    low, high = interval(less)
    return f"{mean(less):+,.0f} [{low:+,.0f}, {high:+,.0f}], below in {sum(each < 0 for each in less)}"


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean over seeds; without end for a single one."""
    count = len(differences)
    if count < 2:
        return float("-inf"), float("inf")
    half = STUDENT[min(count, max(STUDENT))] * stdev(differences) / sqrt(count)
    return mean(differences) - half, mean(differences) + half


def separability(rows: Mapping[tuple[str, int], Mapping[str, Sequence[Arm]]]) -> str:
    """Purity and cost by how many sentences of a text are in its kind's wording."""
    lines = [
        "| reads | own sentences | purity k=1 | k=5 | cost k=1 | k=5 |",
        "|---|---|---|---|---|---|",
    ]
    for (reads, own), found in rows.items():
        base = mean(each.late for each in found["no learning"]) or 1
        purities = [_share([each.purity for each in found[name]]) for name in OURS]
        costs = [f"{mean(each.late for each in found[name]) / base:.2f}" for name in OURS]
        lines.append(f"| {reads} | {own} | {' | '.join([*purities, *costs])} |")
    return "\n".join(lines)


def _share(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean(known):.2f}" if known else "-"
