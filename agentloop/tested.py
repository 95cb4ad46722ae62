"""The result of one test run on one program, and the shape of whatever runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from agentloop.record import Record
from agentloop.types import Task


class Tested(Record):
    """One test, run alone on one program.

    ``got`` tells what came instead of what was wanted: the value the call really returned (its
    ``repr``), ``TIMEOUT``, or the exception as ``ValueError: message``; empty where the test passed.
    """

    test: str
    passed: bool
    got: str = ""


RunTests: TypeAlias = Callable[[Task, str, Sequence[str]], Awaitable[Sequence[Tested]]]
"""Runs each test alone on a program for a task: ``await run_tests(task, program, tests)``.

``CodeEnvironment.run_tests`` is one. The tests are whole statements, such as ``assert f(1) == 2``.
An infrastructure error raises EnvironmentFailed; it is never a failed test.
"""
