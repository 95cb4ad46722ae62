"""Tests that an agent writes for itself: asked for, read from the reply, run one by one, told in words.

The test writer of Reflexion for programming (arXiv 2303.11366). The recipe and the critic share it.
"""

from __future__ import annotations

import ast
import json
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.context import RunContext, current
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.hidden import public_task
from agentloop.prompts import Prompts
from agentloop.tested import RunTests, Tested
from agentloop.types import Attempt, Feedback, Model, StopSignal, Task, Verdict, digest

LONGEST_TEST = 2_000
"""Characters of a line that is still read as a test."""


class Writer:
    """Has ``model`` write tests for a task, of which it is shown the prompt alone.

    Of those that can be read at most ``n_tests`` are drawn, by the run's seed.
    """

    def __init__(self, model: Model, *, n_tests: int, prompts: Prompts, sampling: Mapping[str, Any]) -> None:
        if n_tests < 1:
            raise BadInput(f"n_tests must be at least 1, got {n_tests}")
        self.model, self.n_tests, self.prompts, self.sampling = model, n_tests, prompts, sampling
        self._kept: dict[str, tuple[str, ...]] = {}

    async def write(self, task: Task, *, trajectory: str, number: int, run: RunContext) -> tuple[str, ...]:
        """The tests of ``task``, recorded in the node ``tests`` of attempt ``number``.

        Whoever asks there again in a run gets the same ones.
        """
        shown = self.prompts.render("self_tests", task=task.prompt)
        with run.at(trajectory, number, "tests"):
            replies = await run.ask(self.model, [{"role": "user", "content": shown}], **self.sampling)
        found = tests_in(replies[0].text)
        if len(found) <= self.n_tests:
            return found
        drawn = random.Random(digest(str(run.seed), trajectory, str(number)))
        return tuple(drawn.sample(found, self.n_tests))

    async def of_trajectory(self, attempt: Attempt) -> tuple[str, ...]:
        """The tests of the attempt's trajectory: a run's journal has them; without one they are kept here."""
        run, name = current.get() or RunContext(), attempt.trajectory
        if run.journal is None and attempt.number > 1 and name in self._kept:
            return self._kept[name]
        tests = await self.write(attempt.task, trajectory=name, number=1, run=run)
        if run.journal is None:
            self._kept[name] = tests
        return tests


def tests_in(reply: str) -> tuple[str, ...]:
    """The lines of ``reply`` that are tests: those that hold an ``assert`` and parse, in order.

    Reflexion keeps every line with the letters "assert" that parses, a comment and
    ``self.assertEqual(...)`` among them; here an assert statement must stand in it.
    """
    lines = (line.strip() for line in reply.splitlines() if "assert" in line)
    return tuple(line for line in lines if len(line) <= LONGEST_TEST and _is_test(line))


def _is_test(line: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Assert) for node in tree.body)


class ByTests:
    """A critic that runs ``tests``, each alone, and passes an attempt when all of them pass.

    The words are two lists, what passed and what failed, with the value that really came. ``items``
    holds the numbers ``tests`` and ``tests_passed``, and both lists as JSON. Without a test the verdict
    is ``untested``. Hidden data is not handed to ``run_tests``.
    """

    def __init__(
        self,
        tests: Sequence[str],
        run_tests: RunTests,
        *,
        prompts: Prompts,
        signal: StopSignal = "self",
        untested: Verdict = "unsure",
    ) -> None:
        self.tests = tuple(tests)
        self.run_tests = run_tests
        self.prompts = prompts
        self.signal: StopSignal = signal
        self.untested: Verdict = untested

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Judge the attempt; EnvironmentFailed when not every test was run."""
        if not self.tests:
            items = {"tests": "0", "tests_passed": "0"}
            text = self.prompts.render("self_tests_none")
            return Feedback(text=text, verdict=self.untested, kind="unary", source="tests", items=items)
        tested = await self.run_tests(public_task(attempt.task), attempt.text, self.tests)
        if len(tested) != len(self.tests):
            raise EnvironmentFailed(f"{len(self.tests)} tests were to be run, {len(tested)} came back")
        passed = [each.test for each in tested if each.passed]
        failed = [each.test for each in tested if not each.passed]
        return Feedback(
            text=self._told(tested),
            verdict="fail" if failed else "pass",
            source="tests",
            items={
                "tests": str(len(tested)),
                "tests_passed": str(len(passed)),
                "passed": json.dumps(passed),
                "failed": json.dumps(failed),
            },
        )

    def _told(self, tested: Sequence[Tested]) -> str:
        passed = "\n".join(each.test for each in tested if each.passed)
        failed = "\n".join(f"{each.test}  # {_came(each.got)}" for each in tested if not each.passed)
        return self.prompts.render("self_tests_report", passed=passed or "none", failed=failed or "none")


def _came(got: str) -> str:
    """What came, on one line."""
    return f"got: {got}".replace("\n", "\\n") if got else "did not hold"
