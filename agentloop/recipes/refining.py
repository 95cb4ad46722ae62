"""A session of test refinement: each step changes a generator and its commands, and measures their tests."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentloop.edits import Edited, apply_edits
from agentloop.errors import BadInput
from agentloop.json_reply import read_object
from agentloop.prompts import Prompts
from agentloop.recipes.measuring_tests import Case, Measured, Measuring
from agentloop.recipes.rethink_feedback import Tokenizer
from agentloop.record import Record
from agentloop.types import Fact, Step, Task, digest

NOTHING = "(none)"
NO_COMMANDS = (
    'There are no commands, so no test was made. End the reply with {"add": [...], "remove": [...]}.'
)

_FENCED = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


class RefineTestsSettings(NamedTuple):
    """The constants of the method, as published."""

    rounds: int = 3
    shown: int = 10
    """The most misjudged solutions of each side that are shown, drawn at random."""
    shown_characters: int = 1_000
    """What is longer, of an input, an output or a program, is cut to its first characters."""
    most_tokens: int | None = None
    """End once the conversation is longer than this; None leaves that to the model's own limit."""
    concurrency: int = 4


class RefinedTests(Record):
    """What refinement came to: the generator, its commands, and the tests of the last round.

    ``tests`` are those that no right solution fails; ``dropped`` the others. ``right_rate`` and
    ``wrong_rate`` (TPR and TNR) judge by all tests of the round, ``kept_wrong_rate`` by ``tests`` alone.
    """

    generator: str
    commands: tuple[str, ...]
    constraints: str
    tests: tuple[Case, ...]
    dropped: tuple[Case, ...]
    right_rate: float
    wrong_rate: float
    kept_wrong_rate: float
    settled: bool
    ended: str = ""


class Refining:
    """Opens a session of refinement for a task."""

    async_sessions = True

    def __init__(
        self, measuring: Measuring, settings: RefineTestsSettings, prompts: Prompts, *, tokenizer: Tokenizer
    ) -> None:
        self.measuring, self.settings, self.prompts, self.tokenizer = measuring, settings, prompts, tokenizer

    def __call__(self, task: Task) -> _Session:
        """A session; BadInput when the task lacks its solutions."""
        return _Session(self, task)


