"""What a short function gives for a list, worked out from its data, so that nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentloop.tiny.python_program import LENGTH, Parsed
from agentloop.tiny.query import Condition, Query

FAILED = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What a function of this kind can raise."""


def value(query: Query, items: Sequence[Any]) -> Any:
    """What the function returns for ``items``; raises what the program would raise."""
    kept = [each for each in items if all(_holds(query, condition, each) for condition in query.conditions)]
    if query.order:
        by = query.order.column
        kept = sorted(kept, key=lambda each: _of(query, by, each), reverse=query.order.direction == "DESC")
    if query.function == "COUNT":
        return len(kept)
    if query.function is None:
        return [_of(query, query.column, each) for each in kept[: query.limit]]
    values = [_of(query, query.column, each) for each in kept]
    if query.function == "AVG":
        return sum(values) / len(kept)
    if query.function == "SUM":
        return sum(values)
    return max(values) if query.function == "MAX" else min(values)


def same_value(parsed: Parsed | None, query: Query, items: Sequence[Any], *, name: str) -> bool:
    """Whether a program that was read back gives for ``items`` what the intended query gives."""
    if parsed is None or parsed.name != name or parsed.query.table != parsed.argument:
        return False
    try:
        return bool(value(parsed.query, items) == value(query, items))
    except FAILED:
        return False


def _holds(query: Query, condition: Condition, each: Any) -> bool:
    found, wanted = _of(query, condition.column, each), condition.value
    if condition.sign in ("even", "odd"):
        return bool(found % 2 == (condition.sign == "odd"))
    if condition.sign == "starts":
        return bool(found[0] == wanted)
    if condition.sign in ("=", "<>"):
        return bool(found == wanted) is (condition.sign == "=")
    if condition.sign in ("<", "<="):
        return bool(found < wanted or (condition.sign == "<=" and found == wanted))
    return bool(found > wanted or (condition.sign == ">=" and found == wanted))


def _of(query: Query, column: str | None, each: Any) -> Any:
    if column == query.table or column is None:
        return each
    return len(each) if column == LENGTH else each[column]
