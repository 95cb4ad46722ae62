"""Wrong first programs for the training on short functions: slips of the pen, one at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from tiny_slips import mangled

from agentloop.tiny.python_program import LENGTH, program
from agentloop.tiny.python_subjects import Subject
from agentloop.tiny.query import Condition, Order, Query


class Draft(NamedTuple):
    """A program that may be wrong: its name, the name in its signature, and what it does."""

    name: str
    argument: str
    query: Query

    def text(self) -> str:
        """The program."""
        whole = program(self.name, self.query)
        return whole.replace(f"({self.query.table}):", f"({self.argument}):", 1)


Slip = Callable[[random.Random, Query, Subject], "Query | None"]


def python_slip(draw: random.Random, draft: Draft, subject: Subject) -> Draft:
    """The draft with one slip in it."""
    while True:
        kind = draw.random()
        if kind < 0.07:
            return draft._replace(name=mangled(draw, draft.name))
        if kind < 0.16:
            return _other_list(draw, draft)
        changed = draw.choice(_SLIPS)(draw, draft.query, subject)
        if changed is not None and changed != draft.query:
            return draft._replace(query=changed)


def _other_list(draw: random.Random, draft: Draft) -> Draft:
    """The list has another name in the body than in the signature."""
    old, new = draft.query.table, mangled(draw, draft.query.table)
    query = draft.query
    conditions = tuple(each._replace(column=new) if each.column == old else each for each in query.conditions)
    order = query.order._replace(column=new) if query.order and query.order.column == old else query.order
    column = new if query.column == old else query.column
    return draft._replace(query=query._replace(table=new, column=column, conditions=conditions, order=order))


def _drop_condition(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if not query.conditions:
        return None
    gone = draw.choice(query.conditions)
    return query._replace(conditions=tuple(each for each in query.conditions if each != gone))


def _change_condition(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if not query.conditions:
        return None
    at = draw.randrange(len(query.conditions))
    conditions = list(query.conditions)
    conditions[at] = _other_condition(draw, conditions[at])
    return query._replace(conditions=tuple(conditions))


def _other_condition(draw: random.Random, condition: Condition) -> Condition:
    if condition.sign in ("even", "odd"):
        return condition._replace(sign="even" if condition.sign == "odd" else "odd")
    if condition.sign == "starts":
        return condition._replace(value=draw.choice("bcdfghklmprst"))
    if isinstance(condition.value, str):
        return condition._replace(value=mangled(draw, condition.value))
    if draw.random() < 0.5:
        return condition._replace(sign="<" if condition.sign == ">" else ">")
    return condition._replace(value=draw.randint(1, 9 if condition.column == LENGTH else 99))


def _add_condition(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    used = {each.column for each in query.conditions}
    free = sorted(set(subject.numbers) - used)
    if not free or len(query.conditions) > 1:
        return None
    bound = draw.randint(2, 8) if free[0] == LENGTH else draw.randint(1, 9) * 10
    extra = Condition(draw.choice(free), draw.choice("<>"), bound)
    return query._replace(conditions=(*query.conditions, extra))


def _change_column(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if subject.kind != "records" or not query.column:
        return None
    return query._replace(column=draw.choice(subject.columns))


def _misspell(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if subject.kind != "records":
        return None
    order = query.order.column if query.order else None
    named = [name for name in (query.column, order, *(each.column for each in query.conditions)) if name]
    wrong = draw.choice([name for name in named if name != query.table] or [""])
    if not wrong:
        return None
    bad = mangled(draw, wrong)
    conditions = tuple(
        each._replace(column=bad) if each.column == wrong else each for each in query.conditions
    )
    return query._replace(
        column=bad if query.column == wrong else query.column,
        conditions=conditions,
        order=query.order._replace(column=bad) if query.order and order == wrong else query.order,
    )


def _change_function(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if query.function is None:
        return query._replace(function="COUNT", column=None, order=None, limit=None)
    if query.function == "COUNT":
        return query._replace(function="SUM", column=draw.choice(subject.numbers))
    return query._replace(function=draw.choice(("AVG", "MAX", "MIN", "SUM")))


def _change_order(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if query.function is not None:
        return None
    if query.order is None:
        return query._replace(order=Order(draw.choice(subject.numbers), draw.choice(("ASC", "DESC"))))
    kind = draw.random()
    if kind < 0.35:
        return query._replace(order=None)
    if kind < 0.6:
        return query._replace(order=query.order._replace(column=draw.choice(subject.columns)))
    direction = "ASC" if query.order.direction == "DESC" else "DESC"
    return query._replace(order=query.order._replace(direction=direction))


def _change_limit(draw: random.Random, query: Query, subject: Subject) -> Query | None:
    if query.function is not None:
        return None
    return query._replace(limit=draw.choice([None, *range(2, 10)]))


_SLIPS: tuple[Slip, ...] = (
    _drop_condition,
    _change_condition,
    _change_condition,
    _add_condition,
    _change_column,
    _misspell,
    _misspell,
    _change_function,
    _change_order,
    _change_limit,
)
