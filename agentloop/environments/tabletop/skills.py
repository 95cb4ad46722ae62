"""The skills of the robot, and how the text of an action is read: calls with plain numbers, never run."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple, TypeAlias

SKILLS: dict[str, tuple[str, ...]] = {
    "find": ("words",),
    "move": ("up",),
    "pick": ("mark", "x", "y", "turn"),
    "open": ("mark", "x", "y", "turn", "distance"),
    "close": ("mark",),
    "release": ("mark",),
    "put": ("mark", "x", "y"),
}
"""The parameters of each skill. Lengths are metres, angles degrees; those left out are 0."""

Value: TypeAlias = str | float


class Call(NamedTuple):
    """One skill with what it was given."""

    skill: str
    given: dict[str, Value]

    @property
    def mark(self) -> int:
        """The mark of the thing it is about; 0 is the table."""
        return int(float(self.given.get("mark", 0)))


class Unreadable(ValueError):
    """An action that is not a call of a skill; the message says what is wrong with it."""


def read_action(action: str) -> list[Call]:
    """The calls of an action, one a line."""
    try:
        body = ast.parse(action.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"this is not a list of calls: {action.strip()[:60]!r}") from error
    if not body:
        raise Unreadable("the action is empty")
    return [_call(statement) for statement in body]


def _call(statement: ast.stmt) -> Call:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise Unreadable(f"this is not a call of a skill: {ast.unparse(statement)[:60]!r}")
    names = SKILLS.get(call.func.id)
    if names is None:
        raise Unreadable(f"no skill named {call.func.id!r}; there are {', '.join(SKILLS)}")
    given = [
        *zip(names, call.args, strict=False),
        *((each.arg or "**", each.value) for each in call.keywords),
    ]
    unknown = sorted({name for name, _ in given} - set(names))
    if len(call.args) > len(names) or unknown:
        raise Unreadable(f"{call.func.id} takes {', '.join(names)}; it was given {ast.unparse(call)[:60]!r}")
    return Call(call.func.id, {name: _value(name, node) for name, node in given})


def _value(name: str, node: ast.expr) -> Value:
    try:
        value: Any = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    if name == "words" and isinstance(value, str):
        return value
    if name != "words" and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if abs(number) < 1e6:
            return number
    raise Unreadable(f"{name} cannot be {ast.unparse(node)[:40]!r}")
