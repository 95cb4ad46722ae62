"""Chooses among the samples of a task by tests that may be wrong, and counts how often that was right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agentloop.bringing import bring
from agentloop.context import once
from agentloop.errors import BadInput
from agentloop.hidden import public_task
from agentloop.record import Record
from agentloop.run import Run
from agentloop.running import background
from agentloop.selection import Choice, Rule, b4, choose
from agentloop.tested import RunTests, Tested
from agentloop.types import Attempt, Task, Trajectory

if TYPE_CHECKING:
    from agentloop.selection import Matrix

TestsOf: TypeAlias = Callable[[Task], Sequence[str] | Awaitable[Sequence[str]]]
"""The tests that programs for a task are compared by; it is given the task without hidden data."""


async def pass_matrix(
    run_tests: RunTests, task: Task, *, programs: Sequence[str], tests: Sequence[str]
) -> Matrix:
    """Run every test alone on every program. Equal programs are run once.

    Inside a node of a run each program's results are an effect, had once.
    """
    import numpy as np

    shown = public_task(task)
    rows: dict[str, list[bool]] = {}
    for program in programs:
        if program in rows:
            continue

        async def make(program: str = program) -> list[bool]:
            return passes(await run_tests(shown, program, tests), tests)

        rows[program] = await once("\n".join([task.id, program, *tests]), make)
    return np.array([rows[program] for program in programs], dtype=bool).reshape(len(programs), len(tests))


def passes(tested: Sequence[Tested], tests: Sequence[str]) -> list[bool]:
    """Which tests passed, in the order in which they were given; BadInput when that cannot be told."""
    if [each.test for each in tested] != list(tests):
        raise BadInput(
            f"run_tests was given {len(tests)} tests and has to bring a result of each, in order; it brought "
            f"{len(tested)}: {[each.test for each in tested]!r:.80}"
        )
    return [each.passed for each in tested]


class Chosen(Record):
    """The choice among the trajectories of one task, and what the record says of it.

    ``passed`` is what the record says of the chosen attempt, ``share_passed`` how many of all did: what
    choosing at random brings. ``wrong_tests`` counts those that a program failed which passed for the
    record; None where the record knows no such program.
    """

    task: str
    attempt: Attempt
    choice: Choice
    programs: int
    tests: int
    passed: bool | None = None
    share_passed: float | None = None
    wrong_tests: int | None = None


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The choices of a run, one a task."""

    chosen: tuple[Chosen, ...]

    @property
    def rate(self) -> float:
        """The share of tasks whose chosen attempt passed, of those the record knows."""
        return _mean([float(each.passed) for each in self.chosen if each.passed is not None])

    @property
    def random_rate(self) -> float:
        """What choosing at random brings on average."""
        return _mean([each.share_passed for each in self.chosen if each.share_passed is not None])

    @property
    def results(self) -> Mapping[str, Sequence[float]]:
        """The result of each task, as ``compare_results`` takes them."""
        return {each.task: [float(each.passed)] for each in self.chosen if each.passed is not None}

    def summary(self) -> str:
        """The choices in one line."""
        known = [each for each in self.chosen if each.wrong_tests is not None]
        wrong, tests = sum(each.wrong_tests or 0 for each in known), sum(each.tests for each in known)
        tied = sum(len(each.choice.tied) > 1 for each in self.chosen)
        return (
            f"{len(self.chosen)} tasks: {self.rate:.1%} passed, {self.random_rate:.1%} at random; "
            f"{tied} ties; {wrong} of {tests} tests are known to be wrong"
        )


def choose_among(
    run: Run, run_tests: RunTests, *, tests: TestsOf, rule: Rule = b4, seed: int | None = None
) -> Choices:
    """Choose among the ``samples`` of each task of a run by tests; see ``achoose_among``."""
    return background.run(achoose_among(run, run_tests, tests=tests, rule=rule, seed=seed))


async def achoose_among(
    run: Run, run_tests: RunTests, *, tests: TestsOf, rule: Rule = b4, seed: int | None = None
) -> Choices:
    """Choose among the trajectories of each task, by their chosen attempts and the tests of ``tests``.

    Only public evidence decides: whether an attempt passed for the record is read to count how often
    the choice was right, never to make it. Attempts that broke or said nothing are left out, and tasks
    without others with them. Nothing is written to the run.
    """
    groups: dict[str, list[Attempt]] = {}
    for trajectory in run.trajectories():
        attempt = _answer(trajectory)
        if attempt is not None:
            groups.setdefault(trajectory.group_id, []).append(attempt)
    chosen = []
    for attempts in groups.values():
        task = attempts[0].task
        written = list(await bring(tests, public_task(task)))
        programs = [attempt.text for attempt in attempts]
        matrix = await pass_matrix(run_tests, task, programs=programs, tests=written)
        chosen.append(_chosen(attempts, matrix, choose(matrix, rule, seed=seed)))
    return Choices(chosen=tuple(chosen))


def _answer(trajectory: Trajectory) -> Attempt | None:
    """The attempt of a trajectory that counts, unless it broke or said nothing."""
    attempts = {attempt.number: attempt for attempt in trajectory.attempts}
    attempt = attempts.get(trajectory.chosen or 0)
    return None if attempt is None or attempt.error or not attempt.text.strip() else attempt


def _chosen(attempts: Sequence[Attempt], matrix: Matrix, choice: Choice) -> Chosen:
    known = [attempt.passed for attempt in attempts if attempt.passed is not None]
    right = [number for number, attempt in enumerate(attempts) if attempt.passed]
    return Chosen(
        task=attempts[0].task.id,
        attempt=attempts[choice.chosen],
        choice=choice,
        programs=len(attempts),
        tests=matrix.shape[1],
        passed=attempts[choice.chosen].passed,
        share_passed=_mean([float(each) for each in known]) if known else None,
        wrong_tests=int((~matrix[right]).any(axis=0).sum()) if right else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
