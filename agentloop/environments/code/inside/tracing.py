"""One call of the program with its lines and values recorded, grouped into basic blocks."""

from __future__ import annotations

import ast
import sys
from collections import deque
from reprlib import Repr
from types import FrameType
from typing import Any

from agentloop.environments.code.inside.loading import FILE
from agentloop.environments.code.inside.raising import Sources, described, message
from agentloop.environments.code.inside.shown import cut, shown

EVENTS = 400
LAST = 50
VALUE = 120
LOOPS = (ast.For, ast.While, ast.AsyncFor)
JUMPS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
HIDDEN = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>")
"""Frames whose lines would only repeat the line that they stand in."""

_brief = Repr()
# What a program holds may be large, and is looked at after every line.
_brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxfrozenset = _brief.maxdeque = _brief.maxarray = (
    40
)
_brief.maxdict = 20
_brief.maxstring = _brief.maxother = _brief.maxlong = VALUE


class Recorder:
    """What ``sys.settrace`` calls. Each event is a line that ran, with the values that it changed.

    A line that runs several times at once, such as a comprehension, is one event. The first ``EVENTS``
    events and the last ``LAST`` are kept. The first event of a call shows its
    arguments, the last what it returned or raised.
    """

    def __init__(self, program: str) -> None:
        self.dropped = 0
        self._first: list[dict[str, Any]] = []
        self._last: deque[dict[str, Any]] = deque(maxlen=LAST)
        self._lines = program.split("\n")
        self._blocks = blocks(program)
        self._open: dict[FrameType, tuple[dict[str, Any], dict[str, str]]] = {}

    def __call__(self, frame: FrameType, _: str, __: Any) -> Any:
        """A frame begins: follow it when it is the program's."""
        if frame.f_code.co_filename != FILE or frame.f_code.co_name in HIDDEN:
            return None
        self._open[frame] = (self._event(frame), {})
        self._changes(frame)
        return self._follow

    def _follow(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._changes(frame)
        if event == "line" and frame.f_lineno != self._open[frame][0]["line"]:
            self._open[frame] = (self._event(frame), self._open[frame][1])
        elif event == "exception":
            self._open[frame][0]["raised"] = cut(f"{argument[0].__name__}: {message(argument[1])}", VALUE)
        elif event == "return":
            entry, _ = self._open.pop(frame)
            if "raised" not in entry or argument is not None:
                entry["returned"] = brief(argument)
        return self._follow

    def _event(self, frame: FrameType) -> dict[str, Any]:
        line = frame.f_lineno
        source = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
        event: dict[str, Any] = {
            "line": line,
            "source": cut(source, VALUE),
            "function": frame.f_code.co_name,
            "block": self._blocks.get(line, 0),
            "values": {},
        }
        if len(self._first) < EVENTS:
            self._first.append(event)
        else:
            self.dropped += len(self._last) == LAST
            self._last.append(event)
        return event

    def _changes(self, frame: FrameType) -> None:
        """Put what has changed since the last look into the event of the line that changed it."""
        event, before = self._open[frame]
        for name, value in frame.f_locals.items():
            text = brief(value)
            if before.get(name) != text:
                before[name] = event["values"][name] = text

    def told(self) -> dict[str, Any]:
        """The events in order; ``cut`` tells whether some were dropped in the middle."""
        return {"lines": [*self._first, *self._last], "cut": self.dropped > 0, "dropped": self.dropped}


def traced(call: str, namespace: dict[str, Any], *, recorder: Recorder, sources: Sources) -> dict[str, Any]:
    """Run an expression or statement, recorded: the lines, then its result or its error."""
    try:
        try:
            code = compile(call, "call", "eval")
        except SyntaxError:
            code = compile(call, "call", "exec")
        sys.settrace(recorder)
        try:
            result = eval(code, namespace)
        finally:
            sys.settrace(None)
    except BaseException as error:  # all of it is the program's
        return {**recorder.told(), "error": described(error, sources)}
    return {**recorder.told(), "result": shown(result)}


def brief(value: object) -> str:
    """The repr of a value that may be large or hostile, in at most 120 characters."""
    try:
        return cut(_brief.repr(value), VALUE)
    except BaseException:  # a foreign __repr__ may do anything
        return f"<{type(value).__name__}>"


def blocks(program: str) -> dict[int, int]:
    """The number of the basic block, from 1, to which each line belongs.

    A block ends after a branch and after a jump, and before the head of a loop; each body of a
    compound statement is a block of its own. Exceptions and conditional expressions end none.
    """
    found: dict[int, int] = {}
    count = 0

    def walk(body: list[ast.stmt]) -> None:
        nonlocal count
        count += 1
        for statement in body:
            inner = _bodies(statement)
            count += isinstance(statement, LOOPS)
            for line in range(statement.lineno, _head_end(statement, inner) + 1):
                found.setdefault(line, count)
            for line, each in inner:
                found.setdefault(line, count + 1)
                walk(each)
            count += bool(inner) or isinstance(statement, JUMPS)

    try:
        walk(ast.parse(program).body)
    except RecursionError:
        return {}
    numbers = {number: place for place, number in enumerate(dict.fromkeys(found.values()), 1)}
    return {line: numbers[number] for line, number in found.items()}


def _bodies(statement: ast.stmt) -> list[tuple[int, list[ast.stmt]]]:
    """The bodies of a compound statement, each with the line on which it is opened."""
    parts = [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    bodies = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    opened = [(_line(part), part.body) for part in parts]
    plain = [(body[0].lineno, body) for body in bodies if body]
    return [*plain[:1], *opened, *plain[1:]]


def _line(part: Any) -> int:
    line: int = part.pattern.lineno if isinstance(part, ast.match_case) else part.lineno
    return line


def _head_end(statement: ast.stmt, inner: list[tuple[int, list[ast.stmt]]]) -> int:
    if not inner:
        return statement.end_lineno or statement.lineno
    return max(statement.lineno, inner[0][0] - 1)
