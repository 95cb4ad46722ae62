"""How RethinkMCTS judges a program: public tests, a failed one block by block, the model's own score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from agentloop.errors import EnvironmentFailed
from agentloop.hidden import public_task
from agentloop.json_reply import read_object
from agentloop.prompts import Prompts
from agentloop.recipes.rethink_feedback import Tokenizer, Trace, blocks_of, call_in, cut
from agentloop.search import Visit
from agentloop.tested import RunTests, Tested
from agentloop.types import Attempt, Fact, Feedback, Model, Task

TestsOf: TypeAlias = Callable[[Task], Sequence[str]]
"""Reads the public tests of a task, each a statement that can be run alone."""

PASSED = "All the tests that are shown with the task pass."


class RethinkSettings(NamedTuple):
    """The constants of the method, as published. Tokens are counted by the tokenizer that is given."""

    rollouts: int = 16
    width: int = 3
    rethinks: int = 1
    """How often the thought of a new node may be replaced."""
    discount: float = 0.9
    constant: float = 4.0
    base: float = 10.0
    passing: float = 0.8
    """The share of the pass rate in the value of a program that passes; the rest is its self-score's."""
    shown_tests: int = 6
    test_tokens: int = 2_048
    most_tokens: int = 12_000
    """Material longer than this is cut to its first ``kept_tokens``."""
    kept_tokens: int = 8_000
    blocks: int = 10
    """Blocks of a run that are shown, half of them its first and half its last."""
    block_tokens: int = 5_000
    stop_at: float | None = None
    """End once a program is worth this much. Published: None, all rollouts are made."""


class Judged(NamedTuple):
    """What a program is worth and why; ``material`` is for the next thoughts, empty where no test failed."""

    value: float
    feedback: Feedback
    material: str = ""


class JudgeProgram:
    """Runs the public tests on a program, tells what they showed, and says what the program is worth."""

    def __init__(
        self,
        model: Model,
        run_tests: RunTests,
        *,
        tests: TestsOf,
        trace: Trace | None,
        tokenizer: Tokenizer,
        settings: RethinkSettings,
        sampling: Mapping[str, Any],
    ) -> None:
        self.model, self.run_tests, self.tests, self.trace = model, run_tests, tests, trace
        self.tokenizer, self.settings, self.sampling = tokenizer, settings, dict(sampling)
        self.prompts = getattr(model, "prompts", None) or Prompts()

    async def __call__(self, visit: Visit, attempt: Attempt, thoughts: str) -> Judged:
        """Judge the attempt's program, which was written from ``thoughts``."""
        results = await self._run(visit, attempt)
        failed = [each for each in results if not each.passed]
        items = {"tests": str(len(results)), "tests_passed": str(len(results) - len(failed))}
        if failed:
            told = await self._told(visit, attempt, failed, len(results))
            value = (len(results) - len(failed)) / len(results)
            feedback = Feedback(text=told, verdict="fail", score=value, source="tests", items=items)
            return Judged(value, feedback, self._material(visit, attempt, thoughts, told))
        if not results:
            text = self.prompts.render("self_tests_none")
            return Judged(0.0, Feedback(text=text, kind="unary", source="tests", items=items))
        own = await self._self_score(visit, attempt, thoughts)
        value = self.settings.passing + (1.0 - self.settings.passing) * own
        items["self_score"] = f"{own:g}"
        return Judged(
            value, Feedback(text=PASSED, verdict="pass", score=max(0.0, value), source="tests", items=items)
        )

    async def _run(self, visit: Visit, attempt: Attempt) -> list[Tested]:
        task = public_task(visit.task)
        tests = list(self.tests(task))

        async def make() -> list[dict[str, Any]]:
            results = await self.run_tests(task, attempt.text, tests)
            if len(results) != len(tests):
                raise EnvironmentFailed(f"{len(tests)} tests were to be run, {len(results)} came back")
            return [each.to_dict() for each in results]

        asked = "\n".join([attempt.text, *tests])
        made = await visit.once(asked, make, role="judge", attempt=attempt.number)
        return [Tested.from_dict(each) for each in made]

    async def _told(self, visit: Visit, attempt: Attempt, failed: Sequence[Tested], total: int) -> str:
        """The failed tests in words, and the run of the first that can be traced, block by block."""
        settings = self.settings
        shown = [
            f"## Failed test {number}\n{cut(_result(each), settings.test_tokens, self.tokenizer)}"
            for number, each in enumerate(failed[: settings.shown_tests], start=1)
        ]
        return self.prompts.render(
            "rethink_told",
            passed=str(total - len(failed)),
            total=str(total),
            failed="\n\n".join(shown),
            blocks=await self._blocks(visit, attempt, failed[: settings.shown_tests]),
        )

    async def _blocks(self, visit: Visit, attempt: Attempt, failed: Sequence[Tested]) -> str:
        """The run of the first failed test that yields a trace, and what the model says of its blocks."""
        for each in failed:
            fact = await self._traced(visit, attempt, call_in(each.test))
            run = "" if fact is None else self._shown(fact)
            if run:
                test = cut(_result(each), self.settings.test_tokens, self.tokenizer)
                return await self._debugged(visit, attempt, test, run)
        return ""

    async def _traced(self, visit: Visit, attempt: Attempt, call: str) -> Fact | None:
        trace, task = self.trace, public_task(visit.task)
        if trace is None or not call:
            return None

        async def make() -> dict[str, Any]:
            return (await trace(task, attempt.text, call)).to_dict()

        asked = f"{attempt.text}\n{call}"
        return Fact.from_dict(await visit.once(asked, make, role="judge", attempt=attempt.number))

    def _shown(self, fact: Fact) -> str:
        settings = self.settings
        return blocks_of(fact, most=settings.blocks, tokens=settings.block_tokens, tokenizer=self.tokenizer)

    async def _debugged(self, visit: Visit, attempt: Attempt, test: str, run: str) -> str:
        text = self.prompts.render(
            "rethink_blocks", task=visit.task.prompt, program=attempt.text, test=test, run=run
        )
        asked = await visit.ask(self.model, text, role="judge", attempt=attempt.number, **self.sampling)
        return f"One of them, block by block:\n{test}\n\n{run}\n\n{asked.reply.text.strip()}"

    async def _self_score(self, visit: Visit, attempt: Attempt, thoughts: str) -> float:
        """The model's own score of a program that passes, from -1 to 1; 0 where it cannot be read."""
        text = self.prompts.render(
            "rethink_score", task=visit.task.prompt, thoughts=thoughts, program=attempt.text
        )
        asked = await visit.ask(self.model, text, role="judge", attempt=attempt.number, **self.sampling)
        return read_score(asked.reply.text)

    def _material(self, visit: Visit, attempt: Attempt, thoughts: str, told: str) -> str:
        """All that led to a failure, cut to size."""
        prompt = visit.task.prompt
        text = self.prompts.render(
            "rethink_material", task=prompt, thoughts=thoughts, program=attempt.text, told=told
        )
        return cut(text, self.settings.most_tokens, self.tokenizer, to=self.settings.kept_tokens)


def read_score(reply: str) -> float:
    """The score in a reply, put between -1 and 1; 0 where there is none to read."""
    found = read_object(reply, key="score") or {}
    try:
        score = float(found.get("score", 0.0))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return 0.0 if math.isnan(score) else max(-1.0, min(1.0, score))


def _result(each: Tested) -> str:
    return f"{each.test}\n# {f'it gave: {each.got}' if each.got else 'it did not hold'}"
