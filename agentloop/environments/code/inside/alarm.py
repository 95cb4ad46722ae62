"""A function that the system calls after some time, in the midst of whatever runs."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
from collections.abc import Callable
from typing import Any


def on_alarm(call: Callable[[int, Any], None], *, after: float, every: float = 0.0) -> None:
    """Have ``call`` called once, or again and again; it takes a signal's number and a frame."""
    # The signal module would look its result up among names, which takes longer than all the rest.
    _signal.signal(_signal.SIGALRM, call)
    _signal.setitimer(_signal.ITIMER_REAL, after, every)


def silence() -> None:
    """Have nothing called any more."""
    _signal.setitimer(_signal.ITIMER_REAL, 0)
