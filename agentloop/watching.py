"""What a person sees who watches an agent carry out a plan, and how they interrupt it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from agentloop.record import Record
from agentloop.types import Fact, Feedback, Task


class Moment(Record):
    """One action of a plan, just carried out.

    ``step`` is what the action was for, in words, number ``at`` (from 0) of ``plan``; ``action`` what was
    done and ``observation`` what came of it. ``last`` tells that nothing is left to do. Hidden data of the
    task and hidden facts are there only for a person whose attribute ``sees_hidden`` is true.
    """

    task: Task
    plan: tuple[str, ...]
    at: int
    step: str
    action: str
    observation: str
    facts: tuple[Fact, ...] = ()
    corrections: int = 0
    last: bool = False


Person: TypeAlias = Callable[[Moment], Feedback | None | Awaitable[Feedback | None]]
"""Someone who watches: plain or async. None lets the agent go on (and, after its last step, ends the task);
feedback in words interrupts it; feedback with the verdict "pass" says that the task is done."""
