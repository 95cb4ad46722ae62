"""What lies between an answer and the intended query, told in words that never quote SQL."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from agentloop.tiny.form import Form, slot_of
from agentloop.tiny.houses import DIRECTION_WORDS, FUNCTION_WORDS, SIGN_WORDS, meaning
from agentloop.tiny.query import Query


class Gap(NamedTuple):
    """One difference: the part of the query that it is in, and a sentence on it."""

    clause: str
    text: str


def gaps(answer: Query, form: Form) -> list[Gap]:
    """The differences in the order of the clauses; a sentence stands once."""
    found: dict[str, Gap] = {}
    for part in (_names, _summary, _column, _conditions, _order, _limit):
        for gap in part(answer, form):
            found.setdefault(gap.text, gap)
    return list(found.values())


def _reads(form: Form, slot: str) -> str:
    word = form.words[slot]
    return f"at {form.house}, {word} means {meaning(word, form.reading(slot))}"


def _names(answer: Query, form: Form) -> Iterator[Gap]:
    if answer.table.lower() != form.query.table:
        yield Gap("table", f"the question is about {form.query.table}")
    for column in answer.columns:
        if column.lower() not in form.columns:
            near = get_close_matches(column.lower(), form.columns, n=1)
            yield Gap("column", f"there is no {column}" + (f", did you mean {near[0]}" if near else ""))


def _summary(answer: Query, form: Form) -> Iterator[Gap]:
    wanted = form.query
    if answer.function != wanted.function:
        if "function" in form.words:
            yield Gap("function", _reads(form, "function"))
        elif wanted.function is None:
            yield Gap("function", f"show the {wanted.column} of each row")
        elif wanted.function == "COUNT":
            yield Gap("function", f"count the {wanted.table}")
        else:
            yield Gap("function", f"the {FUNCTION_WORDS[wanted.function]} is asked for")
    if answer.group != wanted.group:
        yield Gap("group", f"one line for each {wanted.group}" if wanted.group else "one line for all rows")


def _column(answer: Query, form: Form) -> Iterator[Gap]:
    wanted = form.query
    if answer.column != wanted.column and wanted.column and wanted.function:
        yield Gap("column", f"it is about the {wanted.column}")
    elif answer.column != wanted.column and wanted.column:
        yield Gap("column", f"show the {wanted.column}")


def _conditions(answer: Query, form: Form) -> Iterator[Gap]:
    given = {condition.column: condition for condition in answer.conditions}
    for wanted in form.query.conditions:
        found = given.pop(wanted.column, None)
        slot = slot_of(wanted.column)
        if found == wanted:
            continue
        if found is None and slot in form.words:
            yield Gap("where", f"the {form.words[slot]} {wanted.column} is missing")
        elif slot in form.words:
            yield Gap("where", _reads(form, slot))
        else:
            how = "" if wanted.sign == "=" else f"{SIGN_WORDS[wanted.sign]} "
            yield Gap("where", f"the {wanted.column} must be {how}{wanted.value}")
    for column in given:
        if column.lower() in form.columns:
            yield Gap("where", f"nothing is asked of the {column}")
    if not given and len(answer.conditions) > len(form.query.conditions):
        yield Gap("where", "one wish stands there twice")


def _order(answer: Query, form: Form) -> Iterator[Gap]:
    wanted = form.query.order
    if wanted is None:
        if answer.order:
            yield Gap("order", "no order is asked for")
        return
    if answer.order is None or answer.order.column != wanted.column:
        yield Gap("order", f"go by the {wanted.column}")
    if answer.order is not None and answer.order.direction != wanted.direction:
        if "order" in form.words:
            yield Gap("order", _reads(form, "order"))
        else:
            yield Gap("order", f"the {DIRECTION_WORDS[wanted.direction]} {wanted.column} comes first")


def _limit(answer: Query, form: Form) -> Iterator[Gap]:
    wanted = form.query.limit
    if answer.limit == wanted:
        return
    if "limit" in form.words:
        yield Gap("limit", _reads(form, "limit"))
    else:
        yield Gap("limit", "all rows are asked for" if wanted is None else f"{wanted} rows are asked for")