class _Session:
    """The rounds of one attempt: a generator, its commands, and how their tests judged the solutions."""

    def __init__(self, refining: Refining, task: Task) -> None:
        self.refining, self.task = refining, task
        self.right, self.wrong = _programs(task, "right"), _programs(task, "wrong")
        self.generator = str(task.public.get("generator") or "")
        self.commands: list[str] = []
        self.constraints = ""
        self.round = 0
        self.tokens = 0

    async def prompt(self) -> str:
        """The problem, the generator, and how to reply."""
        settings = self.refining.settings
        return self._counted(
            self.refining.prompts.render(
                "refine_tests",
                problem=self.task.prompt,
                generator=self.generator or NOTHING,
                rounds=str(settings.rounds),
            )
        )

    async def step(self, action: str, /) -> Step:
        """One round."""
        self.round += 1
        self._counted(action)
        left_out = self._change(action)
        measured = await self.refining.measuring(
            self.generator, self.commands, right=self.right, wrong=self.wrong
        )
        told = self._counted(self._told(measured, left_out))
        most = self.refining.settings.most_tokens
        too_long = most is not None and self.tokens > most
        ended = "context" if too_long and not measured.settled else ""
        data = self._result(measured, ended).to_dict()
        fact = Fact(kind="refined_tests", data=data)
        return Step(action=action, observation=told, facts=(fact,), done=measured.settled or too_long)

    async def close(self) -> None:
        """Nothing is held."""

    def _counted(self, text: str) -> str:
        self.tokens += len(self.refining.tokenizer.encode(text))
        return text

    def _change(self, reply: str) -> list[str]:
        """Take the reply's patches and commands; what could not be taken, in words."""
        edited = self._edited(reply)
        self.generator = edited.text
        found = read_object(reply, key="add") or read_object(reply, key="remove") or {}
        add, remove = _strings(found.get("add")), _strings(found.get("remove"))
        if isinstance(found.get("constraints"), str):
            self.constraints = found["constraints"]
        left_out = [edited.told()] if edited.unmatched else []
        left_out += [
            f"There is no command {each!r} to take away." for each in remove if each not in self.commands
        ]
        kept = [each for each in self.commands if each not in remove]
        self.commands = list(dict.fromkeys([*kept, *add]))
        return left_out if self.commands else [*left_out, NO_COMMANDS]

    def _edited(self, reply: str) -> Edited:
        edited = apply_edits(self.generator, reply)
        fenced = _FENCED.findall(reply)
        if not edited.text.strip() and fenced:  # a generator written whole, not as a block
            return Edited(text=fenced[-1])
        return edited

    def _told(self, measured: Measured, left_out: Sequence[str]) -> str:
        """What the model is shown of the round."""
        return self.refining.prompts.render(
            "refine_tests_round",
            round=str(self.round),
            rounds=str(self.refining.settings.rounds),
            tests=str(len(measured.cases)),
            commands=str(len(self.commands)),
            accepted=str(measured.right - len(measured.failing)),
            right=str(measured.right),
            rejected=str(measured.wrong - len(measured.passing)),
            wrong=str(measured.wrong),
            constraints=self.constraints or NOTHING,
            generator=self.generator or NOTHING,
            unmatched="\n".join(left_out) or NOTHING,
            broken="\n".join(f"{command}: {self._cut(why)}" for command, why in measured.broken.items())
            or NOTHING,
            inputs="\n".join(f"{case.command}\n{self._cut(case.input)}" for case in measured.cases)
            or NOTHING,
            failing="\n\n".join(self._failing(measured)) or NOTHING,
            passing="\n\n".join(self._cut(self.wrong[each]) for each in self._drawn(measured.passing))
            or NOTHING,
        )

    def _failing(self, measured: Measured) -> list[str]:
        told = []
        for number in self._drawn(measured.failing):
            lines = [self._cut(self.right[number])]
            for each in measured.failures:
                if each.solution == number:
                    case = measured.cases[each.case]
                    came = each.error or self._cut(each.got)
                    lines.append(f"on {case.command!r} wanted: {self._cut(case.output)}\nit gave: {came}")
            told.append("\n".join(lines))
        return told

    def _drawn(self, numbers: Sequence[int]) -> list[int]:
        """At most so many of them, at random, the same ones whenever the round is repeated."""
        shown = self.refining.settings.shown
        if len(numbers) <= shown:
            return list(numbers)
        draw = random.Random(digest(self.task.id, str(self.round)))
        return sorted(draw.sample(list(numbers), shown))

    def _cut(self, text: str) -> str:
        most = self.refining.settings.shown_characters
        return text if len(text) <= most else f"{text[:most]} [cut]"

    def _result(self, measured: Measured, ended: str) -> RefinedTests:
        return RefinedTests(
            generator=self.generator,
            commands=tuple(self.commands),
            constraints=self.constraints,
            tests=measured.kept,
            dropped=measured.dropped,
            right_rate=measured.right_rate,
            wrong_rate=measured.wrong_rate,
            kept_wrong_rate=measured.kept_wrong_rate,
            settled=measured.settled,
            ended=ended,
        )


NOTHING = "(none)"
NO_COMMANDS = (
    'There are no commands, so no test was made. End the reply with {"add": [...], "remove": [...]}.'
)


def _programs(task: Task, side: str) -> list[str]:
    given: Any = task.public.get(side)
    if not isinstance(given, (list, tuple)) or not given or not all(isinstance(each, str) for each in given):
        raise BadInput(
            f"task {task.id!r}: public.{side} must be a list of at least one program known to be {side}, "
            f"got {given!r:.80}"
        )
    return list(given)


def _strings(given: Any) -> list[str]:
    """The texts of a list, whatever else is in it or given."""
    return [each.strip() for each in given if isinstance(each, str)] if isinstance(given, list) else []
