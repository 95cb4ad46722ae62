"""What the nodes of an agent share: the state, the boundary around what a user brings, the best attempt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypedDict

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from agentloop.context import RunContext
from agentloop.errors import BadInput, BudgetSpent, JournalError, MissingExtra
from agentloop.redact import redact
from agentloop.types import Attempt, Correction, StopSignal, Task

logger = logging.getLogger(__name__)


class State(TypedDict, total=False):
    """What the next node needs. History is in the journal, not here."""

    task: Task
    trajectory: str
    number: int
    attempt: Attempt
    earlier: tuple[Attempt, ...]
    best: Attempt
    recalled: tuple[Correction, ...]
    withheld: tuple[Correction, ...]
    signal: StopSignal
    stop_reason: str
    stop_signal: StopSignal


class Node(Protocol):
    """An async node over ``State``. LangGraph wants the parameter to be called ``state``."""

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """What the node changes in the state."""
        ...


class Caught:
    """What a boundary caught: ``error`` names the boundary, the type and the message."""

    error: str | None = None


@contextmanager
def boundary(name: str) -> Iterator[Caught]:
    """Turn what breaks inside into the attempt's error, so that it never stops its neighbours.

    Let through: LangGraph's interrupts (they are exceptions), a spent budget, a journal that cannot
    be written, and mistakes of the caller.
    """
    caught = Caught()
    try:
        yield caught
    except (GraphBubbleUp, BudgetSpent, JournalError, BadInput, MissingExtra):
        raise
    except Exception as error:
        caught.error = f"{name}: {type(error).__name__}: {redact(str(error))}"
        logger.info("%s", caught.error, exc_info=True)


class MemoryFailed(BadInput):
    """The memory could not be read; an agent that silently goes without it would be another agent."""


def better(best: Attempt | None, attempt: Attempt) -> Attempt:
    """The attempt that counts: by verdict, then score, then the later one; never one that broke."""
    if best is None:
        return attempt
    return attempt if _rank(attempt) >= _rank(best) else best


def _rank(attempt: Attempt) -> tuple[int, float]:
    feedback = attempt.feedback
    if attempt.error or feedback is None:
        return (-1, 0.0)
    return ({"fail": 0, "unsure": 1, "pass": 2}[feedback.verdict], feedback.score or 0.0)


def trajectory_id(state: State) -> str:
    """The trajectory's id; outside a run the task's id serves."""
    return state.get("trajectory") or state["task"].id


def run_id(run: RunContext) -> str:
    """The run's id; empty outside a run."""
    return run.journal.run if run.journal is not None else ""


def use_of(run: RunContext, trajectory: str) -> str:
    """How a memory knows a trajectory: with the run before it, since runs share trajectory ids."""
    return f"{run_id(run)}/{trajectory}"


def budget_spent() -> State:
    """What a node changes when the budget is spent: the agent goes to its end with the best so far."""
    return {"stop_reason": "budget", "stop_signal": "none"}
