"""The nodes an agent is made of: recall, act, judge, reflect, decide, distil.

Each is a class whose instances are LangGraph nodes over ``State``; what they share with the run
comes as ``runtime.context``, which is None outside ``improve``: then nothing is journaled.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypedDict, TypeGuard

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from agentloop.bringing import bring
from agentloop.context import RunContext, once
from agentloop.errors import BadInput, BudgetSpent, JournalError, MissingExtra
from agentloop.hidden import leaks, mask_hidden, may_see_hidden, public_attempt, public_task
from agentloop.journal import place_of
from agentloop.prompts import Prompts
from agentloop.redact import redact
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Feedback,
    Grader,
    Memory,
    Model,
    Reflection,
    Source,
    StopSignal,
    Task,
    correction_id,
    digest,
)

logger = logging.getLogger(__name__)

KEPT = 4
"""Earlier attempts that the state keeps when the agent is shown fewer; the journal has all."""


class State(TypedDict, total=False):
    """What the next node needs. History is in the journal, not here."""

    task: Task
    trajectory: str
    number: int
    attempt: Attempt
    earlier: tuple[Attempt, ...]
    best: Attempt
    recalled: tuple[Correction, ...]
    signal: StopSignal
    stop_reason: str
    stop_signal: StopSignal


class Node(Protocol):
    """An async node over ``State``. LangGraph wants the parameter to be called ``state``."""

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """What the node changes in the state."""
        ...


class Stop(NamedTuple):
    """Why a loop stops, and whose signal stopped it: the agent's own, public checks, or the oracle."""

    reason: str
    signal: StopSignal = "none"


StopRule: TypeAlias = Callable[[State], Stop | None | Awaitable[Stop | None]]
Reflector: TypeAlias = Callable[[Attempt], str | Awaitable[str]]
Distiller: TypeAlias = Callable[[Sequence[Attempt]], Sequence[Correction] | Awaitable[Sequence[Correction]]]


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


class Recall:
    """Recall the corrections that apply to the task: once, or before every attempt when episodic."""

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory
        self.every_attempt = bool(getattr(memory, "episodic", False))

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``recalled``."""
        memory = self.memory
        if memory is None or ("recalled" in state and not self.every_attempt):
            return {}
        run, task, number = runtime.context or RunContext(), state["task"], state.get("number", 0) + 1

        async def make() -> tuple[Correction, ...]:
            return tuple(await memory.recall(public_task(task)))

        found: tuple[Correction, ...] = ()
        with run.at(trajectory_id(state), number, "recall") as scope, boundary("memory") as caught:
            found = await run.once(scope.place(), digest(task.id), make, kind="recall")
        if caught.error:
            raise MemoryFailed(caught.error)
        return {"recalled": found}


class MemoryFailed(BadInput):
    """The memory could not be read; an agent that silently goes without it would be another agent."""


class Judge:
    """Ask the critic about the latest attempt and keep the best so far."""

    def __init__(self, critic: Critic) -> None:
        self.critic = critic
        self.privileged = may_see_hidden(critic)
        signal: StopSignal = getattr(critic, "signal", "public")
        self.signal: StopSignal = "oracle" if self.privileged else signal

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set the attempt's ``feedback``, and ``best``."""
        attempt = state.get("attempt")
        if attempt is None or attempt.error or state.get("stop_reason"):
            return {}
        run = runtime.context or RunContext()
        with run.at(attempt.trajectory, attempt.number, "judge") as scope:
            with boundary("critic") as caught:
                try:
                    attempt = attempt.replace(feedback=await self._feedback(attempt, run, scope.place()))
                except BudgetSpent:
                    return {**_budget_spent(), "best": better(state.get("best"), attempt)}
            if caught.error:
                run.note(place_of(attempt.trajectory, attempt.number, "error", 0), "error", caught.error)
                attempt = attempt.replace(error=caught.error)
        run.keep(attempt)
        return {"attempt": attempt, "best": better(state.get("best"), attempt), "signal": self.signal}

    async def _feedback(self, attempt: Attempt, run: RunContext, place: str) -> Feedback:
        seen = attempt if self.privileged else public_attempt(attempt)

        async def make() -> Feedback:
            feedback = await bring(self.critic, seen, executor=run.executor)
            if not isinstance(feedback, Feedback):
                raise BadInput(
                    f"a critic must return a Feedback, got {type(feedback).__name__}: {feedback!r:.80}"
                )
            if self.privileged:
                text = mask_hidden(feedback.text, attempt.task)
                feedback = feedback.replace(privileged=True, text=text)
            return feedback

        observed = [step.observation for step in attempt.steps]
        ask = digest(attempt.id, redact(attempt.text), *map(redact, observed))
        return await run.once(place, ask, make, kind="feedback")


