"""A critic by tests that a model writes for the task itself, and the count of those that were wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agentloop.own_tests import ByTests, Writer
from agentloop.prompts import Prompts
from agentloop.tested import RunTests
from agentloop.types import Attempt, Critic, Feedback, Model, StopSignal, Trajectory, Verdict

SAMPLING: Mapping[str, Any] = {"temperature": 0.2, "max_tokens": 1024}
"""How tests are asked for in Reflexion's programs."""


def self_test_critic(
    model: Model,
    run_tests: RunTests,
    *,
    n_tests: int = 5,
    untested: Verdict = "unsure",
    prompts: Prompts | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Critic:
    """A critic that has ``model`` write tests from the task's prompt, once a trajectory, and runs them.

    As in Reflexion (arXiv 2303.11366): of the lines that hold an assert statement and parse, at most
    ``n_tests`` are drawn; each is run alone by ``run_tests``; the words list what passed, and what
    failed with the value that came. The verdict is "pass" when all pass, and ``untested`` when there
    is none to run; the score is the share that passed. ``items`` holds ``tests``, ``tests_passed``,
    and both lists as JSON. Hidden tests reach neither the model nor ``run_tests``.

    In a run the tests stand in the journal, in the node ``tests`` of the first attempt. A loop that
    the verdict stops is recorded as stopped by ``self``: the tests may be wrong (``count_self_tests``).
    """
    texts = prompts or getattr(model, "prompts", None) or Prompts()
    asked = SAMPLING if sampling is None else sampling
    writer = Writer(model, n_tests=n_tests, prompts=texts, sampling=asked)
    return _SelfTests(writer, run_tests, untested)


class _SelfTests:
    signal: StopSignal = "self"

    def __init__(self, writer: Writer, run_tests: RunTests, untested: Verdict) -> None:
        self.writer, self.run_tests = writer, run_tests
        self.untested: Verdict = untested

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Judge the attempt."""
        tests = await self.writer.of_trajectory(attempt)
        judge = ByTests(tests, self.run_tests, prompts=self.writer.prompts, untested=self.untested)
        feedback = await judge(attempt)
        if not tests:
            return feedback
        return feedback.replace(score=int(feedback.items["tests_passed"]) / len(tests))


class SelfTestCounts(NamedTuple):
    """How the tests of finished trajectories stand beside the grader. Tests count once a trajectory."""

    attempts: int = 0
    """Attempts that were tested and graded."""
    tests: int = 0
    """Tests run on them."""
    rejected_right: int = 0
    """Tests that failed a program which the grader passes: they are wrong."""
    accepted_wrong: int = 0
    """Tests that passed a program which the grader fails: wrong, or too weak to notice."""
    false_positives: int = 0
    """Attempts that passed all their tests and failed the grader's."""
    false_negatives: int = 0
    """Attempts that failed a test and passed the grader's."""


def count_self_tests(trajectories: Iterable[Trajectory]) -> SelfTestCounts:
    """Count wrong tests, of this critic or of the recipe ``reflexion_code_agent``, over a finished run.

    ``count_self_tests(run.trajectories())``. What no grader scored is left out.
    """
    total = SelfTestCounts()
    for trajectory in trajectories:
        counted = _count(trajectory)
        total = SelfTestCounts(*(one + other for one, other in zip(total, counted, strict=True)))
    return total


def _count(trajectory: Trajectory) -> SelfTestCounts:
    attempts = positives = negatives = 0
    run: set[str] = set()
    rejecting: set[str] = set()
    accepting: set[str] = set()
    for attempt in trajectory.attempts:
        feedback = attempt.feedback
        if feedback is None or attempt.score is None or "tests_passed" not in feedback.items:
            continue
        attempts += 1
        passed, failed = (json.loads(feedback.items.get(name, "[]")) for name in ("passed", "failed"))
        run.update(passed, failed)
        if attempt.passed:
            rejecting.update(failed)
            negatives += feedback.verdict == "fail"
        else:
            accepting.update(passed)
            positives += feedback.verdict == "pass"
    return SelfTestCounts(attempts, len(run), len(rejecting), len(accepting), positives, negatives)
