"""The queries that the tasks are about, as data: to SQL and back."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

FUNCTIONS = ("COUNT", "AVG", "MAX", "MIN", "SUM")
_FENCE = re.compile(r"```(?:sql)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)


class Condition(NamedTuple):
    """One condition on a column: ``=`` with a word, or ``<`` and ``>`` with a number."""

    column: str
    sign: str
    value: str | int

    def sql(self) -> str:
        """The condition in SQL."""
        value = f"'{self.value}'" if isinstance(self.value, str) else self.value
        return f"{self.column} {self.sign} {value}"


class Order(NamedTuple):
    """By which column rows are sorted, and in which direction."""

    column: str
    direction: str


class Query(NamedTuple):
    """A query over one table. ``column`` is what is shown or summarised, None in a plain count."""

    table: str
    column: str | None
    function: str | None = None
    conditions: tuple[Condition, ...] = ()
    group: str | None = None
    order: Order | None = None
    limit: int | None = None

    def sql(self) -> str:
        """The query in SQL, in the one way that the model was trained to write it."""
        what = f"{self.function}({self.column or '*'})" if self.function else self.column
        parts = ["SELECT", f"{self.group}, {what}" if self.group else f"{what}", "FROM", self.table]
        if self.conditions:
            parts += ["WHERE", " AND ".join(condition.sql() for condition in self.conditions)]
        if self.group:
            parts += ["GROUP BY", self.group]
        if self.order:
            parts += ["ORDER BY", self.order.column, self.order.direction]
        if self.limit is not None:
            parts += ["LIMIT", str(self.limit)]
        return " ".join(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the query names, in the order of its clauses."""
        order = self.order.column if self.order else None
        named = (self.group, self.column, *(condition.column for condition in self.conditions), order)
        return tuple(dict.fromkeys(name for name in named if name))


def query_of(value: list[Any]) -> Query:
    """A query read back from JSON."""
    table, column, function, conditions, group, order, limit = value
    return Query(
        table,
        column,
        function,
        tuple(Condition(*each) for each in conditions),
        group,
        order and Order(*order),
        limit,
    )


def extract(text: str) -> str:
    """The SQL in a reply: what stands in its first fence, or all of it."""
    fenced = _FENCE.search(text)
    return (fenced.group(1) if fenced else text).strip().rstrip(";").strip()


def parse(sql: str) -> Query | None:
    """Read SQL as such a query; None when it is anything else, also when it is no SQL at all."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, read="sqlite")
        return _query(tree) if isinstance(tree, exp.Select) else None
    except (SqlglotError, RecursionError, ValueError, _Other):
        return None


class _Other(Exception):
    """The SQL is not of the shape that ``Query`` can hold."""


_KNOWN_PARTS = {"kind", "expressions", "from", "from_", "where", "group", "order", "limit"}


def _query(tree: Any) -> Query:
    if any(value for part, value in tree.args.items() if part not in _KNOWN_PARTS):
        raise _Other
    source = tree.args.get("from") or tree.args.get("from_")
    grouped = tree.args.get("group")
    group = _column(_only(grouped.expressions)) if grouped else None
    shown = list(tree.expressions)
    if group is not None and (len(shown) != 2 or _column(shown.pop(0)) != group):
        raise _Other
    function, column = _shown(_only(shown))
    limited = tree.args.get("limit")
    return Query(
        table=_table(source.this if source else None),
        column=column,
        function=function,
        conditions=tuple(_conditions(tree.args["where"].this)) if tree.args.get("where") else (),
        group=group,
        order=_order(tree.args.get("order")),
        limit=_number(limited.expression) if limited else None,
    )


def _only(items: list[Any]) -> Any:
    if len(items) != 1:
        raise _Other
    return items[0]


def _table(node: Any) -> str:
    from sqlglot import exp

    if not isinstance(node, exp.Table) or node.alias:
        raise _Other
    return node.name


def _column(node: Any) -> str:
    from sqlglot import exp

    if not isinstance(node, exp.Column) or node.table:
        raise _Other
    return str(node.name)


def _shown(node: Any) -> tuple[str | None, str | None]:
    from sqlglot import exp

    if not isinstance(node, exp.AggFunc):
        return None, _column(node)
    name = node.sql_name().upper()
    if name not in FUNCTIONS or node.args.get("distinct"):
        raise _Other
    return name, None if isinstance(node.this, exp.Star) else _column(node.this)


def _conditions(node: Any) -> list[Condition]:
    from sqlglot import exp

    if isinstance(node, exp.And):
        return _conditions(node.this) + _conditions(node.expression)
    signs = {exp.EQ: "=", exp.GT: ">", exp.LT: "<", exp.GTE: ">=", exp.LTE: "<=", exp.NEQ: "<>"}
    sign = signs.get(type(node))
    if sign is None:
        raise _Other
    value = node.expression
    if isinstance(value, exp.Literal) and value.is_string:
        return [Condition(_column(node.this), sign, str(value.this))]
    return [Condition(_column(node.this), sign, _number(value))]


def _order(node: Any) -> Order | None:
    if node is None:
        return None
    key = _only(node.expressions)
    return Order(_column(key.this), "DESC" if key.args.get("desc") else "ASC")


def _number(node: Any) -> int:
    from sqlglot import exp

    if not isinstance(node, exp.Literal) or node.is_string:
        raise _Other
    return int(node.this)
