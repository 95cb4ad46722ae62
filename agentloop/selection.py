"""Choosing among finished programs by tests that may be wrong themselves: B4, CodeT and simpler rules.

A pass matrix has a row for each program and a column for each test; 1 where the program passes. Neither
programs nor tests need be right: both were written by models.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from agentloop.errors import BadInput
from agentloop.record import Record

if TYPE_CHECKING:
    import numpy as np

    Matrix: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

Rule: TypeAlias = "Callable[[Matrix], Sequence[float]]"
"""Scores every program of a checked pass matrix; the highest is chosen."""


class Choice(Record):
    """Which program was chosen, and all that the rule holds for equally good, the chosen one among them."""

    chosen: int
    tied: tuple[int, ...]
    scores: tuple[float, ...]


def b4(matrix: Matrix, *, alpha: float = 1e3, beta: float = 1e4) -> list[float]:
    """B4 (arXiv 2409.08692): how likely just these programs and just the tests they pass are right.

    ln B(a_x) + ln B(a_y) + ln B(a_1) + ln B(a_0) of each set of programs with one row, where B(s, f) is
    the Beta function of successes and failures, each with its prior: the set's members among all
    programs and their tests among all (``alpha``, 1), passes of other programs on these tests (1, 1)
    and on the other tests (1, ``beta``). Published: alpha 1e3 and beta 1e4, 1e5 or 1e6 on real data,
    10 and 10 in simulation.
    """
    programs, tests = matrix.shape
    scores: dict[bytes, float] = {}
    for row, members in _sets(matrix).items():
        passed = matrix[members[0]]
        others = [number for number in range(programs) if number not in members]
        on_passed, on_failed = matrix[others][:, passed], matrix[others][:, ~passed]
        scores[row] = (
            _log_beta(len(members), programs, alpha, 1.0)
            + _log_beta(int(passed.sum()), tests, alpha, 1.0)
            + _log_beta(int(on_passed.sum()), on_passed.size, 1.0, 1.0)
            + _log_beta(int(on_failed.sum()), on_failed.size, 1.0, beta)
        )
    return [scores[row.tobytes()] for row in matrix]


def codet(matrix: Matrix) -> list[float]:
    """CodeT: tests passed, times the root of how many programs pass just these (arXiv 2207.10397)."""
    sets = _sets(matrix)
    return [float(row.sum()) * math.sqrt(len(sets[row.tobytes()])) for row in matrix]


def max_pass(matrix: Matrix) -> list[float]:
    """The most tests passed."""
    return [float(row.sum()) for row in matrix]


def mbr_exec(matrix: Matrix) -> list[float]:
    """MBR-exec: the most programs that pass just the same tests (arXiv 2204.11454)."""
    sets = _sets(matrix)
    return [float(len(sets[row.tobytes()])) for row in matrix]


def at_random(matrix: Matrix) -> list[float]:
    """Every program alike; with a seed ``choose`` then draws among all. The control of the others."""
    return [0.0] * len(matrix)


def choose(matrix: Any, rule: Rule = b4, *, seed: int | None = None) -> Choice:
    """The program that ``rule`` scores highest. Of those that tie the first, or with ``seed`` one at random.

    Without a test nothing is known, and all tie.
    """
    checked = pass_table(matrix)
    scores = [float(score) for score in rule(checked)]
    if len(scores) != len(checked):
        raise BadInput(f"the rule must give a score for each of {len(checked)} programs, got {len(scores)}")
    if any(math.isnan(score) for score in scores):
        raise BadInput(f"the rule gave NaN among its scores {scores}; check its constants")
    most = max(scores)
    tied = tuple(
        number
        for number, score in enumerate(scores)
        if score == most or math.isclose(score, most, rel_tol=1e-12, abs_tol=1e-12)
    )
    chosen = tied[0] if seed is None else random.Random(seed).choice(tied)
    return Choice(chosen=chosen, tied=tied, scores=tuple(scores))


def pass_table(matrix: Any) -> Matrix:
    """A pass matrix, checked: at least one program, as many columns in every row, and nothing but 0 and 1."""
    import numpy as np

    try:
        table = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError) as error:
        raise BadInput(
            "a pass matrix needs one row a program and in each as many results, 0 or 1, as there are tests; "
            f"got {matrix!r:.80}"
        ) from error
    if table.ndim != 2 or not len(table):
        raise BadInput(
            f"a pass matrix needs two dimensions, programs and tests, and at least one program; got the "
            f"shape {table.shape}"
        )
    if np.isnan(table).any():
        program, test = (int(each[0]) for each in np.nonzero(np.isnan(table)))
        raise BadInput(
            f"program {program} has NaN for test {test}: a test that could not be run says nothing; run it "
            "again, or leave its column out"
        )
    odd = table[(table != 0) & (table != 1)]
    if odd.size:
        raise BadInput(f"a pass matrix holds 0 and 1 alone, got {odd.flat[0]:g}")
    return table.astype(bool)


def _sets(matrix: Matrix) -> dict[bytes, list[int]]:
    """Consensus sets: the programs of each row."""
    sets: dict[bytes, list[int]] = {}
    for number, row in enumerate(matrix):
        sets.setdefault(row.tobytes(), []).append(number)
    return sets


def _log_beta(successes: int, of: int, alpha: float, beta: float) -> float:
    a, b = successes + alpha, of - successes + beta
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
