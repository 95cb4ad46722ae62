"""What RethinkMCTS tells a model of a failed program: the tests, cut to size, and a run block by block."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol, TypeAlias

from agentloop.types import Fact, Task

Trace: TypeAlias = Callable[[Task, str, str], Awaitable[Fact]]
"""Gives the fact ``trace`` of a call: ``await trace(task, program, "f(1)")``, as CodeEnvironment.trace does.

Its data hold ``lines``, each with ``source``, ``values`` and the number of its ``block``; none where
there is nothing to trace.
"""


class Tokenizer(Protocol):
    """Turns a text into tokens and tokens into a text, as the tokenizers of models do."""

    def encode(self, text: str, /) -> Sequence[Any]:
        """The tokens of a text."""
        ...

    def decode(self, tokens: Any, /) -> str:
        """The text of tokens."""
        ...


class Quarters:
    """Counts four characters as a token, for want of the model's own tokenizer."""

    def encode(self, text: str, /) -> list[str]:
        """The text in pieces of four characters."""
        return [text[start : start + 4] for start in range(0, len(text), 4)]

    def decode(self, tokens: Sequence[str], /) -> str:
        """The pieces put together."""
        return "".join(tokens)


def cut(text: str, most: int, tokenizer: Tokenizer, *, to: int | None = None) -> str:
    """The text, or its first ``most`` tokens (``to`` of them where it is given) when it is longer."""
    tokens = tokenizer.encode(text)
    return text if len(tokens) <= most else tokenizer.decode(tokens[: most if to is None else to])


def public_tests(task: Task) -> list[str]:
    """The tests in ``public.tests``, a text or a list: each assert, below what stands there besides.

    A text without such asserts, or one that does not parse, is one test as it is.
    """
    given = task.public.get("tests") or ()
    text = given if isinstance(given, str) else "\n".join(str(each) for each in given)
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        body = []
    sources = [(statement, ast.get_source_segment(text, statement) or "") for statement in body]
    needed = [source for statement, source in sources if not isinstance(statement, ast.Assert)]
    asserts = [source for statement, source in sources if isinstance(statement, ast.Assert)]
    if not asserts:
        return [text] if text.strip() else []
    return ["\n".join([*needed, each]) for each in asserts]


def call_in(test: str) -> str:
    """The call that a test makes of the program: the first of a name that is not a built-in's; or nothing."""
    try:
        tree = ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    asserts = [statement.test for statement in tree.body if isinstance(statement, ast.Assert)]
    calls = (node for test in asserts for node in ast.walk(test) if isinstance(node, ast.Call))
    own = next((call for call in calls if not _is_built_in(call.func)), None)
    return "" if own is None else ast.unparse(own)


def _is_built_in(function: ast.expr) -> bool:
    return not isinstance(function, ast.Name) or hasattr(builtins, function.id)


def blocks_of(trace: Fact, *, most: int, tokens: int, tokenizer: Tokenizer) -> str:
    """A traced run as text, block by block: the lines that ran, and the values that each changed.

    Of more than ``most`` blocks the first and the last half are shown, each cut to ``tokens``.
    """
    lines: Sequence[Mapping[str, Any]] = trace.data.get("lines", ())
    runs = [
        list(run) for _, run in groupby(lines, key=lambda line: (line.get("function"), line.get("block")))
    ]
    half = most // 2
    shown = runs if len(runs) <= most else [*runs[:half], *runs[len(runs) - half :]]
    texts = [f"[BLOCK-{number}]\n{_block(run)}" for number, run in enumerate(shown)]
    return "\n".join(cut(text, tokens, tokenizer) for text in texts)


def _block(lines: Sequence[Mapping[str, Any]]) -> str:
    said = []
    for line in lines:
        values = "  ".join(f"{name}={value}" for name, value in line.get("values", {}).items())
        ends = [f"{how} {line[how]}" for how in ("returned", "raised") if how in line]
        noted = "  ".join([part for part in (values, *ends) if part])
        said.append(f"    {line.get('source', '')}" + (f"    # {noted}" if noted else ""))
    return "\n".join(said)
