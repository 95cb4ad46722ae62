"""Stand-ins for tests of agents that write code: a task, programs, and a runner without a sandbox."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from agentloop import Attempt, Task
from agentloop.tested import Tested as Outcome
from tests.twins import SENTINEL

DOUBLE = Task(
    id="double",
    prompt='def double(n):\n    """Twice n."""\n',
    public={"tests": ["assert double(2) == 4", "assert double(0) == 0"]},
    hidden={"tests": f"assert double(5) == 10  # {SENTINEL}"},
)
RIGHT, BAD = "def double(n): return n * 2", "def double(n): return n"
TESTS = "assert double(2) == 4\nassert double(3) == 6"


async def in_this_process(task: Task, program: str, tests: Sequence[str]) -> Sequence[Outcome]:
    """Run each test alone; the programs of these tests are our own."""
    assert task.hidden == {}, "hidden tests are the grader's"
    return [alone(program, test) for test in tests]


def alone(program: str, test: str) -> Outcome:
    space: dict[str, Any] = {}
    try:
        exec(program, space)
        called = ast.parse(test).body[0].test.left  # type: ignore[attr-defined]
        got = repr(eval(ast.unparse(called), space))
        exec(test, space)
    except AssertionError:
        return Outcome(test=test, passed=False, got=got)
    except Exception as error:
        return Outcome(test=test, passed=False, got=f"{type(error).__name__}: {error}")
    return Outcome(test=test, passed=True)


def doubles(attempt: Attempt) -> float:
    """A grader for DOUBLE."""
    return float(alone(attempt.text, "assert double(5) == 10").passed)


def shown(messages: Sequence[Any]) -> str:
    return "\n".join(message["content"] for message in messages)
