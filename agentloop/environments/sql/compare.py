"""Whether two results are the same: rows as a multiset, in order only where order was asked for.

Numbers are the same within a relative 1e-6 or an absolute 1e-9 where one of them is not whole; NULL
is the same as NULL, true as 1, and text is never the same as a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import isclose
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.environments.sql.columns import assignments
from agentloop.environments.sql.rows import Row

Columns: TypeAlias = Literal["fixed", "any"]

RELATIVE = 1e-6
ABSOLUTE = 1e-9
MOST_MATCHED = 64
"""Rows that differ in the last digits are matched one by one up to this many."""


class Result(NamedTuple):
    """Rows with their number of columns; an empty result has columns too."""

    width: int
    rows: Sequence[Row]


class Wanted(NamedTuple):
    """The rows that are wanted. ``blocks`` are the lengths of the runs of rows whose order is free.

    None: the order of all rows is free. All 1: every row has its place.
    """

    width: int
    rows: Sequence[Row]
    blocks: tuple[int, ...] | None = None


def same(result: Result, wanted: Wanted, *, columns: Columns = "fixed") -> bool:
    """Whether ``result`` is what is wanted; with ``columns="any"`` its columns may stand in any order."""
    if result.width != wanted.width or len(result.rows) != len(wanted.rows):
        return False
    if same_in_place(result.rows, wanted):
        return True
    if columns == "fixed":
        return False
    return any(
        same_in_place([tuple(row[index] for index in order) for row in result.rows], wanted)
        for order in assignments(result.rows, wanted.rows, close)
    )


def same_in_place(rows: Sequence[Row], wanted: Wanted) -> bool:
    """Whether the rows match, block by block."""
    start = 0
    for length in wanted.blocks or (len(wanted.rows),):
        if not same_multiset(rows[start : start + length], wanted.rows[start : start + length]):
            return False
        start += length
    return True


def same_multiset(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Whether every row of one side has its own match on the other."""
    if len(left) != len(right):
        return False
    if Counter(left) == Counter(right):
        return True
    ours, theirs = _by_text(left), _by_text(right)
    return ours.keys() == theirs.keys() and all(_matched(ours[key], theirs[key]) for key in ours)


def close(one: float, other: float) -> bool:
    """Whether two numbers are the same; whole ones only when they are equal."""
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    return isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def same_cell(one: Any, other: Any) -> bool:
    """Whether two values are the same."""
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return close(one, other)
    return bool(one == other)


def unmatched(left: Sequence[Row], right: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each side that have no match on the other, in their order."""
    ours, theirs = Counter(left), Counter(right)
    extra, missing = list((ours - theirs).elements()), list((theirs - ours).elements())
    if len(extra) > MOST_MATCHED or len(missing) > MOST_MATCHED:
        return extra, missing
    for row in tuple(extra):
        match = next((other for other in missing if _same_row(row, other)), None)
        if match is not None:
            extra.remove(row)
            missing.remove(match)
    return extra, missing


def _same_row(one: Row, other: Row) -> bool:
    return len(one) == len(other) and all(same_cell(a, b) for a, b in zip(one, other, strict=True))


Vector: TypeAlias = tuple[float, ...]


def _by_text(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Vector]]:
    """The numbers of the rows, under all that must be equal to the letter."""
    groups: dict[tuple[Any, ...], list[Vector]] = {}
    for row in rows:
        key = tuple(float if isinstance(cell, (int, float)) else cell for cell in row)
        numbers = tuple(cell for cell in row if isinstance(cell, (int, float)))
        groups.setdefault(key, []).append(numbers)
    return groups


def _matched(left: list[Vector], right: list[Vector]) -> bool:
    if len(left) != len(right):
        return False
    if all(_near(one, other) for one, other in zip(sorted(left), sorted(right), strict=True)):
        return True
    if len(left[0]) < 2:
        return False  # in one dimension the sorted order is the best matching
    ours, theirs = Counter(left), Counter(right)
    rest, others = list((ours - theirs).elements()), list((theirs - ours).elements())
    return len(rest) <= MOST_MATCHED and _matching(rest, others, _near)


def _near(one: Vector, other: Vector) -> bool:
    return all(close(a, b) for a, b in zip(one, other, strict=True))


def _matching(left: list[Vector], right: list[Vector], near: Callable[[Vector, Vector], bool]) -> bool:
    """Whether each of ``left`` can be paired with one of ``right`` (augmenting paths)."""
    edges = [[index for index, other in enumerate(right) if near(one, other)] for one in left]
    paired: dict[int, int] = {}

    def place(index: int, tried: set[int]) -> bool:
        for other in edges[index]:
            if other in tried:
                continue
            tried.add(other)
            if other not in paired or place(paired[other], tried):
                paired[other] = index
                return True
        return False

    return all(place(index, set()) for index in range(len(left)))
