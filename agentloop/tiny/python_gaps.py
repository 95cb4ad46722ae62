"""What lies between a program and the function that was meant, told in words that never quote code."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from agentloop.tiny.form import Form, slot_of
from agentloop.tiny.houses import DIRECTION_WORDS, FUNCTION_WORDS, SIGN_WORDS, meaning
from agentloop.tiny.python_drawing import called, wish
from agentloop.tiny.python_program import LENGTH, Parsed
from agentloop.tiny.query import Condition, Query


class Gap(NamedTuple):
    """One difference: the line of the program that it is in, and a sentence on it.

    The line is 0 where the program lacks one.
    """

    line: int
    text: str


def gaps(answer: Parsed, name: str, form: Form) -> list[Gap]:
    """The differences in the order of the lines; a sentence stands once."""
    found: dict[str, Gap] = {}
    for gap in _names(answer, name, form):
        found.setdefault(gap.text, gap)
    query = _renamed(answer.query, form.query.table)
    for place, part in (("where", _conditions), ("order", _order), ("return", _result)):
        for text in part(query, form):
            found.setdefault(text, Gap(answer.lines.get(place, 0), text))
    return list(found.values())


def _renamed(query: Query, table: str) -> Query:
    """The query as it would stand if the list had its right name."""
    old = query.table
    conditions = tuple(
        each._replace(column=table) if each.column == old else each for each in query.conditions
    )
    order = query.order
    if order and order.column == old:
        order = order._replace(column=table)
    column = table if query.column == old else query.column
    return query._replace(table=table, column=column, conditions=conditions, order=order)


def _reads(form: Form, slot: str) -> str:
    word = form.words[slot]
    return f"at {form.house}, {word} means {meaning(word, form.reading(slot))}"


def _names(answer: Parsed, name: str, form: Form) -> Iterator[Gap]:
    if answer.name != name:
        yield Gap(1, f"the function must be called {name}")
    if answer.query.table != answer.argument:
        yield Gap(
            min(answer.lines.values()), f"there is no {answer.query.table}, the list is {answer.argument}"
        )
    query = answer.query
    places = [
        *(("return", query.column) for _ in (0,) if query.column),
        *(("where", each.column) for each in query.conditions),
        *(("order", each.column) for each in (query.order,) if each),
    ]
    for place, column in places:
        if column not in (*form.columns, query.table, LENGTH):
            near = get_close_matches(column, form.columns, n=1)
            hint = f", did you mean {near[0]}" if near else ""
            yield Gap(answer.lines[place], f"there is no {column}{hint}")


def _conditions(answer: Query, form: Form) -> Iterator[str]:
    given = list(answer.conditions)
    table = form.query.table
    for wanted in form.query.conditions:
        slot, column = slot_of(wanted.column), called(table, wanted.column)
        found = next((each for each in given if _same_kind(each, wanted)), None)
        if found is not None:
            given.remove(found)
        if found == wanted:
            continue
        if slot in form.words and wanted.sign in SIGN_WORDS:
            yield f"the {form.words[slot]} {column} is missing" if found is None else _reads(form, slot)
        else:
            yield f"only those with {wish(wanted, column)}"
    for extra in given:
        if extra.column in form.columns:
            yield f"nothing is asked of the {called(table, extra.column)}"
    if not given and len(answer.conditions) > len(form.query.conditions):
        yield "one wish stands there twice"


def _same_kind(found: Condition, wanted: Condition) -> bool:
    """Whether one condition stands where the other is meant: same column, both with a bound or neither."""
    bounds = ("<", ">", "<=", ">=", "=", "<>")
    return found.column == wanted.column and (found.sign in bounds) == (wanted.sign in bounds)


def _order(answer: Query, form: Form) -> Iterator[str]:
    wanted = form.query.order
    if wanted is None:
        if answer.order:
            yield "no order is asked for"
        return
    by = called(form.query.table, wanted.column)
    if answer.order is None or answer.order.column != wanted.column:
        yield f"go by the {by}"
    if answer.order is not None and answer.order.direction != wanted.direction:
        if "order" in form.words:
            yield _reads(form, "order")
        else:
            yield f"the {DIRECTION_WORDS[wanted.direction]} {by} comes first"


def _result(answer: Query, form: Form) -> Iterator[str]:
    wanted = form.query
    if answer.function != wanted.function:
        if "function" in form.words:
            yield _reads(form, "function")
        elif wanted.function is None:
            yield (
                f"return the {wanted.table} themselves"
                if wanted.column == wanted.table
                else (f"return the {wanted.column} of each")
            )
        elif wanted.function == "COUNT":
            yield f"count the {wanted.table}"
        else:
            yield f"the {FUNCTION_WORDS[wanted.function]} is asked for"
    if answer.column != wanted.column and wanted.column and wanted.function:
        yield f"it is about the {called(wanted.table, wanted.column)}"
    elif answer.column != wanted.column and wanted.column:
        yield f"return the {called(wanted.table, wanted.column)} of each"
    if answer.limit == wanted.limit:
        return
    if "limit" in form.words:
        yield _reads(form, "limit")
    else:
        yield "all are asked for" if wanted.limit is None else f"{wanted.limit} rows are asked for"
