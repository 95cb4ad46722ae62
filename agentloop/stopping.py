"""When an agent stops: the decision node, and rules to give to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from langgraph.runtime import Runtime

from agentloop.bringing import bring
from agentloop.context import RunContext, once
from agentloop.errors import BadInput
from agentloop.state import State
from agentloop.types import Grader, StopSignal


class Stop(NamedTuple):
    """Why a loop stops, and whose signal stopped it: the agent's own, public checks, or the oracle."""

    reason: str
    signal: StopSignal = "none"


StopRule: TypeAlias = Callable[[State], Stop | None | Awaitable[Stop | None]]
"""Looks at the state after the critic has spoken, and says why to stop, or None to go on."""


class Decide:
    """Stop or go on: a pass, the critic's word, a rule, or the last attempt."""

    def __init__(self, *, attempts: int = 3, stop: Sequence[StopRule] = ()) -> None:
        self.attempts = attempts
        self.rules = tuple(stop)

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``stop_reason`` and ``stop_signal`` when the loop is to stop."""
        if state.get("stop_reason"):
            return {}
        attempt = state["attempt"]
        with (runtime.context or RunContext()).at(attempt.trajectory, attempt.number, "decide"):
            stop = await self._stop(state)
        return {"stop_reason": stop.reason, "stop_signal": stop.signal} if stop else {}

    async def _stop(self, state: State) -> Stop | None:
        attempt, signal = state["attempt"], state.get("signal", "none")
        feedback = attempt.feedback
        if attempt.error:
            return Stop("error")
        if feedback is not None and feedback.verdict == "pass":
            return Stop("passed", signal)
        if feedback is not None and feedback.stop:
            return Stop("critic", signal)
        for rule in self.rules:
            stop = await bring(rule, state)
            if stop is not None:
                return stop
        return Stop("attempts") if attempt.number >= self.attempts else None


def goes_to(state: State) -> Literal["reflect", "distil"]:
    """Where an agent goes after a decision: to ``distil`` when it stops, else to ``reflect``."""
    return "distil" if state.get("stop_reason") else "reflect"


def stuck(after: int = 2) -> StopRule:
    """Stop when ``after`` attempts in a row gave the same answer by the same actions."""
    if after < 2:
        raise BadInput(f"stuck(after) must be at least 2, got {after}")

    async def rule(state: State) -> Stop | None:
        latest = (*state.get("earlier", ()), state["attempt"])[-after:]
        said = {(each.text.strip(), *(step.action.strip() for step in each.steps)) for each in latest}
        return Stop("no progress") if len(latest) == after and len(said) == 1 else None

    return rule


def oracle(grader: Grader) -> StopRule:
    """Stop when ``grader`` says that the attempt passes. The run records that the oracle stopped it."""

    async def rule(state: State) -> Stop | None:
        attempt = state["attempt"]

        async def make() -> float:
            return float(await bring(grader, attempt))

        score = await once(f"{attempt.id} {attempt.text}", make)
        return Stop("oracle", "oracle") if score >= 1.0 else None

    return rule