class Reflect:
    """Let the agent write a note for its next attempt, and hand the attempt on as an earlier one."""

    def __init__(
        self,
        reflector: Model | Reflector | None,
        *,
        prompts: Prompts | None = None,
        memory: Memory | None = None,
        history: int | None = 1,
    ) -> None:
        self.reflector = reflector
        self.prompts = prompts or Prompts()
        self.memory = memory if getattr(memory, "episodic", False) else None
        self.kept = None if history is None else max(history, KEPT)

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set the attempt's ``reflection`` and move it to ``earlier``."""
        attempt, run = state["attempt"], runtime.context or RunContext()
        if self.reflector is not None:
            with run.at(attempt.trajectory, attempt.number, "reflect"), boundary("reflect") as caught:
                try:
                    attempt = attempt.replace(reflection=await self._reflection(attempt, run))
                except BudgetSpent:
                    return _budget_spent()
            if caught.error:
                run.note(place_of(attempt.trajectory, attempt.number, "error", 0), "error", caught.error)
        earlier = (*state.get("earlier", ()), attempt)
        return {"attempt": attempt, "earlier": earlier[-self.kept :] if self.kept else earlier}

    async def _reflection(self, attempt: Attempt, run: RunContext) -> Reflection:
        seen = public_attempt(attempt)
        reflector = self.reflector
        assert reflector is not None
        if is_model(reflector):
            told = seen.feedback.text if seen.feedback else ""
            text = self.prompts.render("reflect", task=seen.task.prompt, attempt=seen.text, feedback=told)
            place = place_of(attempt.trajectory, attempt.number, "reflect", 0)
            replies = await run.ask(reflector, [{"role": "user", "content": text}])
            reflection = Reflection(text=replies[0].text.strip(), call=place)
        else:
            ask = digest(attempt.id, redact(attempt.text))

            async def make() -> Reflection:
                text: str = await bring(reflector, seen, executor=run.executor)  # type: ignore[arg-type]
                return Reflection(text=text)

            place = place_of(attempt.trajectory, attempt.number, "reflect", 0)
            reflection = await run.once(place, ask, make, kind="reflection")
        run.note(
            place_of(attempt.trajectory, attempt.number, "reflection", 0), "reflection", reflection.to_dict()
        )
        if self.memory is not None:
            await self._remember(attempt, reflection, run)
        return reflection

    async def _remember(self, attempt: Attempt, reflection: Reflection, run: RunContext) -> None:
        correction = Correction(
            id=correction_id(run_id(run), attempt.trajectory, reflection.text),
            text=reflection.text,
            key=attempt.task.id,
            applies_when=attempt.task.id,
            source=Source(
                run=run_id(run), trajectory=attempt.trajectory, attempt=attempt.number, quote=reflection.text
            ),
        )
        await keep(self.memory, correction, run, place_of(attempt.trajectory, attempt.number, "remember", 0))


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


def is_model(reflector: Model | Reflector) -> TypeGuard[Model]:
    """Whether a reflector is a model rather than a function."""
    return hasattr(reflector, "complete")


