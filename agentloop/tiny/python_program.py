"""Short Python functions over one list, as data: to a program and back.

The data is a ``Query``: its table is the list that the function is given, and a column is what is
looked at in each item: the item itself (under the list's own name), its length, or a field of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import NamedTuple

from agentloop.tiny.query import Condition, Order, Query

LENGTH = "len"
"""The column that stands for the length of an item."""

EACH = "each"
KEPT = "kept"
"""The names that a program gives to one item, and to what it has kept of the list."""

PARITY = {0: "even", 1: "odd"}
SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "=",
    ast.Gt: ">",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.NotEq: "<>",
}
FUNCTIONS = {"max": "MAX", "min": "MIN", "sum": "SUM"}
_FENCE = re.compile(r"```(?:python)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)


class Parsed(NamedTuple):
    """A program that was read back: its names, what it does, and in which line it does it.

    ``argument`` is the name in the signature; the query's table is the name that the body uses.
    """

    name: str
    argument: str
    query: Query
    lines: Mapping[str, int]


def program(name: str, query: Query) -> str:
    """The function ``name`` in the one way that the model was trained to write it."""
    lines, source = [f"def {name}({query.table}):"], query.table
    if query.conditions:
        tests = " and ".join(_test(query, condition) for condition in query.conditions)
        lines.append(f"{KEPT} = [{EACH} for {EACH} in {source} if {tests}]")
        source = KEPT
    if query.order:
        lines.append(f"{KEPT} = sorted({source}{_key(query, query.order)})")
        source = KEPT
    lines.append(f"return {_result(query, source)}")
    return "\n    ".join(lines)


def _item(query: Query, column: str | None) -> str:
    if column == query.table or column is None:
        return EACH
    return f"len({EACH})" if column == LENGTH else f"{EACH}['{column}']"


def _test(query: Query, condition: Condition) -> str:
    item = _item(query, condition.column)
    if condition.sign in PARITY.values():
        return f"{item} % 2 == {int(condition.sign == 'odd')}"
    if condition.sign == "starts":
        return f"{item}[0] == '{condition.value}'"
    sign = {"=": "==", "<>": "!="}.get(condition.sign, condition.sign)
    return f"{item} {sign} {condition.value!r}"


def _key(query: Query, order: Order) -> str:
    down = ", reverse=True" if order.direction == "DESC" else ""
    if order.column == query.table:
        return down
    if order.column == LENGTH:
        return f", key=len{down}"
    return f", key=lambda {EACH}: {_item(query, order.column)}{down}"


def _result(query: Query, source: str) -> str:
    column = query.column
    if query.function == "COUNT":
        return f"len({source})"
    if query.function:
        values = source if column == query.table else f"{_item(query, column)} for {EACH} in {source}"
        if query.function == "AVG":
            return f"sum({values}) / len({source})"
        return f"{query.function.lower()}({values})"
    shown = source if query.limit is None else f"{source}[:{query.limit}]"
    return shown if column == query.table else f"[{_item(query, column)} for {EACH} in {shown}]"


def extract(text: str) -> str:
    """The program in a reply: what stands in its first fence, or all of it."""
    fenced = _FENCE.search(text)
    return (fenced.group(1) if fenced else text).strip()


def parse(text: str) -> Parsed | None:
    """Read a program as such a function; None when it is anything else, also when it is no Python at all."""
    try:
        (function,) = ast.parse(text).body
        return _Reader(function).parsed()
    except (SyntaxError, ValueError, RecursionError, MemoryError, _Other):
        return None


class _Other(Exception):
    """The program is not of the shape that ``Query`` can hold."""


class _Reader:
    """Reads the statements of one function, in the order in which they are written."""

    def __init__(self, function: ast.stmt) -> None:
        if not isinstance(function, ast.FunctionDef) or function.decorator_list or function.returns:
            raise _Other
        self.function = function
        self.given = _signature(function.args)
        if self.given in (EACH, KEPT) or _calls(function, self.given):
            raise _Other
        self.source: str | None = None
        self.kept = False
        self.lines: dict[str, int] = {}

    def parsed(self) -> Parsed:
        *steps, last = self.function.body
        if len(steps) > 2 or not isinstance(last, ast.Return) or last.value is None:
            raise _Other
        conditions: tuple[Condition, ...] = ()
        order: Order | None = None
        for step in steps:
            value = _assigned(step)
            if isinstance(value, ast.ListComp) and not conditions and order is None:
                conditions = self._conditions(value)
                self.lines["where"] = step.lineno
            elif order is None:
                order = self._order(value)
                self.lines["order"] = step.lineno
            else:
                raise _Other
            self.kept = True
        self.lines["return"] = last.lineno
        query = self._result(last.value)._replace(conditions=conditions, order=order)
        return Parsed(self.function.name, self.given, query, self.lines)

    def _take(self, node: ast.expr) -> None:
        """Note the list that a statement works on: the argument at first, later what was kept."""
        if not isinstance(node, ast.Name) or (self.kept and node.id != KEPT):
            raise _Other
        if not self.kept and self.source not in (None, node.id):
            raise _Other
        if not self.kept:
            self.source = node.id

    def _column(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id == EACH:
            assert self.source is not None
            return self.source
        if isinstance(node, ast.Call):
            if _called(node) == "len" and self._is_each(_only(node.args)):
                return LENGTH
        elif isinstance(node, ast.Subscript) and self._is_each(node.value):
            return str(_constant(node.slice, str))
        raise _Other

    def _is_each(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == EACH

    def _conditions(self, node: ast.ListComp) -> tuple[Condition, ...]:
        loop = _loop(node)
        self._take(loop.iter)
        if not self._is_each(node.elt) or len(loop.ifs) != 1:
            raise _Other
        test = loop.ifs[0]
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return tuple(self._condition(each) for each in test.values)
        return (self._condition(test),)

    def _condition(self, node: ast.expr) -> Condition:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            raise _Other
        left, sign, value = node.left, SIGNS.get(type(node.ops[0])), node.comparators[0]
        if sign is None:
            raise _Other
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod) and sign == "=":
            rest = _constant(value, int)
            if _constant(left.right, int) != 2 or rest not in PARITY:
                raise _Other
            return Condition(self._column(left.left), PARITY[int(rest)], 0)
        if isinstance(left, ast.Subscript) and sign == "=" and _is_zero(left.slice):
            return Condition(self._column(left.value), "starts", _constant(value, str))
        return Condition(self._column(left), sign, _constant(value, int, str))

    def _order(self, node: ast.expr) -> Order:
        if not isinstance(node, ast.Call) or _called(node) != "sorted" or len(node.args) != 1:
            raise _Other
        self._take(node.args[0])
        assert self.source is not None
        column, direction = self.source, "ASC"
        for keyword in node.keywords:
            if keyword.arg == "reverse" and _constant(keyword.value, bool) is True:
                direction = "DESC"
            elif keyword.arg == "key":
                column = self._key(keyword.value)
            else:
                raise _Other
        return Order(column, direction)

    def _key(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id == "len":
            return LENGTH
        if isinstance(node, ast.Lambda) and _signature(node.args) == EACH:
            return self._column(node.body)
        raise _Other

    def _result(self, node: ast.expr) -> Query:
        if isinstance(node, ast.ListComp):
            loop = _loop(node)
            limit = self._cut(loop.iter)
            if loop.ifs:
                raise _Other
            return Query(self._table(), self._column(node.elt), limit=limit)
        if isinstance(node, ast.BinOp):
            return self._average(node)
        if isinstance(node, ast.Call):
            return self._summary(node)
        limit = self._cut(node)
        return Query(self._table(), self._table(), limit=limit)

    def _average(self, node: ast.BinOp) -> Query:
        if not isinstance(node.op, ast.Div) or not isinstance(node.left, ast.Call):
            raise _Other
        total, count = self._summary(node.left), node.right
        if total.function != "SUM" or not isinstance(count, ast.Call) or _called(count) != "len":
            raise _Other
        self._take(_only(count.args))
        return total._replace(function="AVG")

    def _summary(self, node: ast.Call) -> Query:
        called, argument = _called(node), _only(node.args)
        if node.keywords:
            raise _Other
        if called == "len":
            self._take(argument)
            return Query(self._table(), None, "COUNT")
        if called not in FUNCTIONS:
            raise _Other
        if isinstance(argument, ast.GeneratorExp):
            loop = _loop(argument)
            self._take(loop.iter)
            if loop.ifs:
                raise _Other
            return Query(self._table(), self._column(argument.elt), FUNCTIONS[called])
        self._take(argument)
        return Query(self._table(), self._table(), FUNCTIONS[called])

    def _cut(self, node: ast.expr) -> int | None:
        """The number of items that a result is cut to."""
        if not isinstance(node, ast.Subscript):
            self._take(node)
            return None
        part = node.slice
        if not isinstance(part, ast.Slice) or part.lower or part.step or part.upper is None:
            raise _Other
        self._take(node.value)
        return int(_constant(part.upper, int))

    def _table(self) -> str:
        assert self.source is not None
        return self.source


def _signature(given: ast.arguments) -> str:
    if len(given.args) != 1 or given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg:
        raise _Other
    if given.defaults or given.args[0].annotation:
        raise _Other
    return given.args[0].arg


def _calls(function: ast.FunctionDef, name: str) -> bool:
    """Whether the body uses ``name`` as a function, which it is no longer once the list is called so."""
    used = (
        node.func if isinstance(node, ast.Call) else node.value
        for node in ast.walk(function)
        if isinstance(node, (ast.Call, ast.keyword))
    )
    return any(isinstance(each, ast.Name) and each.id == name for each in used)


def _assigned(step: ast.stmt) -> ast.expr:
    if not isinstance(step, ast.Assign) or len(step.targets) != 1:
        raise _Other
    target = step.targets[0]
    if not isinstance(target, ast.Name) or target.id != KEPT:
        raise _Other
    return step.value


def _loop(node: ast.ListComp | ast.GeneratorExp) -> ast.comprehension:
    (loop,) = node.generators
    if not isinstance(loop.target, ast.Name) or loop.target.id != EACH or loop.is_async:
        raise _Other
    return loop


def _called(node: ast.Call) -> str:
    if not isinstance(node.func, ast.Name):
        raise _Other
    return node.func.id


def _only(items: list[ast.expr]) -> ast.expr:
    if len(items) != 1:
        raise _Other
    return items[0]


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value == 0


def _constant(node: ast.expr, *kinds: type) -> str | int:
    value = node.value if isinstance(node, ast.Constant) else None
    if type(value) not in kinds or not isinstance(value, (str, int)):
        raise _Other
    return value
