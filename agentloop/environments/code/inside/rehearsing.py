"""A job rehearsed in the worker, so that its children find done what each would have to do anew.

What a process does for the first time costs more than the time to do it: Python specialises code where
it lies and fills its caches of attributes, and whatever is written in a child is a page copied. Done in
the worker it is done for all children. The job is always this one, and either side is answered from
here: nothing of a job that was asked for is in memory.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import sys
from collections.abc import Callable
from typing import Any

from agentloop.environments.code.inside import candidate, checker
from agentloop.environments.code.inside.channel import encode

TIMES = 12
"""Python specialises a function after eight calls."""
PROGRAM = '''
from typing import List, Tuple


def f(values: List[int], text: str = "", *, last: bool = False) -> List[Tuple[int, str]]:
    """Give each value above nothing its text."""
    found = []
    for place, value in enumerate(values):
        if value > 0 and not last:
            found.append((value, text.upper()))
    return found
'''
TESTS = """
WANTED = {"first": [(1, "")]}


def check(candidate):
    assert candidate([1, -2]) == WANTED["first"], "above nothing"
    assert candidate([2], "a", last=False) == [(2, "A")]
    assert not candidate(values=[]) and True
    assert abs(candidate([], "b") - 1.5) < 1e-6
    assert candidate([3]) == [(3, "c")], "a text"
    candidate("no list")
"""
JOB: dict[str, Any] = {
    "mode": "calls",
    "program": PROGRAM,
    "tests": TESTS,
    "prompt": PROGRAM,
    "entry_point": "f",
    "files": {},
    "seconds": 3.0,
}
ASKED = (
    ["call", 1, "f", [[1, -2]], {}],
    ["call", 2, "f", [[2], "a"], {"last": False}],
    ["call", 3, "f", [], {"values": []}],
    ["call", 4, "f", [[], "b"], {}],
    ["call", 5, "f", [[3]], {}],
    ["call", 6, "f", ["no list"], {}],
)
RAISED = {
    "type": "TypeError",
    "message": "not supported",
    "frames": [{"file": "program.py", "line": 9, "function": "f", "source": "if value > 0 and not last:"}],
    "class": "TypeError",
    "args": ["not supported"],
    "attributes": {"dict": {}},
}
ANSWERED = (
    ["ready", {"f": "function", "List": "standard:typing", "Tuple": "standard:typing"}],
    ["value", 1, [{"tuple": [1, ""]}], []],
    ["value", 2, [{"tuple": [2, "A"]}], []],
    ["value", 3, [], []],
    ["value", 4, 1.5, []],
    ["value", 5, [{"tuple": [3, ""]}], []],
    ["raise", 6, RAISED, []],
)


def rehearse(times: int = TIMES, *, report: int) -> None:
    """Do both sides of the job, the checker's records going to ``report``; nothing of it is kept."""
    path, modules = list(sys.path), set(sys.modules)
    handler = _signal.getsignal(_signal.SIGALRM)
    for _ in range(times):
        answer(ASKED, lambda connection: candidate.main(JOB, connection))
        answer(ANSWERED, lambda connection: checker.main(JOB, connection, report))
    _signal.signal(_signal.SIGALRM, handler)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def answer(messages: tuple[list[Any], ...], side: Callable[[int], int]) -> None:
    """Run one side on a connection on which these messages have come, and on which nothing else will."""
    mine, other = _socket.socketpair()
    for message in messages:
        data = encode(message).encode("ascii")
        other.sendall(len(data).to_bytes(4, "big") + data)
    other.shutdown(_socket.SHUT_WR)
    side(mine.fileno())
    mine.close()
    other.close()
