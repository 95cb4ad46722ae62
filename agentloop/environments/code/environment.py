"""The environment of programming tasks: programs run in a sandbox and are judged by tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.environments.code.assignment import Assignment, assignment_of
from agentloop.environments.code.judging import counted, joined, sound, writable
from agentloop.environments.code.program import Assembled, Program, program_in
from agentloop.environments.code.session import CodeSession
from agentloop.environments.code.verdict import Backend, Job, Verdict
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.tested import Tested
from agentloop.types import Attempt, Fact, Task

if TYPE_CHECKING:
    from agentloop.environments.code.layers import Require

T = TypeVar("T")

LONGEST_GOT = 400


class CodeEnvironment:
    """Lets an agent write Python, run in a sandbox and judged by tests (docs/code.md has the form of tasks).

    ``sandbox`` is a Sandbox, or any other Backend, that is yours to close; without it the environment
    makes a Sandbox of its own with the switches that follow, which refuses where the layers that
    ``require`` asks for are missing. ``packages`` (those installed in the interpreter, or in the one
    that ``python`` names), ``subprocess``, ``network`` and ``folders`` (further ones that may be read)
    open it further and are off. One run of the tests is ended after ``timeout_seconds``, a test of
    ``run_tests`` after ``test_seconds`` (Reflexion gives it 5). ``workers`` programs run at once.
    """

    async_sessions = True

    def __init__(
        self,
        sandbox: Backend | None = None,
        *,
        timeout_seconds: float = 3.0,
        test_seconds: float = 5.0,
        require: Require = "strong",
        workers: int = 2,
        python: str | Path | None = None,
        packages: bool = False,
        subprocess: bool = False,
        network: bool = False,
        folders: Sequence[str | Path] = (),
    ) -> None:
        _check("timeout_seconds", timeout_seconds, timeout_seconds > 0, "more than 0")
        _check("test_seconds", test_seconds, test_seconds > 0, "more than 0")
        _check("workers", workers, workers >= 1, "at least 1")
        allowed = {
            "packages": packages,
            "subprocess": subprocess,
            "network": network,
            "folders": tuple(folders),
        }
        given = [name for name, value in {**allowed, "python": python}.items() if value]
        if sandbox is not None and given:
            raise BadInput(f"{', '.join(given)} cannot be set on a sandbox that is given; make it with them")
        self.timeout_seconds = timeout_seconds
        self.test_seconds = test_seconds
        self._own = sandbox is None
        self.sandbox: Backend = sandbox or _sandbox(require, workers, python, allowed)
        workers = getattr(self.sandbox, "workers", workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="agentloop-code")
        self._closed = False

    def __call__(self, task: Task) -> CodeSession:
        """Open a session for one attempt; BadInput when the task is not of the documented form."""
        return CodeSession(self, task, assignment_of(task))

    async def run(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Do blocking ``work`` that asks the sandbox in one of the environment's threads, and await it."""
        if self._closed:
            raise EnvironmentFailed("this code environment is closed; make a new one")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments, **options))

    async def run_tests(self, task: Task, program: str, tests: Sequence[str]) -> Sequence[Tested]:
        """Run each of ``tests`` alone on ``program``: a program, its body, or a reply that holds it.

        EnvironmentFailed where the sandbox gave no verdict.
        """
        assignment = assignment_of(task)
        job = self._job(assignment, program, seconds=self.test_seconds)
        jobs = [job._replace(mode=assignment.mode, tests=test) for test in tests]
        verdicts = await asyncio.gather(*(self.run(sound, self.sandbox, job) for job in jobs))
        return [tested(test, verdict) for test, verdict in zip(tests, verdicts, strict=True)]

    async def trace(self, task: Task, program: str, call: str) -> Fact:
        """The fact ``trace``: the lines that ``call`` runs through, with their values.

        Where there is nothing to trace, it holds no lines and an ``error`` that says why.
        """
        assignment = assignment_of(task)
        job = self._job(assignment, program, seconds=self.timeout_seconds)._replace(mode="trace", call=call)
        verdict = await self.run(sound, self.sandbox, job)
        for fact in verdict.facts:
            if fact.kind == "trace":
                told = counted(fact, _whole(assignment, program).before)
                return told.replace(data=writable(told.data))
        return Fact(kind="trace", data={"lines": [], "error": got(verdict), "cut": False})

    def close(self) -> None:
        """End the sandbox if it is the environment's own. Nothing can be run after that."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._own:
            self.sandbox.close()

    def _job(self, assignment: Assignment, program: str, *, seconds: float) -> Job:
        return Job(
            program=_whole(assignment, program).text,
            entry_point=assignment.entry_point,
            prompt=assignment.prompt_code,
            files={**assignment.files, **_program(assignment, program).files},
            timeout_seconds=seconds,
        )


def code_passes(attempt: Attempt) -> float:
    """Grade an attempt in a CodeEnvironment: 1.0 when the hidden tests passed, else 0.0."""
    for fact in attempt.facts:
        if fact.kind == "tests_passed" and fact.hidden:
            return 1.0 if fact.data["passed"] else 0.0
    raise BadInput(
        f"attempt {attempt.id!r} has no hidden fact 'tests_passed'; code_passes grades attempts that came to "
        "their end in a CodeEnvironment, at tasks with hidden.tests or hidden.cases"
    )


def tested(test: str, verdict: Verdict) -> Tested:
    """The result of one test that ran alone."""
    return Tested(test=test, passed=verdict.passed, got="" if verdict.passed else writable(got(verdict)))


def got(verdict: Verdict) -> str:
    """What came instead of what was wanted: a value, TIMEOUT, or an exception."""
    facts = {fact.kind: fact.data for fact in reversed(verdict.facts)}
    if "timeout" in facts:
        return "TIMEOUT"
    for kind in ("load_error", "exception", "test_error"):
        if kind in facts:
            return f"{facts[kind]['type']}: {facts[kind]['message']}"[:LONGEST_GOT]
    if "missing_entry_point" in facts:
        name = facts["missing_entry_point"]["name"]
        return f"NameError: name {name!r} is not defined"
    if "unsupported_value" in facts:
        return f"a value of type {facts['unsupported_value']['type']}"
    value = facts.get("assertion", {}).get("got")
    return str(value) if value is not None else WHYS.get(verdict.why, "")


WHYS = {
    "memory": "MemoryError",
    "output_limit": "too much output",
    "killed_by_signal": "killed by a signal",
    "exit": "SystemExit",
}


def _program(assignment: Assignment, program: str) -> Program:
    found = program_in(program, entry_point=assignment.entry_point, prompt_code=assignment.prompt_code)
    return found or Program(program)


def _whole(assignment: Assignment, program: str) -> Assembled:
    return joined(assignment, _program(assignment, program))


def _sandbox(
    require: Require, workers: int, python: str | Path | None, allowed: Mapping[str, Any]
) -> Backend:
    from agentloop.environments.code.sandbox import Allowed, Sandbox

    return Sandbox(require=require, workers=workers, python=python, allow=Allowed(**allowed))


def _check(name: str, value: object, right: bool, allowed: str) -> None:
    if not right:
        raise BadInput(f"{name} must be {allowed}, got {value!r}")