def goes_to(state: State) -> Literal["reflect", "distil"]:
    """Where an agent goes after a decision: to ``distil`` when it stops, else to ``reflect``."""
    return "distil" if state.get("stop_reason") else "reflect"


class Distil:
    """Keep what was learnt: corrections from feedback that led to a pass; whether recalled ones helped."""

    def __init__(self, memory: Memory | None, distil: Distiller | None = None) -> None:
        self.memory = memory
        self.distil = distil or keep_feedback

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Write to the memory; the state stays as it is."""
        best = state.get("best")
        if self.memory is None or best is None or state.get("stop_reason") in ("budget", "error"):
            return {}
        run = runtime.context or RunContext()
        passed = best.feedback is not None and best.feedback.verdict == "pass"
        with run.at(best.trajectory, best.number, "distil"), boundary("memory") as caught:
            await self._settle(state, run, helped=passed and best.number == 1)
            if passed and best.number > 1 and not getattr(self.memory, "episodic", False):
                await self._keep((*state.get("earlier", ()), best), run)
        if caught.error:
            raise MemoryFailed(caught.error)
        return {}

    async def _settle(self, state: State, run: RunContext, *, helped: bool) -> None:
        memory, best = self.memory, state["best"]
        assert memory is not None
        for index, correction in enumerate(state.get("recalled", ())):

            async def make(correction: Correction = correction) -> bool:
                name = f"{run_id(run)}/{best.trajectory}"
                await memory.settle(correction.id, trajectory=name, helped=helped)
                return helped

            place = place_of(best.trajectory, best.number, "settle", index)
            await run.once(place, digest(correction.id, str(helped)), make)

    async def _keep(self, attempts: Sequence[Attempt], run: RunContext) -> None:
        last = attempts[-1]
        seen = tuple(public_attempt(attempt) for attempt in attempts)
        ordinal = 0
        for correction in await bring(self.distil, seen, executor=run.executor):
            if leaks(correction.text, last.task):
                logger.warning("a correction from %s was not kept: it quotes hidden data", last.trajectory)
                continue
            correction = correction.replace(
                id=correction_id(run_id(run), last.trajectory, correction.text),
                source=correction.source.replace(run=run_id(run), trajectory=last.trajectory),
            )
            await keep(self.memory, correction, run, place_of(last.trajectory, last.number, "keep", ordinal))
            ordinal += 1


async def keep(memory: Memory | None, correction: Correction, run: RunContext, place: str) -> None:
    """Record a correction as an effect, with the time at which it was made."""

    async def make() -> Correction:
        dated = correction.replace(created=datetime.now(UTC).isoformat(timespec="seconds"))
        assert memory is not None
        await memory.record(dated)
        return dated

    await run.once(place, digest(correction.id), make, kind="record")


def keep_feedback(attempts: Sequence[Attempt]) -> Sequence[Correction]:
    """The plainest distiller: what the critic said of each failed attempt, in its own words."""
    kept: dict[str, Correction] = {}
    for attempt in attempts:
        told = attempt.feedback
        if told is None or told.verdict == "pass" or told.kind in ("unary", "binary", "scalar"):
            continue
        source = Source(trajectory=attempt.trajectory, attempt=attempt.number, quote=told.text)
        kept[told.text] = Correction(
            id=correction_id("", attempt.trajectory, told.text),
            text=told.text,
            key=f"{attempt.task.prompt}\n{told.text}",
            kind="correction",
            level=told.level,
            source=source,
        )
    return tuple(kept.values())


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


def _budget_spent() -> State:
    return {"stop_reason": "budget", "stop_signal": "none"}


def said(texts: Any) -> str:
    """Corrections as the lines of a list."""
    lines = []
    for correction in texts:
        when = f" (when {correction.applies_when})" if correction.applies_when else ""
        unless = f" (not when {correction.not_when})" if correction.not_when else ""
        lines.append(f"- {correction.text}{when}{unless}")
    return "\n".join(lines)
