"""What a question means: the intended query, and which of its parts a vague word stands for."""

from __future__ import annotations

import json
from typing import NamedTuple

from agentloop.tiny.houses import DIRECTION_WORDS, FUNCTION_WORDS, SENSE, SIGN_WORDS, House, Reading, Sense
from agentloop.tiny.query import Condition, Query, query_of


class Form(NamedTuple):
    """An intended query over a table with ``columns``.

    ``words`` says which vague word each slot of the query was asked for with: ``limit``,
    ``function``, ``order``, or the column of a condition with ``where`` before it.
    """

    house: str
    columns: tuple[str, ...]
    query: Query
    words: dict[str, str]

    def to_json(self) -> str:
        """The form as one JSON text."""
        return json.dumps([self.house, self.columns, self.query, self.words], separators=(",", ":"))

    def schema(self) -> str:
        """The table as it stands above the question."""
        return f"{self.query.table}({', '.join(self.columns)})"

    def question(self) -> str:
        """What is asked, with the house that asks it."""
        return f"{self.house}: {_asked(self)}{_with(self)}"

    def reading(self, slot: str) -> Reading:
        """What stands in ``slot`` of the intended query."""
        query = self.query
        if slot == "limit":
            assert query.limit is not None
            return query.limit
        if slot == "function":
            assert query.function is not None
            return query.function
        if slot == "order":
            assert query.order is not None
            return query.order.direction
        condition = next(each for each in query.conditions if _slot(each) == slot)
        return (condition.sign, int(condition.value))

    def reread(self, slot: str, reading: Reading) -> Query:
        """The query with another reading in ``slot``."""
        query = self.query
        if isinstance(reading, tuple):
            changed = (
                Condition(each.column, *reading) if _slot(each) == slot else each for each in query.conditions
            )
            return query._replace(conditions=tuple(changed))
        if slot == "limit":
            return query._replace(limit=int(reading))
        if slot == "function":
            return query._replace(function=str(reading))
        assert query.order is not None
        return query._replace(order=query.order._replace(direction=str(reading)))

    def sense(self, slot: str) -> Sense:
        """The sense of the vague word in ``slot``."""
        return SENSE[self.words[slot]]

    def at(self, house: House) -> Form:
        """The same question asked by ``house``, with its readings."""
        form = self._replace(house=house.name)
        for slot, word in self.words.items():
            form = form._replace(query=form.reread(slot, house.readings[word]))
        return form


def form_of(text: str) -> Form:
    """A form read back from its JSON text."""
    house, columns, query, words = json.loads(text)
    return Form(house, tuple(columns), query_of(query), words)


def slot_of(column: str) -> str:
    """The slot of the condition on ``column``."""
    return f"where {column}"


def _slot(condition: Condition) -> str:
    return slot_of(condition.column)


def _asked(form: Form) -> str:
    query, words = form.query, form.words
    if query.function:
        each = f"for each {query.group} " if query.group else ""
        if query.function == "COUNT" and query.column is None:
            return f"{each}count the {query.table}"
        summary = words.get("function") or FUNCTION_WORDS[query.function]
        return f"{each}give the {summary} {query.column} of {query.table}"
    many = words.get("limit") or ("all" if query.limit is None else str(query.limit))
    if query.order is None:
        return f"list the {query.column} of {many} {query.table}"
    if "order" in words:
        return f"list the {query.column} of {many} {words['order']} {query.table} by {query.order.column}"
    direction = DIRECTION_WORDS[query.order.direction]
    return f"list the {query.column} of {many} {query.table} by {direction} {query.order.column}"


def _with(form: Form) -> str:
    parts = []
    for condition in form.query.conditions:
        word = form.words.get(_slot(condition))
        if word:
            parts.append(f"a {word} {condition.column}")
        elif condition.sign == "=":
            parts.append(f"{condition.column} {condition.value}")
        else:
            parts.append(f"{condition.column} {SIGN_WORDS[condition.sign]} {condition.value}")
    return f" with {' and '.join(parts)}" if parts else ""
