"""Tests taken apart into units, each of which passes or fails on its own.

A unit is one statement that tests something: it holds an ``assert``, calls what is named like one
(``self.assertEqual``, ``raises``), or calls the program and discards the result. It stands at the top
of the tests or directly in the body of ``check(candidate)`` or of a ``test_...()``. Each unit is put
into a ``with`` of its own, so that those after a failed one still run; the other statements run
between them in order.

What an assert compares is also kept under a name that no program can write, by ``:=`` around the
operands: order and truth of the evaluation are those of the plain assert.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

FILE = "tests.py"
UNITS = "@units"
ENTER = "@enter"
TEMPORARY = "@value"
Body = list[ast.stmt]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NEVER_UNITS = (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)
CLOSE = frozenset({"isclose", "allclose", "array_equal", "isinstance"})
TESTING = ("assert", "raises", "fail")
LOAD, STORE = ast.Load(), ast.Store()


class Place(NamedTuple):
    """Where a unit stands in the tests, and its text."""

    line: int
    source: str


class Prepared(NamedTuple):
    """Tests that are ready to be compiled."""

    tree: ast.Module
    units: list[Place]
    asserts: list[ast.Assert]
    """The asserts whose operands are kept."""
    split: list[str]
    """The functions that were taken apart into units, in order."""
    subjects: set[str]
    """The names under which the tests call the program."""
    lines: list[str]


class Splitter:
    """Takes one text of tests apart."""

    def __init__(self, text: str, subject: str) -> None:
        self._lines = text.split("\n")
        self._subjects = {"candidate", *([subject] if subject else [])}
        self._units: list[Place] = []
        self._asserts: list[ast.Assert] = []
        self._split: list[str] = []
        self._count = 0
        """How many operands of an assert have been kept."""

    def split(self, tree: ast.Module) -> Prepared:
        """The tests with their units marked."""
        tests: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        body: Body = []
        for each in tree.body:
            if isinstance(each, FUNCTIONS) and is_test(each.name):
                tests.append(each)
                self._split.append(each.name)
            if not _runs_unittest(each):
                body.append(each)
        for test in tests:
            self._function(test)
        tree.body = self._body(body)
        return Prepared(tree, self._units, self._asserts, self._split, self._subjects, self._lines)

    def _function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if function.args.args:
            self._subjects.add(function.args.args[0].arg)
        function.body = self._body(function.body)
        # Whether a function was called by the tests themselves shows in its being entered.
        entered = _call(ENTER, function.name, function.body[0])
        function.body.insert(_after_docstring(function.body), entered)

    def _body(self, body: Body) -> Body:
        made: Body = []
        for statement in body:
            if type(statement) is ast.Assert:
                made.append(self._as_unit(statement))
                self._keep(statement)
                continue
            made.append(self._as_unit(statement) if self._is_unit(statement) else statement)
            if not (isinstance(statement, FUNCTIONS) and statement.name in self._split):
                self._keep_operands(statement)
        return made

    def _is_unit(self, statement: ast.stmt) -> bool:
        if isinstance(statement, NEVER_UNITS):
            return False
        waiting: list[ast.AST] = [statement]
        for node in waiting:
            if isinstance(node, ast.Assert):
                return True
            if isinstance(node, ast.Call) and self._tests(node, statement):
                return True
            waiting += children(node)
        return False

    def _tests(self, call: ast.Call, statement: ast.stmt) -> bool:
        name = called(call)
        if name in self._split:
            return False
        discarded = isinstance(statement, ast.Expr) and statement.value is call
        return name.startswith(TESTING) or (discarded and name in self._subjects)

    def _as_unit(self, statement: ast.stmt) -> ast.stmt:
        number = len(self._units)
        self._units.append(Place(statement.lineno, source_of(statement, self._lines)))
        where = _place(statement)
        unit = ast.Subscript(ast.Name(UNITS, LOAD, **where), ast.Constant(number, **where), LOAD, **where)
        return ast.With([ast.withitem(unit)], [statement], **where)

    def _keep_operands(self, statement: ast.stmt) -> None:
        if not isinstance(statement, (ast.Expr, ast.Assign, ast.Import, ast.ImportFrom)):
            for node in _asserts_within(statement):
                self._keep(node)

    def _keep(self, node: ast.Assert) -> None:
        self._asserts.append(node)
        self._count = 0
        node.test = self._kept(node.test)

    def _kept(self, test: ast.expr) -> ast.expr:
        """A test with the operands that a reader would want to see kept."""
        if isinstance(test, ast.Compare):
            difference = distance(test)
            if difference is not None:
                difference.left, difference.right = self._wrap(difference.left), self._wrap(difference.right)
            else:
                test.left = self._wrap(test.left)
                test.comparators = list(map(self._wrap, test.comparators))
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test.operand = self._kept(test.operand)
        elif isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            test.values = list(map(self._kept, test.values))
        elif isinstance(test, ast.Call) and called(test) in CLOSE and not _starred(test.args[:2]):
            test.args[:2] = map(self._wrap, test.args[:2])
        else:
            return self._wrap(test)
        return test

    def _wrap(self, operand: ast.expr) -> ast.expr:
        if type(operand) is ast.Constant:
            return operand
        where = _place(operand)
        name = ast.Name(f"{TEMPORARY}{self._count}", STORE, **where)
        self._count += 1
        return ast.NamedExpr(name, operand, **where)


def is_test(name: str) -> bool:
    """Whether a function of this name is one whose statements are units."""
    return name == "check" or name.startswith("test_")


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below one."""
    found: list[ast.AST] = []
    for name in node._fields:
        below = getattr(node, name, None)
        if isinstance(below, list):
            found += [each for each in below if isinstance(each, ast.AST)]
        elif isinstance(below, ast.AST):
            found.append(below)
    return found


