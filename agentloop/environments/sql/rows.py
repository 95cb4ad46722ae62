"""How the rows of a result are written as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentloop.environments.sql.guards import COUNTED_ROWS

LONGEST_CELL = 200
LONGEST_TEXT = 10_000

Row = tuple[Any, ...]


def render(rows: Sequence[Row], more: int = 0) -> str:
    """One line a row, cells divided by `` | ``; no rows are ``(no rows)``.

    A result of one cell is that cell's value alone. Column names are left out: whoever wrote the
    query knows them, and two right queries may name them differently.
    """
    if not rows and not more:
        return "(no rows)"
    lines: list[str] = []
    space = LONGEST_TEXT
    for row in rows:
        line = " | ".join(cell(value) for value in row)
        space -= len(line) + 1
        if space < 0 and lines:
            break
        lines.append(line)
    left = more + len(rows) - len(lines)
    if left:
        count = f"more than {left}" if more >= COUNTED_ROWS else str(left)
        lines.append(f"({count} more {'row' if left == 1 else 'rows'})")
    return "\n".join(lines)


def cell(value: Any) -> str:
    """One value on one line, cut when it is long."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        text = f"X'{value.hex()}'"
    else:
        text = str(value).replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "..."


def plain(row: Sequence[Any]) -> list[Any]:
    """A row as JSON values, for a fact."""
    return [cell(value) if isinstance(value, (bytes, str)) else value for value in row]
