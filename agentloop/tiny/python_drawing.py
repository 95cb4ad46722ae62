"""Draws what short functions are asked to do: four shapes, up to two conditions, and vague words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agentloop.tiny.form import Form, slot_of
from agentloop.tiny.houses import (
    DIRECTION_WORDS,
    FUNCTION_WORDS,
    SIGN_WORDS,
    USUAL,
    House,
    Reading,
    Sense,
    threshold,
    usual_reading,
)
from agentloop.tiny.python_program import LENGTH
from agentloop.tiny.python_subjects import Subject, fill
from agentloop.tiny.python_values import FAILED, value
from agentloop.tiny.query import Condition, Order, Query

TAKES: dict[str, tuple[Sense, ...]] = {
    "list": ("quantity",),
    "count": (),
    "aggregate": ("aggregate",),
    "top": ("quantity", "direction"),
}
"""The four shapes, and the senses of the vague words that each can hold: items, their number, one summary,
the first few by a column. Any of them takes a threshold where the items hold a number."""

EXAMPLE_SIZES = (3, 2, 1)
_TRIES = 4


class Asked(NamedTuple):
    """A function that is asked for: its name, what it is about and means, and one example of its use."""

    name: str
    subject: Subject
    form: Form
    example: str

    def prompt(self) -> str:
        """The signature, the sentence, and the example."""
        return f"def {self.name}({self.subject.argument}):\n{question(self.form)}\n{self.example}"


def senses_fit(subject: Subject, senses: Sequence[Sense]) -> bool:
    """Whether a function about ``subject`` can hold vague words of these senses."""
    return subject.kind != "words" or "threshold" not in senses


def draw_function(draw: random.Random, subject: Subject, house: House, *, senses: Sequence[Sense]) -> Form:
    """What a function of ``house`` about ``subject`` is to do, with a vague word for each of ``senses``."""
    needed: list[Sense] = [sense for sense in senses if sense != "threshold"]
    shape = draw.choice([shape for shape, takes in TAKES.items() if all(each in takes for each in needed)])
    conditions, words = _conditions(draw, subject, senses.count("threshold"))
    asked: dict[str, Reading] = {}
    for sense in needed:
        slot = {"quantity": "limit", "aggregate": "function", "direction": "order"}[sense]
        words[slot] = draw.choice(sorted(USUAL[sense]))
        asked[slot] = usual_reading(words[slot])
    query = _shaped(draw, subject, shape, asked)._replace(conditions=conditions)
    return Form(house.name, subject.columns, query, words).at(house)


def _shaped(draw: random.Random, subject: Subject, shape: str, asked: dict[str, Reading]) -> Query:
    query, number = Query(subject.argument, None), draw.choice(subject.numbers)
    limit = int(str(asked["limit"])) if "limit" in asked else draw.randint(2, 9)
    if shape == "count":
        return query._replace(function="COUNT")
    if shape == "aggregate":
        function = str(asked.get("function") or draw.choice(("AVG", "MAX", "MIN", "SUM")))
        return query._replace(function=function, column=number)
    shown = subject.argument
    if subject.kind == "records":
        shown = subject.key if draw.random() < 0.7 else draw.choice(subject.columns)
    every = "limit" not in asked and draw.random() < 0.4
    query = query._replace(column=shown, limit=None if every else limit)
    if shape == "list":
        return query
    return query._replace(order=Order(number, str(asked.get("order") or draw.choice(("ASC", "DESC")))))


def _conditions(
    draw: random.Random, subject: Subject, thresholds: int
) -> tuple[tuple[Condition, ...], dict[str, str]]:
    """Up to two conditions on different columns, ``thresholds`` of them with a vague bound."""
    words: dict[str, str] = {}
    conditions = []
    numbers = draw.sample(subject.numbers, len(subject.numbers))
    for _ in range(thresholds):
        column = numbers.pop()
        words[slot_of(column)] = word = draw.choice(sorted(USUAL["threshold"]))
        conditions.append(Condition(column, *threshold(word)))
    plain = max(0, draw.choices(range(3), (40, 40, 20))[0] - thresholds)
    free = [_plain(draw, subject, column) for column in numbers]
    if subject.kind != "numbers" or not thresholds:  # a slot is named by its column, so one wish a slot
        free += _others(draw, subject)
    conditions += draw.sample(free, min(plain, len(free)))
    draw.shuffle(conditions)
    return tuple(conditions), words


def _plain(draw: random.Random, subject: Subject, column: str) -> Condition:
    bound = draw.randint(3, 7) if column == LENGTH else draw.randint(15, 85)
    return Condition(column, draw.choice("<>"), bound)


def _others(draw: random.Random, subject: Subject) -> list[Condition]:
    """Conditions that ask no bound: even or odd numbers, a first letter, a category's word."""
    if subject.kind == "numbers":
        return [Condition(subject.argument, draw.choice(("even", "odd")), 0)]
    if subject.kind == "words":
        return [Condition(subject.argument, "starts", draw.choice("bcdfghklmprst"))]
    return [Condition(column, "=", draw.choice(taken)) for column, taken in subject.categories.items()]


