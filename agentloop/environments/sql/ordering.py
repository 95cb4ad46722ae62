"""Which order of rows an accepted query asks for: that of its outermost ORDER BY, free among equal keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from agentloop.environments.sql.compare import same_cell
from agentloop.environments.sql.rows import Row


class Key(NamedTuple):
    """One sort key: a column of the result by its number or name, or one ``added`` to the query."""

    number: int | None = None
    name: str | None = None
    added: int | None = None
    nocase: bool = False


class Order(NamedTuple):
    """The order a query asks for.

    ``query`` is the same query with ``added`` key columns at its end. ``keys`` is None when the keys
    cannot be told; then every row has its place.
    """

    query: str
    keys: tuple[Key, ...] | None
    added: int = 0


@lru_cache(maxsize=4096)
def order_of(query: str) -> Order | None:
    """The order that ``query`` asks for; None when it asks for none."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(query, read="sqlite")
    except (SqlglotError, RecursionError):
        return Order(query, None) if _sorted_outside(query) else None
    order = tree.args.get("order") if isinstance(tree, exp.Query) else None
    if order is None or order.find(exp.Rand):
        return None
    if not isinstance(tree, exp.Select) or tree.args.get("distinct"):
        keys = [_output_key(term.this, tree) for term in order.expressions]
        return Order(query, None if None in keys else tuple(key for key in keys if key))
    return _with_keys(query, tree, order)


def _with_keys(query: str, tree: Any, order: Any) -> Order:
    """Add the keys that the query does not return as columns at its end."""
    longer, keys, added = tree.copy(), [], 0
    for term in order.expressions:
        key = _output_key(term.this, tree)
        if key is None:
            key = Key(added=added, nocase=_nocase(term.this))
            longer.select(_unaliased(term.this, tree), copy=False)
            added += 1
        keys.append(key)
    return Order(longer.sql(dialect="sqlite") if added else query, tuple(keys), added)


def _output_key(term: Any, tree: Any) -> Key | None:
    """The column of the result that the term names by number, by alias or by being the same expression."""
    from sqlglot import exp

    nocase = _nocase(term)
    term = term.this if isinstance(term, exp.Collate) else term
    if isinstance(term, exp.Literal) and term.is_int:
        return Key(number=int(term.this) - 1, nocase=nocase)
    selects = tree.selects
    starred = any(each.is_star for each in selects)
    if isinstance(term, exp.Column) and not term.table and term.name.lower() in _names(selects):
        name = term.name.lower()
        return (
            Key(name=name, nocase=nocase)
            if starred
            else Key(number=_names(selects).index(name), nocase=nocase)
        )
    if not starred:
        for index, each in enumerate(selects):
            if each.unalias() == term:
                return Key(number=index, nocase=nocase)
    return None


def _names(selects: Sequence[Any]) -> list[str]:
    return [each.alias_or_name.lower() for each in selects]


def _nocase(term: Any) -> bool:
    from sqlglot import exp

    return isinstance(term, exp.Collate) and "nocase" in term.expression.sql().lower()


def _unaliased(term: Any, tree: Any) -> Any:
    """The term with the aliases in it replaced, since a column of the result cannot use another's alias."""
    from sqlglot import exp

    meant = {each.alias.lower(): each.this for each in tree.selects if isinstance(each, exp.Alias)}

    def replaced(node: Any) -> Any:
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in meant:
            return exp.paren(meant[node.name.lower()].copy())
        return node

    return term.copy().transform(replaced)


def _sorted_outside(query: str) -> bool:
    """Whether ORDER BY stands outside of all brackets, for a query that cannot be parsed."""
    from agentloop.environments.sql.mistakes import TOKEN

    depth, before = 0, ""
    for match in TOKEN.finditer(query):
        token = match.group().lower()
        if depth == 0 and before == "order" and token == "by":
            return True
        depth += (token == "(") - (token == ")")
        before = token if not token.startswith(("--", "/*")) else before
    return False


def blocks(rows: Sequence[Row], columns: Sequence[str], order: Order) -> tuple[int, ...]:
    """The lengths of the runs of rows with equal keys; ``rows`` come with the added columns."""
    if order.keys is None:
        return (1,) * len(rows)
    places = [_place(key, columns, order.added) for key in order.keys]
    lengths: list[int] = []
    before: list[Any] | None = None
    for row in rows:
        values = [_folded(row[place], key.nocase) for place, key in zip(places, order.keys, strict=True)]
        if before is not None and all(map(same_cell, before, values)):
            lengths[-1] += 1
        else:
            lengths.append(1)
        before = values
    return tuple(lengths)


def _place(key: Key, columns: Sequence[str], added: int) -> int:
    if key.number is not None:
        return key.number
    if key.name is not None:
        return [name.lower() for name in columns].index(key.name)
    return len(columns) - added + (key.added or 0)


def _folded(value: Any, nocase: bool) -> Any:
    return value.lower() if nocase and isinstance(value, str) else value
