"""Runs tests from their first line to their last, against whatever stands under the program's name."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import CodeType, CoroutineType, FunctionType
from typing import Any

from agentloop.environments.code.inside.asserting import (
    ENTER,
    FILE,
    FUNCTIONS,
    UNITS,
    Place,
    Prepared,
    Splitter,
    source_of,
)
from agentloop.environments.code.inside.raising import message
from agentloop.environments.code.inside.seen import Seen, Stop
from agentloop.environments.code.inside.shown import cut
from agentloop.environments.code.inside.units import Units

Tell = Callable[[dict[str, Any]], None]
NAME = "tests"


class Broken(Exception):
    """The tests cannot be run; ``told`` says why."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("the tests cannot be run")
        self.told = {"test_error": {"type": type(error).__name__, "message": cut(message(error))}}


def prepare(tests: str, subject: str) -> tuple[Prepared, CodeType]:
    """Tests taken apart and compiled; Broken when they are no Python."""
    try:
        prepared = Splitter(tests, subject).split(ast.parse(tests, FILE))
        return prepared, compile(prepared.tree, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Broken(error) from None


class Examination:
    """One run of prepared tests in a namespace that holds all they need."""

    def __init__(self, prepared: Prepared, seen: Seen, tell: Tell) -> None:
        self._prepared = prepared
        self._seen = seen
        self._tell = tell
        self.units = Units(prepared, seen, tell)

    def run(self, code: CodeType, namespace: dict[str, Any], subject: Any) -> None:
        """Run the tests' own statements, then every test that these did not call themselves."""
        namespace[UNITS] = self.units.listed()
        namespace[ENTER] = self.units.entered.add
        try:
            self._guarded(exec, code, namespace)
            self._functions(namespace, subject)
            self._classes(namespace)
            self.units.left_over()
        except Stop:
            self.units.left_over()
        if self.units.sound and not (self.units.ran and self._seen.calls):
            why = "the tests hold no assert" if not self.units.ran else "the tests never call the program"
            self._tell({"test_error": {"type": "NothingTested", "message": why}})

    def _guarded(self, run: Callable[..., Any], *given: Any) -> None:
        try:
            run(*given)
        except Stop as stop:
            self.units.broke(stop)
            raise
        except BaseException as error:  # tests may raise anything; it becomes their record
            self.units.broke(error)

    def _functions(self, namespace: dict[str, Any], subject: Any) -> None:
        names = sorted(dict.fromkeys(self._prepared.split), key=lambda name: name == "check")
        for name in names:
            function = namespace.get(name)
            if name in self.units.entered or not isinstance(function, FunctionType):
                continue
            wanted = _required(function)
            given = [subject] if name == "check" and wanted == 1 and subject is not None else []
            if wanted == len(given):
                self._guarded(_run, function, *given)

    def _classes(self, namespace: dict[str, Any]) -> None:
        """Run the methods of test classes, each of which is a unit."""
        for node in self._prepared.tree.body:
            kind = namespace.get(node.name) if isinstance(node, ast.ClassDef) else None
            if isinstance(kind, type) and (_is_case(kind) or kind.__name__.startswith("Test")):
                self._guarded(self._methods, kind, node)

    def _methods(self, kind: Any, node: ast.ClassDef) -> None:
        own = {each.name: each for each in node.body if isinstance(each, FUNCTIONS)}
        names = [name for name in dir(kind) if name.startswith("test") and callable(getattr(kind, name))]
        names.sort(key=lambda name: own[name].lineno if name in own else 0)
        units = [self.units.added(self._method(own.get(name), node, name)) for name in names]
        case = _is_case(kind)
        if case:
            kind.setUpClass()
        for name, unit in zip(names, units, strict=True):
            with unit:
                _run_case(kind, name) if case else _run_method(kind, name)
        if case:
            kind.tearDownClass()
            kind.doClassCleanups()

    def _method(self, node: ast.stmt | None, owner: ast.ClassDef, name: str) -> Place:
        if node is None:  # inherited
            return Place(owner.lineno, f"{owner.name}.{name}")
        return Place(node.lineno, source_of(node, self._prepared.lines))


def _run(function: Callable[..., Any], *given: Any) -> None:
    result = function(*given)
    if isinstance(result, CoroutineType):
        import asyncio

        asyncio.run(result)


def _run_case(kind: Any, name: str) -> None:
    kind(name).debug()


def _run_method(kind: Any, name: str) -> None:
    instance = kind()
    for before in ("setup_method", "setUp"):
        getattr(instance, before, lambda *_: None)()
    _run(getattr(instance, name))


def _is_case(kind: type) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and issubclass(kind, unittest.TestCase)


def _required(function: Any) -> int:
    """How many arguments a function must be given."""
    return int(function.__code__.co_argcount - len(function.__defaults__ or ()))
