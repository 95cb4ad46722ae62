"""A critic that shows the path of the call that failed: its lines in the order they ran, and the values."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from agentloop.critics.execution import execution_critic
from agentloop.errors import BadInput
from agentloop.hidden import public_attempt
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Critic, Fact, Feedback, Model, StopSignal, Task

T = TypeVar("T")

Trace: TypeAlias = Callable[[Task, str, str], Awaitable[Fact]]
"""Runs a call of a program line by line: ``await trace(task, program, "f(1)")``; CodeEnvironment has one."""

FAILED = ("assertion", "exception", "timeout", "unsupported_value")
"""The facts that may name the call that failed."""

VALUE = 120
"""Characters of one value that are shown."""

_VERDICT = re.compile(
    r"^\W*block\W*(\d+)\W+(correct|right|wrong|incorrect)\b[\W_]*(.*?)[*_\s]*$", re.IGNORECASE | re.MULTILINE
)


class Line(NamedTuple):
    """One line as it ran: what it changed, and how it ended a function."""

    number: int
    source: str
    values: Mapping[str, str] = {}
    function: str = ""
    block: int = 0
    ended: str = ""

    def told(self) -> str:
        """The line in words. Lines of the task's own code have no number."""
        values = [f"{name} = {_short(value)}" for name, value in self.values.items()]
        noted = "; ".join(part for part in (", ".join(values), self.ended) if part)
        text = f"line {self.number}: {self.source.strip()}" if self.number > 0 else self.source.strip()
        return f"{text}    # {noted}" if noted else text


