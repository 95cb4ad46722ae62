"""A scripted model that writes programs: first with a bug, and right once it is told where the bug shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.errors import BadInput
from agentloop.models.scripted import ScriptedModel
from agentloop.types import Message

FEEDBACK = re.compile(r"<feedback>(.*?)</feedback>", re.DOTALL)
LOCATED = re.compile(
    r"\bassert |\bline \d|\bThe call `|\bThe output of case|\bdoes not define|\bcannot be loaded"
)


def programmer(
    solutions: Mapping[str, str],
    *,
    bugs: Mapping[str, str] | None = None,
    heeds: Callable[[str], bool] | None = None,
    name: str = "scripted programmer",
) -> ScriptedModel:
    """A scripted model that knows the right program of each task, and begins with a wrong one.

    ``solutions`` map a text that stands in the prompt, such as the task's, to the right program;
    ``bugs`` the same texts to wrong ones (logged mistakes, for one), without which a bug is planted.
    It answers with the wrong program until it is told something that ``heeds`` finds useful: by
    default, words that say where the bug shows, as "located" and "explained" feedback do, and "try
    again" does not. It keeps no state, so that a run can be cut off and resumed.
    """
    useful = heeds or is_located
    keys = sorted(solutions, key=len, reverse=True)
    wrong = {key: (bugs or {}).get(key) or plant_bug(solutions[key]) for key in keys}

    def script(messages: Sequence[Message], _sampling: dict[str, Any]) -> str:
        asked = "\n".join(message["content"] for message in messages)
        key = next((each for each in keys if each.strip() in asked), None)
        if key is None:
            raise BadInput(f"{name} knows none of its {len(keys)} tasks in the prompt {asked[-200:]!r}")
        told = useful(_told(messages, key))
        return f"```python\n{(solutions if told else wrong)[key].strip(chr(10))}\n```"

    return ScriptedModel(script, name=name)


def is_located(feedback: str) -> bool:
    """Whether words say where a bug shows: a call, a test, a line, a name that is missing."""
    return LOCATED.search(feedback) is not None


def plant_bug(program: str) -> str:
    """The program with one bug: it does not return its last value, or else does not write its output."""
    tree = ast.parse(program)
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    if returns:
        last = max(returns, key=lambda node: node.lineno)
        return _cut(program, last, ast.unparse(last.value) if last.value else "pass")
    prints = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and _prints(node.value)]
    if prints:
        return _cut(program, max(prints, key=lambda node: node.lineno), "pass")
    raise BadInput(f"there is no place for a bug: this program neither returns nor prints: {program!r:.200}")


def _prints(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def _cut(program: str, node: ast.stmt, instead: str) -> str:
    lines = program.splitlines()
    before = lines[node.lineno - 1].encode()[: node.col_offset].decode()
    after = lines[(node.end_lineno or node.lineno) - 1].encode()[node.end_col_offset :].decode()
    lines[node.lineno - 1 : node.end_lineno] = [before + instead + after]
    return "\n".join(lines) + "\n"


def _told(messages: Sequence[Message], key: str) -> str:
    """What was said of the last attempt: the fenced feedback, or else the last message without its task."""
    if len(messages) == 1 and key.strip() == messages[0]["content"].strip():
        return ""
    last = messages[-1]["content"].replace(key.strip(), "")
    fenced = FEEDBACK.findall(last)
    return "\n".join(fenced) if fenced else last