def distance(test: ast.Compare) -> ast.BinOp | None:
    """The difference in a test such as ``abs(a - b) < c``."""
    left = test.left
    if len(test.ops) == 1 and isinstance(test.ops[0], (ast.Lt, ast.LtE)) and isinstance(left, ast.Call):
        plain = called(left) in ("abs", "fabs") and len(left.args) == 1
        inner = left.args[0] if plain else None
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            return inner
    return None


def source_of(node: ast.stmt, lines: list[str]) -> str:
    """The text of a statement."""
    taken = lines[node.lineno - 1 : node.end_lineno]
    if len(taken) == 1 and taken[0].isascii():
        return taken[0][node.col_offset : node.end_col_offset]
    # Columns count bytes; the last line is cut first, since it may be the first one too.
    taken[-1] = _columns(taken[-1], 0, node.end_col_offset)
    taken[0] = _columns(taken[0], node.col_offset, None)
    return "\n".join(taken)


def _columns(line: str, start: int, end: int | None) -> str:
    return line.encode("utf-8", "surrogatepass")[start:end].decode("utf-8", "replace")


def names_of(code: Any) -> Iterator[str]:
    """Every name that a piece of code may look up outside itself."""
    yield from code.co_names
    for constant in code.co_consts:
        if type(constant) is type(code):
            yield from names_of(constant)


def _asserts_within(statement: ast.stmt) -> Iterator[ast.Assert]:
    """The asserts inside a statement, but none directly in a class, where a name would be an attribute."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        for child in children(node):
            if isinstance(child, ast.Assert) and not isinstance(node, ast.ClassDef):
                yield child
            elif isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                waiting.append(child)


def _place(node: ast.stmt | ast.expr) -> dict[str, Any]:
    return {"lineno": node.lineno, "col_offset": node.col_offset}


def _call(function: str, argument: str, at: ast.stmt) -> ast.stmt:
    where = _place(at)
    name = ast.Name(function, LOAD, **where)
    return ast.Expr(ast.Call(name, [ast.Constant(argument, **where)], [], **where), **where)


def _after_docstring(body: Body) -> int:
    first = body[0]
    return int(isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant))


def _starred(args: list[ast.expr]) -> bool:
    return len(args) < 2 or any(isinstance(each, ast.Starred) for each in args)


def _runs_unittest(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "main":
        return False
    return isinstance(call.func.value, ast.Name) and call.func.value.id == "unittest"
