"""What the tests have had of the program, and the ways in which a unit ends that no test may stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentloop.environments.code.inside.shown import arguments


class Stop(BaseException):
    """Nothing more can be learnt of the program; no test may catch it."""


class Barred(BaseException):
    """What a test wanted of the program is not to be had; the unit that wanted it ends here."""


class Seen:
    """What the tests have had of the program so far.

    ``trouble`` is what no test may swallow: once it is set, the unit that runs cannot pass.
    """

    __slots__ = ("calls", "trouble", "flattened", "unit", "result", "_asked", "_label", "_read")

    def __init__(self) -> None:
        self.calls = 0
        self.trouble: dict[str, Any] | None = None
        self.flattened: str | None = None
        """The class of a value, where no more of it crossed than what its built-in base holds."""
        self.unit: int | None = None
        self.result: Any = None
        self._label = ""
        self._asked = ""
        self._read: Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]] | None = None

    def note(
        self, label: str, asked: str, read: Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]]
    ) -> None:
        """Keep the call that is being made, as it was sent: its arguments may be changed later."""
        self.calls += 1
        self._label, self._asked, self._read = label, asked, read
        self.result = None

    def last(self) -> dict[str, str]:
        """The last call, and its arguments."""
        if self._read is None:
            return {}
        given = arguments(*self._read(self._asked))
        return {"call": f"{self._label}({given})", "input": given}
