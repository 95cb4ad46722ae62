"""One attempt at a programming task: programs, or edits to the last one, tested one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentloop.edits import blocks_in
from agentloop.environments.code.assignment import Assignment, Checks
from agentloop.environments.code.edits import Refused, edited
from agentloop.environments.code.judging import judged, writable
from agentloop.environments.code.observing import (
    NO_PROGRAM,
    NOTHING_TO_EDIT,
    observation,
    passed_of,
    program_fact,
    unmatched,
)
from agentloop.environments.code.program import Program, program_in
from agentloop.environments.code.verdict import Verdict
from agentloop.prompts import Prompts
from agentloop.types import Fact, Step, Task

if TYPE_CHECKING:
    from agentloop.environments.code.environment import CodeEnvironment

FINAL = re.compile(r"^[ \t]*#[ \t]*final\b[^\n]*$", re.IGNORECASE | re.MULTILINE)


class CodeSession:
    """One attempt. Its whole state is the last program: the sandbox keeps nothing between two runs."""

    instructions = "code"

    def __init__(self, environment: CodeEnvironment, task: Task, assignment: Assignment) -> None:
        self._environment = environment
        self._task = task
        self._assignment = assignment
        self._program = Program(assignment.program) if assignment.program else None

    async def prompt(self) -> str:
        """The task, with the name that its tests call where the task does not mention it."""
        name, asked = self._assignment.entry_point, self._task.prompt
        named = not name or re.search(rf"\b{re.escape(name)}\b", asked)
        parts = [asked] if named else [asked, Prompts().render("code_entry", function=name)]
        if self._assignment.program and self._assignment.program.strip() not in asked:
            parts.append(Prompts().render("code_program", program=self._assignment.program))
        return "\n\n".join(parts)

    async def step(self, action: str, /) -> Step:
        """Take the program in ``action``, or edit the last one, and run the public tests on it.

        The step is ``done`` when they passed, or when a line ``# final`` says that this is the answer.
        """
        done = FINAL.search(action) is not None
        edits = list(blocks_in(action))
        if edits and self._program is None:
            return self._refused(action, NOTHING_TO_EDIT, Fact(kind="no_program"), done=done)
        if edits:
            changed = edited(self._with_files(), edits)
            if isinstance(changed, Refused):
                return self._refused(action, unmatched(changed), _unmatched_fact(changed), done=done)
            self._program = changed
        else:
            given = program_in(
                action, entry_point=self._assignment.entry_point, prompt_code=self._assignment.prompt_code
            )
            if given is None:
                return self._refused(action, NO_PROGRAM, Fact(kind="no_program"), done=done)
            self._program = given
        return await self._tested(action, done=done)

    async def final(self) -> Sequence[Fact]:
        """What the hidden tests say of the last program, for the grader alone; nothing without any."""
        if not self._assignment.hidden:
            return ()
        if self._program is None:
            data = {"passed": False, "why": "no_program"}
            return (Fact(kind="tests_passed", data=data, hidden=True),)
        verdict = await self._judged(self._program, self._assignment.hidden)
        return tuple(fact.replace(hidden=True) for fact in (verdict_fact(verdict), *verdict.facts))

    async def close(self) -> None:
        """Nothing is held."""

    def snapshot(self) -> dict[str, Any]:
        """The state of the session as plain values: the last program and its files."""
        program = self._program
        return {} if program is None else {"text": program.text, "files": dict(program.files)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state again that ``snapshot`` gave, in this session or another one of the same task."""
        self._program = Program(state["text"], dict(state["files"])) if state else None

    async def _tested(self, action: str, *, done: bool) -> Step:
        assert self._program is not None
        checks = self._assignment.public
        verdict = await self._judged(self._program, checks)
        facts = [program_fact(writable(self._program.text), writable(self._program.files))]
        facts += [verdict_fact(verdict) if checks else _loaded(verdict), *verdict.facts]
        return Step(
            action=action,
            observation=observation(verdict, tested=bool(checks), script=self._assignment.mode == "script"),
            facts=tuple(facts),
            done=done or (bool(checks) and verdict.passed),
        )

    async def _judged(self, program: Program, checks: Checks) -> Verdict:
        environment = self._environment
        return await environment.run(
            judged,
            environment.sandbox,
            self._assignment,
            program,
            checks=checks,
            timeout_seconds=environment.timeout_seconds,
        )

    def _with_files(self) -> Program:
        assert self._program is not None
        return self._program._replace(files={**self._assignment.files, **self._program.files})

    def _refused(self, action: str, observed: str, fact: Fact, *, done: bool) -> Step:
        fact = fact.replace(data=writable(fact.data))
        return Step(action=action, observation=writable(observed), facts=(fact,), done=done)


def verdict_fact(verdict: Verdict) -> Fact:
    """The verdict itself as a fact, beside its evidence."""
    data: dict[str, Any] = {"passed": verdict.passed, "why": verdict.why, "layers": list(verdict.layers)}
    for fact in verdict.facts:
        if fact.kind == "tests":
            data |= {"count": passed_of(fact.data), "total": fact.data["total"]}
    if verdict.forgeable:
        data["forgeable"] = True
    return Fact(kind="tests_passed", data=data)


def _loaded(verdict: Verdict) -> Fact:
    return Fact(kind="loaded", data={"passed": verdict.passed, "why": verdict.why})


def _unmatched_fact(found: Refused) -> Fact:
    data: dict[str, Any] = {"number": found.number, "why": found.why, "search": found.search}
    data |= {"name": found.name} if found.name else {}
    data |= {"near": found.near, "line": found.line} if found.near else {}
    return Fact(kind="unmatched_edit", data=data)