def question(form: Form) -> str:
    """What is asked, with the house that asks it."""
    return f"{form.house}: {_asked(form)}{_with(form)}"


def called(form_table: str, column: str) -> str:
    """How a column is called in questions and in feedback."""
    return {form_table: "value", LENGTH: "length"}.get(column, column)


def _asked(form: Form) -> str:
    query, words = form.query, form.words
    table = query.table
    if query.function == "COUNT":
        return f"count the {table}"
    column = called(table, query.column or table)
    if query.function:
        summary = words.get("function") or FUNCTION_WORDS[query.function]
        return f"return the {summary} {column} of {table}"
    many = words.get("limit") or ("all" if query.limit is None else str(query.limit))
    shown = "" if query.column == table else f"the {column} of "
    if query.order is None:
        return f"return {shown}{many} {table}"
    by = called(table, query.order.column)
    if "order" in words:
        return f"return {shown}{many} {words['order']} {table} by {by}"
    return f"return {shown}{many} {table} by {DIRECTION_WORDS[query.order.direction]} {by}"


def _with(form: Form) -> str:
    parts = []
    for condition in form.query.conditions:
        word, column = form.words.get(slot_of(condition.column)), called(form.query.table, condition.column)
        if word and condition.sign in SIGN_WORDS:
            parts.append(f"a {word} {column}")
        else:
            parts.append(wish(condition, column))
    return f" with {' and '.join(parts)}" if parts else ""


def wish(condition: Condition, column: str) -> str:
    """A condition in words, of a column called ``column``."""
    if condition.sign in ("even", "odd"):
        return f"{condition.sign} {column}"
    if condition.sign == "starts":
        return f"first letter {condition.value}"
    how = "" if condition.sign == "=" else f"{SIGN_WORDS.get(condition.sign, 'other than')} "
    return f"{column} {how}{condition.value}"


def usual(form: Form) -> Query:
    """The query with every vague word in its usual reading."""
    for slot, word in form.words.items():
        form = form._replace(query=form.reread(slot, usual_reading(word)))
    return form.query


def example(
    draw: random.Random, subject: Subject, form: Form, *, name: str, new_word: Callable[[], str]
) -> str | None:
    """An assert on a short list that the usual readings pass as well, so that it tells no reading.

    None when none was found: some readings agree on no list.
    """
    for size in (1,) if subject.kind == "records" else EXAMPLE_SIZES:
        for _ in range(_TRIES):
            items = fill(draw, subject, size, new_word=new_word)
            try:
                wanted = value(form.query, items)
                same = value(usual(form), items) == wanted
            except FAILED:
                continue
            if same and not (isinstance(wanted, float) and wanted % 1):
                return assertion(name, items, wanted)
    return None


def assertion(name: str, items: Sequence[Any], wanted: Any) -> str:
    """The test that ``items`` give ``wanted``."""
    return f"assert {name}({items!r}) == {wanted!r}"
