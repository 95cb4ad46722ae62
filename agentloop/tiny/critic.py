"""A rule-based critic that knows what was meant, and says what is wrong without giving the query away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Literal, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.tiny.form import Form, form_of
from agentloop.tiny.gaps import gaps
from agentloop.tiny.query import extract, parse
from agentloop.tiny.tables import Filled
from agentloop.types import Attempt, Feedback, FeedbackKind, Task

Speech: TypeAlias = Literal["again", "binary", "clause", "verbal"]
"""How much a critic says: to try again, that it is wrong, where, or what (the first two gaps)."""

NAMED = 2
"""How many gaps are named at once."""

_KINDS: dict[Speech, FeedbackKind] = {
    "again": "unary",
    "binary": "binary",
    "clause": "critique",
    "verbal": "critique",
}


def critic(level: Speech = "verbal") -> Callable[[Attempt], Feedback]:
    """A critic of tiny tasks; wrap it in ``sees_hidden``, for it reads the intended form.

    It asks nobody: whether an answer is right is decided by its rows on both fillings of the table.
    """
    if level not in get_args(Speech):
        raise BadInput(f"no level named {level!r}; known: {', '.join(get_args(Speech))}")

    def judge(attempt: Attempt) -> Feedback:
        form = intended(attempt.task)
        if is_right(attempt):
            return Feedback(text="Correct.", verdict="pass", score=1.0, kind="binary", source="tiny")
        text = words(level, extract(attempt.text), form)
        return Feedback(text=text, verdict="fail", score=0.0, kind=_KINDS[level], source="tiny")

    return judge


def intended(task: Task) -> Form:
    """The form that a tiny task carries in its hidden data."""
    if "form" not in task.hidden:
        raise BadInput(
            f"task {task.id!r} has no hidden form; the tiny critic judges tasks of agentloop.tiny.tasks, "
            "and must be wrapped: sees_hidden(critic())"
        )
    return form_of(task.hidden["form"])


def words(level: Speech, sql: str, form: Form) -> str:
    """What is said at a level of a wrong answer."""
    if level in ("again", "binary"):
        return Prompts().render(level)
    answer = parse(sql)
    if answer is None:
        return f"this is not one plain question to {form.query.table}"
    found = gaps(answer, form)
    if not found:
        return f"the {form.query.table} are not the ones asked for"
    if level == "clause":
        return f"check the {found[0].clause}"
    return "; ".join(gap.text for gap in found[:NAMED])


def is_right(attempt: Attempt) -> bool:
    """Whether the rows are the wanted ones: the environment's word where it gave one, else tried here."""
    for fact in attempt.facts:
        if fact.kind == "result_match":
            return bool(fact.data.get("match"))
    return answers(attempt.task, attempt.text)


def answers(task: Task, text: str) -> bool:
    """Whether the SQL in ``text`` brings the wanted rows on each filling of the task's table."""
    sql = extract(text)
    for script in (task.public["script"], *task.hidden.get("scripts", ())):
        with closing(Filled(script)) as filled:
            rows = filled.rows(sql)
            if rows is None or rows != filled.rows(task.hidden["query"]):
                return False
    return True
