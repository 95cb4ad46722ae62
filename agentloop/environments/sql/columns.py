"""Which column of one result may be which column of another, when their order does not count.

Trying every order of eight columns takes seconds. Here a column is first described by what no
order of rows or columns changes, and only columns of the same description are tried for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from agentloop.environments.sql.rows import Row

MOST_CHECKS = 200
"""Partial orders that are checked. Results too alike in their columns for that count as different."""

Coded = list[tuple[int, ...]]


def assignments(
    left: Sequence[Row], right: Sequence[Row], close: Callable[[float, float], bool]
) -> Iterator[tuple[int, ...]]:
    """Orders in which the columns of ``left`` might match those of ``right``, a few at most."""
    if not left or len(left) != len(right):
        return
    code = _Codes()
    numbers = _number_classes([*left, *right], close)
    ours, theirs = _coded(left, numbers, code), _coded(right, numbers, code)
    mine, other = _described(ours, code), _described(theirs, code)
    if sorted(mine) != sorted(other):
        return
    candidates = [[index for index, sign in enumerate(mine) if sign == wanted] for wanted in other]
    yield from _Search(ours, theirs, candidates).orders()


class _Codes:
    """Small numbers for whatever can be hashed, the same for the same thing."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}
        self._next = count()

    def __call__(self, thing: Any) -> int:
        found = self._known.get(thing)
        if found is None:
            found = self._known[thing] = next(self._next)
        return found


def _number_classes(rows: Sequence[Row], close: Callable[[float, float], bool]) -> dict[float, int]:
    """Numbers that are the same within the tolerance, or joined by such, get one class.

    That is coarser than the tolerance, so it never rules out an order that would match.
    """
    classes: dict[float, int] = {}
    before, number = None, 0
    for value in sorted({cell for row in rows for cell in row if isinstance(cell, (int, float))}):
        if before is not None and not close(float(before), float(value)):
            number += 1
        classes[value] = number
        before = value
    return classes


def _coded(rows: Sequence[Row], numbers: dict[float, int], code: _Codes) -> Coded:
    return [
        tuple(
            code(("number", numbers[cell])) if isinstance(cell, (int, float)) else code(cell) for cell in row
        )
        for row in rows
    ]


def _described(rows: Coded, code: _Codes) -> list[int]:
    """What each column holds, and in which company, up to the order of rows and columns."""
    width = len(rows[0])
    signs = [0] * width
    for _ in range(2):
        company = [code(("row", tuple(sorted(zip(signs, row, strict=True))))) for row in rows]
        signs = [
            code(
                (
                    "column",
                    tuple(sorted((row[index], with_) for row, with_ in zip(rows, company, strict=True))),
                )
            )
            for index in range(width)
        ]
    return signs


class _Search:
    """Assigns column after column, as long as the rows so far are the same multiset."""

    def __init__(self, left: Coded, right: Coded, candidates: list[list[int]]) -> None:
        self._left, self._right, self._candidates = left, right, candidates
        self._sequence = sorted(range(len(candidates)), key=lambda index: len(candidates[index]))
        self._code = _Codes()
        self._checks = MOST_CHECKS

    def orders(self) -> Iterator[tuple[int, ...]]:
        """The orders found before the checks are used up."""
        yield from self._extend((), [0] * len(self._left), [0] * len(self._right))

    def _extend(
        self, chosen: tuple[int, ...], left: list[int], right: list[int]
    ) -> Iterator[tuple[int, ...]]:
        if len(chosen) == len(self._sequence):
            order = dict(zip(self._sequence, chosen, strict=True))
            yield tuple(order[index] for index in range(len(order)))
            return
        column = self._sequence[len(chosen)]
        wanted = self._with(right, self._right, column)
        goal = sorted(wanted)
        for candidate in self._candidates[column]:
            if candidate in chosen:
                continue
            if self._checks <= 0:
                return
            self._checks -= 1
            reached = self._with(left, self._left, candidate)
            if sorted(reached) == goal:
                yield from self._extend((*chosen, candidate), reached, wanted)

    def _with(self, before: list[int], rows: Coded, column: int) -> list[int]:
        code = self._code
        return [code((sofar, row[column])) for sofar, row in zip(before, rows, strict=True)]
