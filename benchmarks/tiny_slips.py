"""Wrong first answers for the training of ``local/tiny``: vague words misread, and slips of the pen."""

from __future__ import annotations

import random
from collections.abc import Callable

from agentloop.tiny.form import Form
from agentloop.tiny.houses import POSSIBLE, usual_reading
from agentloop.tiny.query import Condition, Order, Query
from agentloop.tiny.tables import Table

Slip = Callable[[random.Random, Query, Table], "Query | None"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def misread(draw: random.Random, form: Form, slot: str) -> Query:
    """The intended query with another reading in ``slot``, most often the usual one."""
    meant, usual = form.reading(slot), usual_reading(form.words[slot])
    if meant != usual and draw.random() < 0.75:
        return form.reread(slot, usual)
    return form.reread(slot, draw.choice([each for each in POSSIBLE[form.sense(slot)] if each != meant]))


def slip(draw: random.Random, query: Query, table: Table) -> Query:
    """The query with one slip in it."""
    while True:
        changed = draw.choice(_SLIPS)(draw, query, table)
        if changed is not None and changed != query:
            return changed


def mangled(draw: random.Random, word: str) -> str:
    """The word as one copies it badly: a part lost, doubled or changed."""
    at = draw.randrange(1, max(2, len(word)))
    letter = draw.choice(_LETTERS)
    forms = (
        word[:at],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[max(0, at - 2) :],
        word[:at] + letter,
    )
    return draw.choice(forms) or letter


def _drop_condition(draw: random.Random, query: Query, table: Table) -> Query | None:
    if not query.conditions:
        return None
    gone = draw.choice(query.conditions)
    return query._replace(conditions=tuple(each for each in query.conditions if each != gone))


def _change_condition(draw: random.Random, query: Query, table: Table) -> Query | None:
    if not query.conditions:
        return None
    at = draw.randrange(len(query.conditions))
    conditions = list(query.conditions)
    conditions[at] = _other_condition(draw, conditions[at], table)
    return query._replace(conditions=tuple(conditions))


def _other_condition(draw: random.Random, condition: Condition, table: Table) -> Condition:
    if isinstance(condition.value, int):
        if draw.random() < 0.5:
            return condition._replace(sign="<" if condition.sign == ">" else ">")
        return condition._replace(value=draw.randint(1, 99))
    kind = draw.random()
    if kind < 0.6:
        return condition._replace(value=mangled(draw, condition.value))
    if kind < 0.8:
        values = sorted({word for choices in table.categories.values() for word in choices})
        return condition._replace(value=draw.choice(values))
    return condition._replace(column=draw.choice(table.columns))


def _add_condition(draw: random.Random, query: Query, table: Table) -> Query | None:
    free = sorted(set(table.numbers) - set(query.columns))
    if not free or len(query.conditions) > 1:
        return None
    extra = Condition(draw.choice(free), draw.choice("<>"), draw.randint(1, 9) * 10)
    return query._replace(conditions=(*query.conditions, extra))


def _change_column(draw: random.Random, query: Query, table: Table) -> Query | None:
    return query._replace(column=draw.choice(table.columns)) if query.column else None


def _misspell(draw: random.Random, query: Query, table: Table) -> Query | None:
    if draw.random() < 0.25:
        return query._replace(table=mangled(draw, query.table))
    if not query.columns:
        return None
    wrong = draw.choice(query.columns)
    bad = mangled(draw, wrong)
    conditions = tuple(
        each._replace(column=bad) if each.column == wrong else each for each in query.conditions
    )
    order = query.order._replace(column=bad) if query.order and query.order.column == wrong else query.order
    return query._replace(
        column=bad if query.column == wrong else query.column,
        group=bad if query.group == wrong else query.group,
        conditions=conditions,
        order=order,
    )


def _change_function(draw: random.Random, query: Query, table: Table) -> Query | None:
    if query.function is None:
        return (
            query._replace(function="COUNT", column=None, order=None, limit=None)
            if draw.random() < 0.3
            else None
        )
    if query.function == "COUNT":
        return query._replace(function="SUM", column=draw.choice(table.numbers))
    return query._replace(function=draw.choice(("AVG", "MAX", "MIN", "SUM")))


def _change_group(draw: random.Random, query: Query, table: Table) -> Query | None:
    if query.group is None:
        return None
    return query._replace(group=draw.choice([None, *table.categories]))


def _change_order(draw: random.Random, query: Query, table: Table) -> Query | None:
    if query.order is None:
        return None
    kind = draw.random()
    if kind < 0.3:
        return query._replace(order=None)
    if kind < 0.6:
        return query._replace(order=Order(draw.choice(table.columns), query.order.direction))
    return query._replace(
        order=query.order._replace(direction="ASC" if query.order.direction == "DESC" else "DESC")
    )


def _change_limit(draw: random.Random, query: Query, table: Table) -> Query | None:
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
    _misspell,
    _change_function,
    _change_group,
    _change_order,
    _change_limit,
)
