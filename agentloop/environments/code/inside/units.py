"""Keeps account of the units of one run of tests: which passed, which failed and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from agentloop.environments.code.inside.asserting import FILE, Place, Prepared
from agentloop.environments.code.inside.explaining import Explainer
from agentloop.environments.code.inside.raising import MARK, message
from agentloop.environments.code.inside.seen import Seen, Stop
from agentloop.environments.code.inside.shown import cut, shown

TEST = 300
"""Characters of a test's source that are kept."""
TOLD = 20
"""How many failed units are told in full."""
TESTS_FAULT = (NameError, ImportError, SyntaxError, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What is never the program's doing when it is raised in the tests' own code."""


class Unit:
    """One unit: a context that swallows what goes wrong in it, and keeps account of it."""

    __slots__ = ("number", "_units")

    def __init__(self, units: Units, number: int) -> None:
        self._units = units
        self.number = number

    def __enter__(self) -> None:
        self._units.begin(self.number)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return self._units.end(self.number, error)


class Units:
    """The units of one run. ``tell`` takes one record at a time."""

    def __init__(self, prepared: Prepared, seen: Seen, tell: Callable[[dict[str, Any]], None]) -> None:
        self.entered: set[str] = set()
        self.ran = 0
        self.sound = True
        """Whether nothing has failed or broken so far."""
        self._seen = seen
        self._tell = tell
        self._places = list(prepared.units)
        self._passed: set[int] = set()
        self._failed: set[int] = set()
        self._lines = prepared.lines
        self._began = self._ended = 0
        """How many calls had been made when the last unit began, and when the one before it ended."""
        self._explainer = Explainer(prepared.asserts, prepared.subjects, self._result)
        tell({"total": len(self._places)})

    def listed(self) -> list[Unit]:
        """The units that the tests themselves enter."""
        return [Unit(self, number) for number in range(len(self._places))]

    def added(self, place: Place) -> Unit:
        """One unit more, found while the tests ran."""
        self._places.append(place)
        self._tell({"total": len(self._places)})
        return Unit(self, len(self._places) - 1)

    def begin(self, number: int) -> None:
        """A unit begins."""
        self._seen.unit = number
        self._began = self._seen.calls

    def end(self, number: int, error: BaseException | None) -> bool:
        """A unit ended; whether what it raised goes no further."""
        trouble = self._trouble()
        self._seen.unit = None
        if trouble is None and error is not None and _skipped(error):
            self._tell({**self._unit(number), "passed": True, "kind": "skipped"})
            return True
        if trouble is not None:
            self._fail(number, trouble)
        elif error is not None and not isinstance(error, Stop):
            self._fail(number, self._fault(error, number))
        elif error is None:
            self.ran += 1
            self._pass(number)
        self._ended = self._seen.calls
        return error is not None and not isinstance(error, Stop)

    def broke(self, error: BaseException) -> None:
        """A statement that is no unit raised: one more unit, failed, or the tests' own fault."""
        trouble = self._trouble()
        if trouble is None and isinstance(error, Stop):
            return
        fault = trouble or self._fault(error, None)
        if fault["kind"] == "test_error":
            return
        self._fail(self.added(self._where(error)).number, fault)

    def left_over(self) -> None:
        """Fail for trouble that the tests swallowed outside every unit."""
        trouble = self._trouble()
        if trouble is not None:
            self._fail(self.added(Place(0, "")).number, trouble)

    def _trouble(self) -> dict[str, Any] | None:
        trouble, self._seen.trouble = self._seen.trouble, None
        return trouble

    def _pass(self, number: int) -> None:
        if number not in self._failed and number not in self._passed:
            self._passed.add(number)
            self._tell({**self._unit(number), "passed": True})

    def _fail(self, number: int, fault: dict[str, Any]) -> None:
        self.sound = False
        if number not in self._failed:
            self._failed.add(number)
            self._tell({**self._unit(number), **fault, "passed": False})

    def _unit(self, number: int) -> dict[str, Any]:
        place = self._places[number]
        return {"unit": number, "test": cut(place.source, TEST), "line": place.line}

    def _fault(self, error: BaseException, number: int | None) -> dict[str, Any]:
        """Why a unit failed: its kind with what is known."""
        told = vars(error).get(MARK)
        if told is not None:
            return {"kind": "exception", **told, **self._seen.last()}
        if isinstance(error, AssertionError):
            return {"kind": "assert", **self._assertion(error)}
        missed = isinstance(error, AttributeError) and error.obj is not None
        if missed and self._seen.flattened is not None:
            lost = {"type": self._seen.flattened, "where": "result", "message": cut(message(error))}
            return {"kind": "unsupported_value", **lost, **self._seen.last()}
        data = {"type": type(error).__name__, "message": cut(message(error))}
        if isinstance(error, TESTS_FAULT) or not self._seen.calls:
            test = self._places[number].source if number is not None else self._where(error).source
            self.sound = False
            self._tell({"test_error": {**data, "test": cut(test, TEST)}})
            return {"kind": "test_error", **data}
        return {"kind": "exception", **data, "frames": [], **self._seen.last()}

    def _assertion(self, error: AssertionError) -> dict[str, Any]:
        if len(self._failed) >= TOLD:
            return {}
        data = self._explainer.explained(error.__traceback__)
        said = cut(message(error))
        if said:
            data["message"] = said
        return data if data.pop("ambiguous", False) else {**self._last(), **data}

    def _last(self) -> dict[str, str]:
        """The call that a failed assert speaks of, where there is no doubt which it was."""
        calls = self._seen.calls
        return self._seen.last() if calls > self._began or calls == self._ended + 1 else {}

    def _result(self) -> str | None:
        return shown(self._seen.result) if self._seen.calls > self._began else None

    def _where(self, error: BaseException) -> Place:
        """The line of the tests in which something was raised."""
        line, trace = 0, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == FILE:
                line = trace.tb_lineno
            trace = trace.tb_next
        source = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
        return Place(line, source)


def _skipped(error: BaseException) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(error, unittest.SkipTest)
