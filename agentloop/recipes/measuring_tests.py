"""What tests are worth: the inputs that commands generate, the outputs wanted, who passes and who fails."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import NamedTuple, TypeAlias

from agentloop.bringing import bring
from agentloop.record import Record


class Ran(NamedTuple):
    """What a program printed, and why it did not come to its end; ``error`` is empty when it did."""

    output: str
    error: str = ""


RunProgram: TypeAlias = Callable[[str, str, Sequence[str]], Ran | Awaitable[Ran]]
"""Runs a program on an input: ``run_program(program, stdin, arguments)``, in a sandbox.

A program that breaks or takes too long is a ``Ran`` with an error; EnvironmentFailed is for a sandbox
that does.
"""


class Case(Record):
    """One test: the command that generated it, the input, and the output that is wanted."""

    command: str
    input: str
    output: str


class Failure(Record):
    """A right solution that fails a test: which solution and case, and what it printed or why it broke."""

    solution: int
    case: int
    got: str = ""
    error: str = ""


class Measured(Record):
    """One round's tests, and how they judge the solutions, by their numbers.

    ``right_rate`` (TPR) is the share of right solutions that pass every test, ``wrong_rate`` (TNR) that
    of wrong ones that fail one. ``kept`` are the tests that no right solution fails, and
    ``kept_wrong_rate`` is TNR by those alone.
    """

    cases: tuple[Case, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    passing: tuple[int, ...] = ()
    right: int
    wrong: int
    kept_wrong_rate: float = 0.0

    @property
    def failing(self) -> tuple[int, ...]:
        """The right solutions that fail a test."""
        return tuple(dict.fromkeys(failure.solution for failure in self.failures))

    @property
    def right_rate(self) -> float:
        """TPR."""
        return 1.0 - len(self.failing) / self.right

    @property
    def wrong_rate(self) -> float:
        """TNR."""
        return 1.0 - len(self.passing) / self.wrong

    @property
    def kept(self) -> tuple[Case, ...]:
        """The tests that no right solution fails."""
        failed = {failure.case for failure in self.failures}
        return tuple(case for number, case in enumerate(self.cases) if number not in failed)

    @property
    def dropped(self) -> tuple[Case, ...]:
        """The tests that a right solution fails."""
        kept = self.kept
        return tuple(case for case in self.cases if case not in kept)

    @property
    def settled(self) -> bool:
        """Whether the tests judge every solution rightly."""
        return not self.failures and not self.passing


def same_output(wanted: str, got: str) -> bool:
    """Whether two outputs are the same line by line, without blanks at the ends of lines and empty lines."""
    return _lines(wanted) == _lines(got)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


class Measuring:
    """Runs generators and solutions, at most ``concurrency`` at once."""

    def __init__(
        self, run_program: RunProgram, *, same: Callable[[str, str], bool], concurrency: int
    ) -> None:
        self.run_program = run_program
        self.same = same
        self.concurrency = concurrency

    async def __call__(
        self, generator: str, commands: Sequence[str], *, right: Sequence[str], wrong: Sequence[str]
    ) -> Measured:
        """Generate the tests and judge the solutions by them."""
        gate = asyncio.Semaphore(self.concurrency)
        inputs, broken = await self._inputs(generator, commands, gate)
        by_right = await self._all(right, list(inputs), gate)
        cases: list[Case] = []
        columns: list[int] = []
        for number, (text, command) in enumerate(inputs.items()):
            outputs = [runs[number].output for runs in by_right if not runs[number].error]
            if outputs:
                cases.append(Case(command=command, input=text, output=_most_common(outputs, self.same)))
                columns.append(number)
            else:
                broken[command] = f"no right solution came to its end on it: {by_right[0][number].error}"
        judged = [[runs[number] for number in columns] for runs in by_right]
        failures = [
            Failure(solution=solution, case=case, got=ran.output, error=ran.error)
            for solution, runs in enumerate(judged)
            for case, ran in enumerate(runs)
            if not self._passes(cases[case], ran)
        ]
        by_wrong = await self._all(wrong, [case.input for case in cases], gate)
        caught = [
            {case for case, ran in enumerate(runs) if not self._passes(cases[case], ran)} for runs in by_wrong
        ]
        unsound = {failure.case for failure in failures}
        return Measured(
            cases=tuple(cases),
            broken=broken,
            failures=tuple(failures),
            passing=tuple(number for number, each in enumerate(caught) if not each),
            right=len(right),
            wrong=len(wrong),
            kept_wrong_rate=sum(bool(each - unsound) for each in caught) / len(wrong),
        )

    async def _inputs(
        self, generator: str, commands: Sequence[str], gate: asyncio.Semaphore
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Each generated input once, with its command; and why a command brought none."""
        runs = await asyncio.gather(*(self._generated(generator, command, gate) for command in commands))
        inputs: dict[str, str] = {}
        broken: dict[str, str] = {}
        for command, ran in zip(commands, runs, strict=True):
            if ran.error:
                broken[command] = ran.error
            elif ran.output in inputs:
                broken[command] = f"it generates the same input as {inputs[ran.output]!r}"
            else:
                inputs[ran.output] = command
        return inputs, broken

    async def _generated(self, generator: str, command: str, gate: asyncio.Semaphore) -> Ran:
        try:
            arguments = shlex.split(command)
        except ValueError as error:
            return Ran("", f"the command cannot be read: {error}")
        return await self._run(generator, "", arguments, gate)

    async def _all(
        self, programs: Sequence[str], inputs: Sequence[str], gate: asyncio.Semaphore
    ) -> list[list[Ran]]:
        """Every program on every input."""
        runs = await asyncio.gather(
            *(self._run(program, text, (), gate) for program in programs for text in inputs)
        )
        width = len(inputs)
        return [list(runs[row * width : (row + 1) * width]) for row in range(len(programs))]

    async def _run(self, program: str, stdin: str, arguments: Sequence[str], gate: asyncio.Semaphore) -> Ran:
        async with gate:
            return await bring(self.run_program, program, stdin, arguments)

    def _passes(self, case: Case, ran: Ran) -> bool:
        return not ran.error and self.same(case.output, ran.output)


def _most_common(outputs: Sequence[str], same: Callable[[str, str], bool]) -> str:
    """The output that most others are the same as, the first of equals."""
    return max(outputs, key=lambda one: sum(same(one, other) for other in outputs))
