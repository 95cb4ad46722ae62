"""What a failed assert compared: the value that was wanted, the one that came, and how they were held."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from agentloop.environments.code.inside.asserting import CLOSE, FILE, TEMPORARY, called, distance
from agentloop.environments.code.inside.shown import cut, shown


class Sign(NamedTuple):
    """A comparison: as it is written, as it reads from the right, and how it is made."""

    text: str
    turned: str
    holds: Callable[[Any, Any], Any]


SIGNS: dict[type[ast.cmpop], Sign] = {
    ast.Eq: Sign("==", "==", operator.eq),
    ast.NotEq: Sign("!=", "!=", operator.ne),
    ast.Lt: Sign("<", ">", operator.lt),
    ast.LtE: Sign("<=", ">=", operator.le),
    ast.Gt: Sign(">", "<", operator.gt),
    ast.GtE: Sign(">=", "<=", operator.ge),
    ast.Is: Sign("is", "is", operator.is_),
    ast.IsNot: Sign("is not", "is not", operator.is_not),
    ast.In: Sign("in", "contains", lambda one, many: one in many),
    ast.NotIn: Sign("not in", "does not contain", lambda one, many: one not in many),
}
PAIRS = (("first", "second"), ("member", "container"), ("actual", "desired"), ("expr1", "expr2"))
"""How the assert methods of unittest and numpy call what came and what was wanted."""
UNITTEST = {
    "assertEqual": "==",
    "assertNotEqual": "!=",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertAlmostEqual": "within",
    "assertTrue": "truth",
    "assertFalse": "truth",
}

CALLS = 2
"""The weight of a side that calls the program."""


class Explainer:
    """Explains failed asserts of one text of tests.

    ``subjects`` are the names under which the tests call the program; ``result`` gives the text of
    what the program's last call in the unit returned, None where there was none.
    """

    def __init__(
        self,
        asserts: Sequence[ast.Assert],
        subjects: set[str],
        result: Callable[[], str | None],
    ) -> None:
        self._asserts = asserts
        self._subjects = subjects
        self._result = result

    def explained(self, trace: TracebackType | None) -> dict[str, Any]:
        """What is known of a failed assert: its line, what was wanted, what came, the operator.

        ``ambiguous`` is set where both sides call the program: which of the calls was wrong is not known.
        """
        inner, beyond = _frames(trace)
        if inner is None:
            return {}
        data: dict[str, Any] = {"line": inner.tb_lineno}
        if beyond:
            return data | self._method(beyond)
        test = self._at(_position(inner))
        if test is None:
            return data
        self._values: Mapping[str, Any] = inner.tb_frame.f_locals
        try:
            return data | self._test(test, wanted=True)
        except Exception:  # a foreign comparison may do anything, and the verdict stands
            return data

    def _at(self, position: tuple[int, int]) -> ast.expr | None:
        """What the innermost assert around a position tests; Python places the raise anywhere within."""
        around = [
            each
            for each in self._asserts
            if (each.lineno, each.col_offset) <= position <= (each.end_lineno or 0, each.end_col_offset or 0)
        ]
        return max(around, key=lambda each: (each.lineno, each.col_offset)).test if around else None

    def _test(self, test: ast.expr, *, wanted: bool) -> dict[str, Any]:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._test(test.operand, wanted=not wanted)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            broken = next((each for each in test.values if wanted and not self._holds(each)), None)
            return self._test(broken, wanted=wanted) if broken is not None else {}
        if isinstance(test, ast.Compare):
            return self._comparison(test, wanted)
        if isinstance(test, ast.Call) and called(test) in CLOSE and len(test.args) > 1:
            return self._close(test, wanted)
        return self._truth(test, wanted)

    def _comparison(self, test: ast.Compare, wanted: bool) -> dict[str, Any]:
        difference = distance(test)
        if difference is not None:
            data = self._sides(difference.left, difference.right, Sign("within", "within", operator.lt))
            return {
                **data,
                "operator": "within" if wanted else "not within",
                "tolerance": self._text(test.comparators[0]),
            }
        operands = [test.left, *test.comparators]
        for place, kind in enumerate(test.ops):
            left, right, sign = operands[place], operands[place + 1], SIGNS[type(kind)]
            if place == len(test.ops) - 1 or not sign.holds(self._value(left), self._value(right)):
                data = self._sides(left, right, sign)
                return data if wanted else {**data, "operator": f"not {data['operator']}"}
        return {}

    def _sides(self, left: ast.expr, right: ast.expr, sign: Sign) -> dict[str, Any]:
        weight = self._weight(left)
        turned = self._weight(right) > weight
        got, wanted = (right, left) if turned else (left, right)
        both = weight == CALLS and self._weight(right) == CALLS
        return {
            **({"ambiguous": True} if both else {}),
            "wanted": self._text(wanted),
            "got": self._text(got),
            "operator": sign.turned if turned else sign.text,
        }

    def _close(self, test: ast.Call, wanted: bool) -> dict[str, Any]:
        left, right = test.args[:2]
        name = called(test) if wanted else f"not {called(test)}"
        if called(test) == "isinstance":
            kind = self._value(right)
            return {
                "got": self._text(left),
                "wanted": getattr(kind, "__name__", shown(kind)),
                "operator": name,
            }
        return self._sides(left, right, Sign(name, name, operator.eq))

    def _truth(self, test: ast.expr, wanted: bool) -> dict[str, Any]:
        inner = test.value if isinstance(test, ast.NamedExpr) else test
        own = isinstance(inner, ast.Call) and called(inner) in self._subjects
        if not own and not isinstance(inner, (ast.Name, ast.Constant)):
            result = self._result()
            if result is not None:
                return {"got": result, "operator": "holds"}
        return {"got": self._text(test), "wanted": str(wanted), "operator": "truth"}

    def _holds(self, test: ast.expr) -> bool:
        """Whether a part of the test held when it was evaluated, from the operands that were kept."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return not self._holds(test.operand)
        if isinstance(test, ast.BoolOp):
            return all(map(self._holds, test.values))
        if isinstance(test, ast.Compare) and distance(test) is not None:
            inner = distance(test)
            assert inner is not None
            gap = abs(self._value(inner.left) - self._value(inner.right))
            return bool(SIGNS[type(test.ops[0])].holds(gap, self._value(test.comparators[0])))
        if isinstance(test, ast.Compare):
            operands = [test.left, *test.comparators]
            return all(
                SIGNS[type(kind)].holds(self._value(operands[place]), self._value(operands[place + 1]))
                for place, kind in enumerate(test.ops)
            )
        if isinstance(test, ast.Call):
            return True  # its arguments were kept, what it returned was not
        return bool(self._value(test))

    def _weight(self, side: ast.expr) -> int:
        """How much a side speaks of the program: calls it, is worked out, or is written down."""
        nodes = [
            node
            for node in ast.walk(side)
            if not (isinstance(node, ast.Name) and node.id.startswith(TEMPORARY))
        ]
        if any(map(self._calls, nodes)):
            return CALLS
        return int(any(isinstance(node, (ast.Name, ast.Call, ast.Attribute)) for node in nodes))

    def _calls(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and called(node) in self._subjects

    def _value(self, side: ast.expr) -> Any:
        if isinstance(side, ast.Constant):
            return side.value
        if isinstance(side, ast.NamedExpr):
            return self._values[side.target.id]
        return ast.literal_eval(side)

    def _text(self, side: ast.expr) -> str:
        try:
            return shown(self._value(side))
        except (KeyError, ValueError):
            return cut(ast.unparse(side))

    def _method(self, beyond: FrameType) -> dict[str, Any]:
        """What an assert method was given, from its own frame."""
        values, name = beyond.f_locals, beyond.f_code.co_name
        sign = UNITTEST.get(name, name)
        for got, wanted in PAIRS:
            if got in values and wanted in values:
                return {"got": shown(values[got]), "wanted": shown(values[wanted]), "operator": sign}
        if "expr" in values:
            wanted = "False" if name == "assertFalse" else "True"
            return {"got": shown(values["expr"]), "wanted": wanted, "operator": sign}
        return {"operator": sign}


def _frames(trace: TracebackType | None) -> tuple[TracebackType | None, FrameType | None]:
    """The innermost frame of the tests, and the one that it called, if any."""
    inner, beyond = None, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            inner, beyond = trace, None
        elif beyond is None:
            beyond = trace.tb_frame
        trace = trace.tb_next
    return inner, beyond if inner else None


def _position(trace: TracebackType) -> tuple[int, int]:
    """Where the statement that raised stands."""
    places = list(trace.tb_frame.f_code.co_positions())
    line, _, column, _ = places[trace.tb_lasti // 2]
    return line or 0, column or 0
