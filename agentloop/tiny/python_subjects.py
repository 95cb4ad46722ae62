"""What the short functions are about: a list of numbers, of words or of records, drawn and filled."""

from __future__ import annotations

import builtins
import keyword
import random
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.tiny.families import Family
from agentloop.tiny.python_program import EACH, KEPT, LENGTH
from agentloop.tiny.words import Words

Kind: TypeAlias = Literal["numbers", "words", "records"]
KINDS: tuple[Kind, ...] = ("numbers", "words", "records")

PYTHON_WORDS = frozenset(
    (*keyword.kwlist, *keyword.softkwlist, *dir(builtins), EACH, KEPT, "assert", "lambda", "reverse", "key")
)
"""Words that no function, list or field is called."""


class Subject(NamedTuple):
    """A list: what it holds, the columns of an item that are numbers, and the words that others take."""

    kind: Kind
    argument: str
    key: str
    categories: dict[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    columns: tuple[str, ...]


def draw_subject(draw: random.Random, family: Family, words: Words) -> Subject:
    """A list named after the family: numbers by one of its numbers, words by a category, or records."""
    words.taken |= {family.key, *family.own_words}
    kind = draw.choice(KINDS)
    if kind == "numbers":
        name = draw.choice(family.numbers)
        return Subject(kind, name, name, {}, (name,), (name,))
    if kind == "words":
        name = draw.choice(family.categories)
        return Subject(kind, name, name, {}, (LENGTH,), (name, LENGTH))
    categories = draw.sample(family.categories, draw.randint(0, 1))
    numbers = draw.sample(family.numbers, draw.randint(1, 2))
    columns = [family.key, *categories, *numbers]
    draw.shuffle(columns)
    values = {column: words.several(draw.randint(2, 4)) for column in categories}
    return Subject(kind, family.table, family.key, values, tuple(numbers), tuple(columns))


def fill(draw: random.Random, subject: Subject, count: int, *, new_word: Callable[[], str]) -> list[Any]:
    """``count`` items; numbers are 1 to 99, without ties in a column."""
    if subject.kind == "numbers":
        return draw.sample(range(1, 100), count)
    if subject.kind == "words":
        return [new_word() for _ in range(count)]
    numbers = {column: draw.sample(range(1, 100), count) for column in subject.numbers}

    def field(column: str, at: int) -> str | int:
        if column in numbers:
            return numbers[column][at]
        return draw.choice(subject.categories[column]) if column in subject.categories else new_word()

    return [{column: field(column, at) for column in subject.columns} for at in range(count)]
