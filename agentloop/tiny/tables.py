"""Tables: drawn from a family, filled with nonce words and numbers, and queried."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

from agentloop.tiny.families import Family
from agentloop.tiny.words import Words

_STEPS = 200_000
_LONGEST = 100_000
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)


class Table(NamedTuple):
    """A table: its columns in order, and the words that its categories take."""

    name: str
    key: str
    categories: dict[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    columns: tuple[str, ...]


def draw_table(draw: random.Random, family: Family, words: Words) -> Table:
    """A table of the family: its key, one to three categories, one to three numbers, in any order."""
    words.taken |= {family.key, *family.own_words}
    categories = draw.sample(family.categories, draw.randint(1, min(3, len(family.categories))))
    numbers = draw.sample(family.numbers, draw.randint(1, min(3, len(family.numbers))))
    columns = [family.key, *categories, *numbers]
    draw.shuffle(columns)
    values = {column: words.several(draw.randint(2, 4)) for column in categories}
    return Table(family.table, family.key, values, tuple(numbers), tuple(columns))


def fill(draw: random.Random, table: Table, words: Words) -> str:
    """A script that makes the table with 14 to 25 rows; numbers are 1 to 99, without ties in a column."""
    count = draw.randint(14, 25)
    values: dict[str, list[Any]] = {table.key: list(words.several(count))}
    for column, choices in table.categories.items():
        values[column] = [draw.choice(choices) for _ in range(count)]
    for column in table.numbers:
        values[column] = draw.sample(range(1, 100), count)
    types = ", ".join(f"{name} {'INTEGER' if name in table.numbers else 'TEXT'}" for name in table.columns)
    rows = zip(*(values[column] for column in table.columns), strict=True)
    lines = ",\n".join(f"  ({', '.join(repr(value) for value in row)})" for row in rows)
    return f"CREATE TABLE {table.name} ({types});\nINSERT INTO {table.name} VALUES\n{lines};\n"


class Filled:
    """A filled table in memory that answers queries, and nothing else; close it after use."""

    def __init__(self, script: str) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.executescript(script)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        self.connection.set_authorizer(lambda action, *_: int(action not in _ALLOWED))

    def rows(self, sql: str) -> list[tuple[Any, ...]] | None:
        """The rows of a query, sorted unless it sorts them itself; None when it fails or takes too long."""
        self.connection.set_progress_handler(lambda: 1, _STEPS)
        try:
            with closing(self.connection.execute(sql)) as cursor:
                found = cursor.fetchmany(_LONGEST // 100)
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError, OverflowError):
            return None
        return found if "ORDER BY" in sql.upper() else sorted(found, key=repr)

    def close(self) -> None:
        """Give the memory back."""
        self.connection.close()
