"""The nodes recall, judge and reflect of an agent; act, decide and distil have files of their own.

Each is a class whose instances are LangGraph nodes over ``State``; what they share with the run
comes as ``runtime.context``, which is None outside ``improve``: then nothing is journaled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

from langgraph.runtime import Runtime

from agentloop.bringing import bring
from agentloop.context import RunContext, Scope
from agentloop.errors import BadInput, BudgetSpent
from agentloop.hidden import mask_hidden, may_see_hidden, public_attempt, public_task
from agentloop.journal import place_of
from agentloop.learning import keep
from agentloop.prompts import Prompts
from agentloop.redact import redact
from agentloop.state import (
    MemoryFailed,
    State,
    better,
    boundary,
    budget_spent,
    run_id,
    trajectory_id,
    use_of,
)
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Feedback,
    Memory,
    Message,
    Model,
    Reflection,
    Source,
    StopSignal,
    correction_id,
    digest,
)

Reflector: TypeAlias = Callable[[Attempt], str | Awaitable[str]]
"""What writes the note an agent leaves itself after a failed attempt."""

KEPT = 4
"""Earlier attempts that the state keeps when the agent is shown fewer; the journal has all."""


class Recall:
    """Recall the corrections that apply to the task: once, or before every attempt when episodic.

    ``limit`` is how many at most; None leaves it to the memory.
    """

    def __init__(self, memory: Memory | None, *, limit: int | None = None) -> None:
        self.memory = memory
        self.limits = {} if limit is None else {"limit": limit}
        self.every_attempt = bool(getattr(memory, "episodic", False))

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``recalled``; of a memory with rent also ``withheld``, what this trajectory is not shown."""
        memory = self.memory
        if memory is None or ("recalled" in state and not self.every_attempt):
            return {}
        run, task, number = runtime.context or RunContext(), state["task"], state.get("number", 0) + 1

        async def make() -> tuple[Correction, ...]:
            return tuple(await memory.recall(public_task(task), **self.limits))

        found: tuple[Correction, ...] = ()
        kept_back: Collection[str] = ()
        with run.at(trajectory_id(state), number, "recall") as scope, boundary("memory") as caught:
            found = await run.once(scope.place(), digest(task.id), make, kind="recall")
            if found and getattr(memory, "rent", None) is not None:
                kept_back = await self._withhold(found, use_of(run, scope.trajectory), run, scope)
        if caught.error:
            raise MemoryFailed(caught.error)
        if not kept_back:
            return {"recalled": found, "withheld": ()} if "withheld" in state else {"recalled": found}
        return {
            "recalled": tuple(each for each in found if each.id not in kept_back),
            "withheld": tuple(each for each in found if each.id in kept_back),
        }

    async def _withhold(
        self, found: Sequence[Correction], use: str, run: RunContext, scope: Scope
    ) -> Collection[str]:
        """The ids of what the memory wants kept from this trajectory, so that its worth can be told."""
        memory: Any = self.memory
        ids = [each.id for each in found]

        async def make() -> list[str]:
            return sorted(await memory.withhold(ids, trajectory=use))

        return await run.once(scope.place(), digest("withhold", *ids), make)


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
                    return {**budget_spent(), "best": better(state.get("best"), attempt)}
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
    """Let the agent write a note for its next attempt, and hand the attempt on as an earlier one.

    A model is shown the text called ``text``, and asked with ``sampling``. A recipe that shows it
    something else overrides ``question``.
    """

    def __init__(
        self,
        reflector: Model | Reflector | None,
        *,
        prompts: Prompts | None = None,
        memory: Memory | None = None,
        history: int | None = 1,
        text: str = "reflect",
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        self.reflector = reflector
        self.text = text
        self.sampling = dict(sampling or {})
        self.prompts = prompts or Prompts()
        self.memory = memory if getattr(memory, "episodic", False) else None
        self.kept = None if history is None else max(history, KEPT)

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set the attempt's ``reflection`` and move it to ``earlier``."""
        attempt, run = state["attempt"], runtime.context or RunContext()
        if self.reflector is not None:
            with (
                run.at(attempt.trajectory, attempt.number, "reflect") as scope,
                boundary("reflect") as caught,
            ):
                try:
                    attempt = attempt.replace(reflection=await self._reflection(attempt, state, run, scope))
                except BudgetSpent:
                    return budget_spent()
            if caught.error:
                run.note(place_of(attempt.trajectory, attempt.number, "error", 0), "error", caught.error)
        earlier = (*state.get("earlier", ()), attempt)
        return {"attempt": attempt, "earlier": earlier[-self.kept :] if self.kept else earlier}

    def question(self, attempt: Attempt, state: State) -> str:
        """What a model is asked for a note on ``attempt``, which holds nothing hidden."""
        told = attempt.feedback.text if attempt.feedback else ""
        return self.prompts.render(self.text, task=attempt.task.prompt, attempt=attempt.text, feedback=told)

    async def _reflection(self, attempt: Attempt, state: State, run: RunContext, scope: Scope) -> Reflection:
        seen = public_attempt(attempt)
        reflector = self.reflector
        assert reflector is not None
        if is_model(reflector):
            asked = place_of(attempt.trajectory, attempt.number, "reflect", 0)
            shown: list[Message] = [{"role": "user", "content": self.question(seen, state)}]
            replies = await run.ask(reflector, shown, **self.sampling)
            reflection = Reflection(text=replies[0].text.strip(), call=asked)
        else:
            ask = digest(attempt.id, redact(attempt.text))

            async def make() -> Reflection:
                text: str = await bring(reflector, seen, executor=run.executor)  # type: ignore[arg-type]
                return Reflection(text=text)

            # The place is taken first: a model that the function asks is recorded at the next one.
            reflection = await run.once(scope.place(), ask, make, kind="reflection")
        run.note(
            place_of(attempt.trajectory, attempt.number, "reflection", 0), "reflection", reflection.to_dict()
        )
        if self.memory is not None:
            await self._remember(attempt, reflection, run)
        return reflection

    async def _remember(self, attempt: Attempt, reflection: Reflection, run: RunContext) -> None:
        correction = Correction(
            id=correction_id(run_id(run), attempt.id, reflection.text),
            text=reflection.text,
            key=attempt.task.id,
            source=Source(
                run=run_id(run), trajectory=attempt.trajectory, attempt=attempt.number, quote=reflection.text
            ),
        )
        place = place_of(attempt.trajectory, attempt.number, "remember", 0)
        await keep(self.memory, correction, run=run, place=place)


def is_model(reflector: Model | Reflector) -> TypeGuard[Model]:
    """Whether a reflector is a model rather than a function."""
    return hasattr(reflector, "complete")
