"""Runs in a process of its own: makes reasoning-gym's items, and scores answers that nobody trusts.

A request is a line of JSON, and so is its answer. Some of the package's scorers run an answer as
Python, or have sympy do so; ``harmless`` says which answers they are given.
"""

from __future__ import annotations

import ast
import json
import os
import random
import resource
import signal
import sys
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

LITERAL = {"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"}
"""Sets whose scorers call ``eval`` on the answer, to take a Python list as well as its text. A name is
not let through: it could be one of the scorer's own variables."""

FORMULA = {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24"}
FORMULA |= {"simple_integration"}
"""Sets whose scorers hand the answer to sympy's parser, which runs it as Python."""

FUNCTIONS = {"sqrt", "exp", "log", "ln", "Abs", "sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos"}
FUNCTIONS |= {"atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"}
"""What a formula may call. Not ``Integral``: it would pass the question itself off as its answer."""

NODES = (ast.Expression, ast.Constant, ast.Load, ast.UnaryOp, ast.USub)
LITERAL_NODES = (*NODES, ast.List, ast.Tuple)
FORMULA_NODES = (
    *NODES,
    ast.UAdd,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Pow,
    ast.Call,
    ast.Name,
)

MEMORY_BYTES = 4 * 1024**3
MISTAKES: tuple[type[Exception], ...] = (ArithmeticError, AssertionError, AttributeError, LookupError)
MISTAKES += (RuntimeError, TypeError, ValueError, SyntaxError, MemoryError, OSError)
"""What a scorer raises over an answer that it cannot read."""


def harmless(dataset: str, answer: str) -> bool:
    """Whether the scorer of ``dataset`` may be given ``answer``: nothing in it can act when it is run."""
    if dataset not in LITERAL | FORMULA:
        return True
    try:
        nodes = list(ast.walk(ast.parse(answer.strip(), mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        # What is not Python cannot be run; sympy, though, mends what it is given before it runs it.
        return dataset in LITERAL
    if dataset in LITERAL:
        return all(isinstance(node, LITERAL_NODES) for node in nodes)
    return all(isinstance(node, FORMULA_NODES) and _plain(node) for node in nodes)


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    return not isinstance(node, ast.Name) or (node.id.isascii() and "_" not in node.id)


def written(value: Any) -> Any:
    """``value`` as JSON that ``read`` gives back exactly: lists, tuples, sets, dictionaries of any key."""
    if isinstance(value, dict):
        return {"dict": [[written(key), written(each)] for key, each in value.items()]}
    if isinstance(value, (tuple, set, frozenset)):
        return {type(value).__name__: [written(each) for each in value]}
    if isinstance(value, list):
        return [written(each) for each in value]
    if isinstance(value, (Fraction, Decimal)):
        return {type(value).__name__: str(value)}
    if value is None or type(value) in (str, int, float, bool):
        return value
    if getattr(value, "ndim", None) == 0:
        return value.item()  # a number or word of numpy's
    raise TypeError(f"an item holds {type(value).__name__}, which cannot be kept as JSON")


def read(value: Any) -> Any:
    """What ``written`` was given."""
    if isinstance(value, list):
        return [read(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "dict":
        return {read(key): read(each) for key, each in held}
    if kind in ("Fraction", "Decimal"):
        return {"Fraction": Fraction, "Decimal": Decimal}[kind](held)
    return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](read(each) for each in held)


def make(dataset: str, seed: int, count: int, config: str) -> Any:
    """A data set of the package, as it is named and configured."""
    from reasoning_gym.composite import DatasetSpec
    from reasoning_gym.factory import create_dataset

    given = {"seed": seed, "size": count, **json.loads(config)}
    if dataset == "composite":
        given["datasets"] = [DatasetSpec(**each) for each in given.get("datasets") or ()]
    random.seed(seed)  # list_functions draws from Python's own generator
    return create_dataset(dataset, **given)


made = lru_cache(maxsize=64)(make)
"""For scoring only: a set that has given items may give others when it is asked for them again."""


def items(request: dict[str, Any]) -> dict[str, Any]:
    """The items of a data set, each with its entry as a text."""
    try:
        found = make(request["dataset"], request["seed"], request["count"], request["config"])
        told = []
        for index in range(request["count"]):
            entry = found[index]
            text = json.dumps(written(entry))
            told.append({"question": entry["question"], "answer": entry["answer"], "entry": text})
    except MISTAKES as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"items": told}


def score(request: dict[str, Any]) -> dict[str, Any]:
    """What the scorer says of the answer, between 0 and 1."""
    answer, entry = request["answer"], read(json.loads(request["entry"]))
    dataset = request["dataset"]
    if dataset == "composite":
        dataset = entry["metadata"]["source_dataset"]
    gold = entry["answer"]
    if dataset == "game_of_life_halting":
        return {"score": float(answer.casefold() == gold.casefold())}
    if not harmless(dataset, answer):
        return {"score": float(answer == gold)}
    try:
        found = made(request["dataset"], request["seed"], request["count"], request["config"])
        points = float(found.score_answer(answer, entry))
    except MISTAKES:
        return {"score": 0.0}
    return {"score": min(1.0, max(0.0, points)) if points == points else 0.0}


def main() -> None:
    """Answer until the input ends."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the package prints is no answer
    try:
        import reasoning_gym  # noqa: F401
    except ImportError:
        missing = True
    else:
        missing = False
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin:
        request = json.loads(line)
        # Its signal is left to its default, which ends the process whatever it is doing. Processor
        # time is counted, so that a busy machine turns no right answer into a wrong one.
        signal.setitimer(signal.ITIMER_PROF, request["seconds"] or 0)
        answer = {"missing": True} if missing else {"tasks": items, "score": score}[request["op"]](request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        told.write(json.dumps(answer) + "\n")
        told.flush()