def debugger_critic(
    trace: Trace,
    *,
    critic: Critic | None = None,
    model: Model | None = None,
    most_lines: int = 40,
    most_blocks: int = 10,
    prompts: Prompts | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Critic:
    """A critic that adds, to what ``critic`` says, the path of the first public call that failed.

    The call comes from the facts of the attempt; ``trace`` runs it again. Of a long path the first and
    the last lines are shown, ``most_lines`` in all, each with the values that it changed. What looks wrong
    on the path is not guessed. With ``model`` it is asked, as in LDB (arXiv 2402.16906), which of the
    path's basic blocks are right: at most ``most_blocks``, the first and the last half of them, in one
    call; the words then name the first that is wrong, and ``items["block"]`` its lines. A reply without
    a verdict on any block adds nothing, and ``items["parse"]`` says so.

    ``critic`` (default: ``execution_critic()``) gives verdict and score. Hidden facts are not looked
    at: the path of a hidden test would give away its input.
    """
    for name, value in (("most_lines", most_lines), ("most_blocks", most_blocks)):
        if value < 2:
            raise BadInput(f"{name} must be at least 2, for the first and the last, got {value}")
    texts = prompts or getattr(model, "prompts", None) or Prompts()
    reader = None if model is None else _Reader(model, texts, most_blocks, dict(sampling or {}))
    return _Debugger(trace, critic or execution_critic(), reader, texts, most_lines)


class _Debugger:
    def __init__(
        self, trace: Trace, critic: Critic, reader: _Reader | None, prompts: Prompts, most_lines: int
    ) -> None:
        self.trace, self.critic, self.reader = trace, critic, reader
        self.prompts, self.most_lines = prompts, most_lines
        self.signal: StopSignal = getattr(critic, "signal", "public")

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Judge the attempt, and show the path of the call that failed."""
        seen = public_attempt(attempt)
        told = self.critic(seen)
        feedback = await told if inspect.isawaitable(told) else told
        call = failing_call(seen, feedback)
        if call is None:
            return feedback
        fact = await self.trace(seen.task, program_of(seen), call)
        lines = path(fact.data.get("lines", ()))
        told_path = _told(lines, self.most_lines)
        shown = self.prompts.render("debugger_path", call=call, path=told_path, end=_end(fact.data))
        feedback = feedback.replace(text=f"{feedback.text}\n\n{shown}".strip())
        return await self.reader(seen, feedback, lines) if self.reader and lines else feedback


class _Reader:
    """Has a model say which blocks of a path are right."""

    def __init__(self, model: Model, prompts: Prompts, most: int, sampling: Mapping[str, Any]) -> None:
        self.model, self.prompts, self.most, self.sampling = model, prompts, most, sampling

    async def __call__(self, attempt: Attempt, feedback: Feedback, lines: Sequence[Line]) -> Feedback:
        """The feedback with the first block that the model calls wrong."""
        blocks = blocks_of(lines)
        question = self._question(attempt, feedback, _ends(blocks, self.most))
        reply = (await self.model.complete([{"role": "user", "content": question}], **self.sampling))[0]
        feedback = feedback.replace(usage=feedback.usage + reply.usage)
        said = {int(number): (word.lower(), why) for number, word, why in _VERDICT.findall(reply.text)}
        known = {number: verdict for number, verdict in said.items() if 1 <= number <= len(blocks)}
        if not known:
            return feedback.replace(items={**feedback.items, "parse": "failed"})
        wrong = [number for number, (word, _) in sorted(known.items()) if word in ("wrong", "incorrect")]
        if not wrong:
            return feedback
        where = _numbers(blocks[wrong[0] - 1])
        why = known[wrong[0]][1].strip() or "no reason was given"
        found = self.prompts.render("debugger_found", lines=where, why=why)
        items = {**feedback.items, "block": where}
        return feedback.replace(text=f"{feedback.text}\n\n{found}", items=items)

    def _question(
        self, attempt: Attempt, feedback: Feedback, blocks: Sequence[tuple[int, Sequence[Line]]]
    ) -> str:
        shown = [f"Block {number}:\n" + "\n".join(line.told() for line in block) for number, block in blocks]
        return self.prompts.render(
            "debugger_blocks",
            task=attempt.task.prompt,
            program=program_of(attempt),
            feedback=feedback.text,
            blocks="\n\n".join(shown),
        )


def failing_call(attempt: Attempt, feedback: Feedback | None = None) -> str | None:
    """The first call that a public fact of the last step says failed; None where nothing names one.

    Failing that, the call of the first test that ``feedback.items["failed"]`` lists (own_tests.py).
    """
    facts: Iterable[Fact] = (*(attempt.steps[-1].facts if attempt.steps else ()), *attempt.facts)
    calls = (fact.data.get("call") for fact in facts if fact.kind in FAILED and not fact.hidden)
    found = next((str(call) for call in calls if call), None)
    tests = json.loads(feedback.items.get("failed", "[]")) if feedback and found is None else []
    return found or next((call for call in map(call_in, tests) if call), None)


def call_in(test: str) -> str | None:
    """The first call in a test."""
    nodes = ast.walk(ast.parse(test))
    return next((ast.unparse(node) for node in nodes if isinstance(node, ast.Call)), None)


def program_of(attempt: Attempt) -> str:
    """The program that was run last, which edits may have made; else the attempt's text."""
    facts = attempt.steps[-1].facts if attempt.steps else ()
    return next((str(fact.data["text"]) for fact in facts if fact.kind == "program"), attempt.text)


def path(lines: Iterable[Mapping[str, Any]]) -> list[Line]:
    """The lines of a trace."""
    return [
        Line(
            number=int(line["line"]),
            source=str(line.get("source", "")),
            values=dict(line.get("values", {})),
            function=str(line.get("function", "")),
            block=int(line.get("block", 0)),
            ended=", ".join(
                f"{name} {_short(str(line[name]))}" for name in ("raised", "returned") if name in line
            ),
        )
        for line in lines
    ]


def blocks_of(lines: Sequence[Line]) -> list[list[Line]]:
    """The path in basic blocks, each as often as it was run through."""
    blocks: list[list[Line]] = []
    for line in lines:
        last = blocks[-1][-1] if blocks else None
        same = last is not None and (last.function, last.block) == (line.function, line.block)
        if last is not None and same and line.number > last.number:
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def _told(lines: Sequence[Line], most: int) -> str:
    if len(lines) <= most:
        return "\n".join(line.told() for line in lines)
    left = f"... {len(lines) - most} lines ..."
    return "\n".join(
        [*(line.told() for line in _head(lines, most)), left, *(line.told() for line in _tail(lines, most))]
    )


def _end(data: Mapping[str, Any]) -> str:
    """How the call ended."""
    cut = "Some of it was not recorded. " if data.get("cut") else ""
    error = data.get("error")
    if error:
        said = f"{error['type']}: {error['message']}" if isinstance(error, Mapping) else str(error)
        return f"{cut}It ended with {_short(said)}."
    if "result" in data:
        return f"{cut}It returned {_short(str(data['result']))}."
    return cut.strip() or "How it ended is not known."


def _ends(blocks: Sequence[Sequence[Line]], most: int) -> list[tuple[int, Sequence[Line]]]:
    """The first and the last blocks with their numbers, counted from 1."""
    numbered = list(enumerate(blocks, start=1))
    if len(numbered) <= most:
        return numbered
    return [*_head(numbered, most), *_tail(numbered, most)]


def _head(items: Sequence[T], most: int) -> Sequence[T]:
    return items[: (most + 1) // 2]


def _tail(items: Sequence[T], most: int) -> Sequence[T]:
    return items[len(items) - most // 2 :]


def _numbers(block: Sequence[Line]) -> str:
    first, last = block[0].number, block[-1].number
    return str(first) if first == last else f"{first}-{last}"


def _short(value: str) -> str:
    return value if len(value) <= VALUE else f"{value[: VALUE // 2]}...{value[-VALUE // 2 :]}"
