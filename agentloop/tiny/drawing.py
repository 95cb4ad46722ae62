"""Draws questions about a table: five forms, up to two conditions, and vague words in the wanted number."""

from __future__ import annotations

import random

from agentloop.tiny.form import Form, slot_of
from agentloop.tiny.houses import USUAL, House, Reading, Sense, threshold, usual_reading
from agentloop.tiny.query import Condition, Order, Query
from agentloop.tiny.tables import Table

SHAPES = ("list", "count", "aggregate", "top", "group")
"""The five forms: rows, their number, one summary, the first few by a column, a line for each category."""

VAGUE_MIX = (40, 49, 11)
"""Per cent of questions with no vague word, with one, and with two."""

_TAKES: dict[str, tuple[Sense, ...]] = {
    "list": ("quantity",),
    "count": (),
    "aggregate": ("aggregate",),
    "top": ("quantity", "direction"),
    "group": ("aggregate",),
}
PAIRS: tuple[tuple[Sense, ...], ...] = (
    ("quantity", "threshold"),
    ("aggregate", "threshold"),
    ("quantity", "direction"),
    ("direction", "threshold"),
)
"""The senses that two vague words of one question have."""


def draw_senses(draw: random.Random) -> tuple[Sense, ...]:
    """The senses of a question's vague words, in the usual mix."""
    count = draw.choices(range(3), VAGUE_MIX)[0]
    if count == 2:
        return draw.choice(PAIRS)
    senses = list(USUAL)
    return tuple(draw.choices(senses, [len(USUAL[sense]) for sense in senses], k=count))


def draw_sparse_senses(draw: random.Random) -> tuple[Sense, ...]:
    """The senses of a question that luck seldom answers: a threshold word, or two vague words."""
    return draw.choice((("threshold",), *PAIRS[:2]))


def draw_form(draw: random.Random, table: Table, house: House, *, senses: tuple[Sense, ...]) -> Form:
    """A question by ``house`` about ``table``, with a vague word for each of ``senses``."""
    query, words = _draw_query(draw, table, senses)
    form = Form(house.name, table.columns, query, words)
    return form.at(house)


def _draw_query(draw: random.Random, table: Table, senses: tuple[Sense, ...]) -> tuple[Query, dict[str, str]]:
    needed: list[Sense] = [sense for sense in senses if sense != "threshold"]
    shape = draw.choice([shape for shape in SHAPES if all(sense in _TAKES[shape] for sense in needed)])
    conditions, words = _draw_conditions(draw, table, senses.count("threshold"))
    query = Query(table.name, None, conditions=conditions)
    asked: dict[str, Reading] = {}
    for sense in needed:
        slot = {"quantity": "limit", "aggregate": "function", "direction": "order"}[sense]
        words[slot] = draw.choice(sorted(USUAL[sense]))
        asked[slot] = usual_reading(words[slot])
    return _shaped(draw, table, query, shape, asked), words


def _shaped(draw: random.Random, table: Table, query: Query, shape: str, asked: dict[str, Reading]) -> Query:
    shown = table.key if draw.random() < 0.7 else draw.choice(sorted(table.categories))
    limit = int(str(asked["limit"])) if "limit" in asked else draw.randint(2, 9)
    function = str(asked.get("function") or draw.choice(("AVG", "MAX", "MIN", "SUM")))
    number = draw.choice(table.numbers)
    if shape == "list":
        every = "limit" not in asked and draw.random() < 0.5
        return query._replace(column=shown, limit=None if every else limit)
    if shape == "count":
        return query._replace(function="COUNT")
    if shape == "aggregate":
        return query._replace(function=function, column=number)
    if shape == "top":
        order = Order(number, str(asked.get("order") or draw.choice(("ASC", "DESC"))))
        return query._replace(column=shown, order=order, limit=limit)
    used = {condition.column for condition in query.conditions}
    group = draw.choice(sorted(set(table.categories) - used) or sorted(table.categories))
    if "function" not in asked and draw.random() < 0.5:
        return query._replace(function="COUNT", group=group)
    return query._replace(function=function, column=number, group=group)


def _draw_conditions(
    draw: random.Random, table: Table, thresholds: int
) -> tuple[tuple[Condition, ...], dict[str, str]]:
    """Up to two conditions on different columns, ``thresholds`` of them with a vague bound."""
    words: dict[str, str] = {}
    conditions = []
    numbers = draw.sample(table.numbers, len(table.numbers))
    for _ in range(thresholds):
        column = numbers.pop()
        words[slot_of(column)] = word = draw.choice(sorted(USUAL["threshold"]))
        conditions.append(Condition(column, *threshold(word)))
    plain = max(0, draw.choices(range(3), (40, 40, 20))[0] - thresholds)
    free = draw.sample(
        [*numbers, *sorted(table.categories)], min(plain, len(numbers) + len(table.categories))
    )
    for column in free:
        if column in table.categories:
            conditions.append(Condition(column, "=", draw.choice(table.categories[column])))
        else:
            conditions.append(Condition(column, draw.choice("<>"), draw.randint(15, 85)))
    draw.shuffle(conditions)
    return tuple(conditions), words
