"""Small mistakes in a program: every program that differs from it in one place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

_MOST_CHOICES = 4
_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
}
_CALLED = {"max": "min", "min": "max", "all": "any", "any": "all", "sorted": "list", "set": "list"}


def mutations(program: str) -> Iterator[str]:
    """Every program that differs from this one in one small thing; comments are lost.

    A bound off by one, a comparison, an operator, ``and`` or ``or``, the order, ``max`` or ``min``, an
    index moved, a case left out. Whether they fail must be tried: some mean the same.
    """
    tree = ast.parse(program)
    count = sum(1 for _ in ast.walk(tree))
    for at in range(count):
        for choice in range(_MOST_CHOICES):
            changed = copy.deepcopy(tree)
            node = next(each for place, each in enumerate(ast.walk(changed)) if place == at)
            if not _mutate(node, choice):
                break
            yield ast.unparse(ast.fix_missing_locations(changed)) + "\n"


def _mutate(node: ast.AST, choice: int) -> bool:
    """Change the node in place in the ``choice``-th way; False where it has fewer ways."""
    if isinstance(node, ast.Constant):
        return _move_number(node, choice)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        kinds = _COMPARED.get(type(node.ops[0]), ())
        if choice < len(kinds):
            node.ops = [kinds[choice]()]
        return choice < len(kinds)
    if isinstance(node, ast.BoolOp) and choice == 0:
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return True
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        others = _OPERATORS.get(type(node.op), ())
        if choice < len(others):
            node.op = others[choice]()
        return choice < len(others)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _change_call(node, node.func, choice)
    if isinstance(node, ast.Subscript) and choice == 0 and isinstance(node.ctx, ast.Load):
        return _move_index(node)
    if choice == 0:
        return _drop_case(node)
    return False


def _move_number(node: ast.Constant, choice: int) -> bool:
    if isinstance(node.value, bool) and choice == 0:
        node.value = not node.value
        return True
    if type(node.value) is not int or choice > 1:
        return False
    node.value += (1, -1)[choice]
    return True


def _change_call(node: ast.Call, called: ast.Name, choice: int) -> bool:
    if called.id == "range" and node.args and choice < 2:
        last = 0 if len(node.args) == 1 else 1
        operator = (ast.Sub, ast.Add)[choice]()
        node.args[last] = ast.BinOp(left=node.args[last], op=operator, right=ast.Constant(value=1))
        return True
    if called.id in _CALLED and choice == 0:
        if called.id == "sorted":
            node.keywords = []
        called.id = _CALLED[called.id]
        return True
    return False


def _move_index(node: ast.Subscript) -> bool:
    part = node.slice
    if isinstance(part, (ast.Slice, ast.Constant, ast.Tuple)):
        return False
    node.slice = ast.BinOp(left=part, op=ast.Add(), right=ast.Constant(value=1))
    return True


def _drop_case(node: ast.AST) -> bool:
    """Leave out the first ``if`` among the statements of a block."""
    body = getattr(node, "body", None)
    if not isinstance(body, list):
        return False
    for at, statement in enumerate(body):
        if isinstance(statement, ast.If):
            body[at : at + 1] = statement.orelse or ([ast.Pass()] if len(body) == 1 else [])
            return True
    return False
