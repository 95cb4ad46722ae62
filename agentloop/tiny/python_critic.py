"""A rule-based critic of short functions, which knows what was meant and quotes no code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.tiny.critic import intended
from agentloop.tiny.form import Form
from agentloop.tiny.python_gaps import gaps
from agentloop.tiny.python_program import extract, parse
from agentloop.tiny.python_values import same_value
from agentloop.types import Attempt, Feedback, FeedbackKind, Task

Speech: TypeAlias = Literal["again", "binary", "located", "explained"]
"""How much a critic says: to try again, that it is wrong, in which line, or what (the first two gaps)."""

NAMED = 2
"""How many gaps are named at once."""

_KINDS: dict[Speech, FeedbackKind] = {
    "again": "unary",
    "binary": "binary",
    "located": "critique",
    "explained": "critique",
}


def python_critic(level: Speech = "explained") -> Callable[[Attempt], Feedback]:
    """A critic of ``python_tasks``; wrap it in ``sees_hidden``, for it reads the intended form.

    Hidden tests decide where the environment ran them; else the program is read, not run, and
    compared with the intended function on the lists of those tests.
    """
    if level not in get_args(Speech):
        raise BadInput(f"no level named {level!r}; known: {', '.join(get_args(Speech))}")

    def judge(attempt: Attempt) -> Feedback:
        form = intended(attempt.task)
        if is_right(attempt):
            return Feedback(text="Correct.", verdict="pass", score=1.0, kind="binary", source="tiny")
        text = python_words(level, attempt.text, name=attempt.task.public["entry_point"], form=form)
        return Feedback(text=text, verdict="fail", score=0.0, kind=_KINDS[level], source="tiny")

    return judge


def python_words(level: Speech, text: str, *, name: str, form: Form) -> str:
    """What is said at a level of a wrong answer."""
    if level in ("again", "binary"):
        return Prompts().render(level)
    answer = parse(extract(text))
    if answer is None:
        return f"this is not one plain function of {form.query.table}"
    found = gaps(answer, name, form)
    if not found:
        return "what it returns is not what was asked for"
    if level == "located":
        return located(found[0].line)
    return "; ".join(gap.text for gap in found[:NAMED])


def located(line: int) -> str:
    """Where the fault is."""
    return f"check line {line}" if line else "a line is missing"


def is_right(attempt: Attempt) -> bool:
    """Whether the hidden tests pass: the environment's word where it gave one, else worked out here."""
    for fact in attempt.facts:
        if fact.kind == "tests_passed" and fact.hidden:
            return bool(fact.data.get("passed"))
    return python_answers(attempt.task, attempt.text)


def python_answers(task: Task, text: str) -> bool:
    """Whether the program in ``text`` gives what the hidden tests of a tiny task want. Nothing is run.

    A program of another shape than the model was trained to write counts as wrong.
    """
    parsed, query = parse(extract(text)), intended(task).query
    name = task.public["entry_point"]
    return all(same_value(parsed, query, items, name=name) for items in tested_lists(task.hidden["tests"]))


def tested_lists(tests: str) -> list[Sequence[Any]]:
    """The lists that the asserts of ``tests`` call the function with."""
    lists = []
    for test in ast.parse(tests).body:
        assert isinstance(test, ast.Assert) and isinstance(test.test, ast.Compare)
        call = test.test.left
        assert isinstance(call, ast.Call)
        lists.append(ast.literal_eval(call.args[0]))
    return lists
