"""What a run hands to its nodes: ``once`` for every effect, the budget, the seed, the executor."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agentloop.budget import Meter
from agentloop.errors import PlaceTaken
from agentloop.journal import Effect, Journal, place_of, redacted_messages
from agentloop.models.recording import Ask, recorder
from agentloop.record import adapter
from agentloop.redact import redact
from agentloop.types import (
    Attempt,
    Call,
    Correction,
    Fact,
    Feedback,
    Message,
    Model,
    Reflection,
    Reply,
    Step,
    digest,
)

T = TypeVar("T")

KINDS: dict[str, Any] = {
    "call": tuple[Reply, ...],
    "step": Step,
    "facts": tuple[Fact, ...],
    "feedback": Feedback,
    "recall": tuple[Correction, ...],
    "record": Correction,
    "reflection": Reflection | None,
    "score": float,
    "value": Any,
}
"""What each kind of effect brings. A node of one's own uses ``value``: anything made of JSON values."""

ROLES = {"act": "actor", "judge": "critic", "reflect": "reflector", "distil": "distiller", "grade": "grader"}


@dataclass
class Scope:
    """Where in the run the code now running stands; numbers the effects made there."""

    trajectory: str
    attempt: int
    node: str
    made: int = 0

    def place(self) -> str:
        """The next place in this scope, now taken."""
        place = self.peek()
        self.made += 1
        return place

    def peek(self) -> str:
        """The next place in this scope, left free."""
        return place_of(self.trajectory, self.attempt, self.node, self.made)

    def latest(self) -> str:
        """The place that was taken last."""
        return place_of(self.trajectory, self.attempt, self.node, self.made - 1)


@dataclass
class RunContext:
    """One run, as its nodes see it. Without a journal everything is made and nothing is written.

    ``given`` holds effects of another run that count here as if made here: how several conditions
    share one first attempt.
    """

    journal: Journal | None = None
    meter: Meter = field(default_factory=Meter)
    seed: int | None = None
    executor: Executor | None = None
    given: Callable[[str], Effect | None] = lambda place: None
    attempts: dict[str, dict[int, Attempt]] = field(default_factory=dict)

    async def once(self, place: str, ask: str, make: Callable[[], Awaitable[T]], *, kind: str = "value") -> T:
        """Return what is recorded at ``place``, or make it and write it down before it is used.

        A different ``ask`` recorded there is an error: the agent is not the one that began the run.
        """
        if self.journal is None:
            return await make()
        recorded = self.journal.get(place)
        if recorded is None:
            given = self.given(place)
            if given is None or given.ask != ask:
                value = await make()
                self.journal.put(place, kind, ask, value if isinstance(value, Call) else _dump(kind, value))
                return value
            recorded = self.journal.put(place, kind, ask, given.value)
        if recorded.ask != ask:
            raise PlaceTaken(
                f"place {place!r} holds the answer to another request ({recorded.ask}, now {ask}): the "
                "agent, its prompts or its settings changed since the run began; start in another folder"
            )
        return _load(kind, recorded.value)  # type: ignore[no-any-return]

    def keep(self, attempt: Attempt) -> None:
        """Keep an attempt for the grader until its trajectory is finished."""
        if self.journal is not None:
            self.attempts.setdefault(attempt.trajectory, {})[attempt.number] = attempt

    def note(self, place: str, kind: str, value: Any) -> None:
        """Write down something that needs no making; a later note at the same place counts."""
        if self.journal is None:
            return
        noted = self.journal.get(place)
        if noted is None or noted.value != value:
            self.journal.put(place, kind, "", value)

    def replays(self, place: str) -> bool:
        """Whether the effect at ``place`` is recorded already."""
        return self.journal is not None and self.journal.get(place) is not None

    async def ask(self, model: Model, messages: Sequence[Message], **sampling: Any) -> Sequence[Reply]:
        """Ask a model from a node; one whose ``complete`` is not decorated is recorded all the same."""
        if getattr(model.complete, "is_recorded", False):
            return await model.complete(messages, **sampling)
        return await self.record(model, messages, sampling, model.complete)

    async def record(
        self, model: Model, messages: Sequence[Message], sampling: dict[str, Any], ask: Ask
    ) -> Sequence[Reply]:
        """The hook of models/recording.py: store and budget one model call."""
        scope = here.get()
        if scope is None:
            return await ask(messages, **sampling)
        place, shown = scope.place(), tuple(messages)
        if self.seed is not None and "seed" not in sampling:
            sampling = {**sampling, "seed": int(digest(str(self.seed), place)[:7], 16)}
        clean = json.dumps(redacted_messages(shown))
        asked = digest(model.name, clean, json.dumps(sampling, sort_keys=True, default=str))

        async def make() -> Any:
            self.meter.begin()
            replies = tuple(await ask(shown, **sampling))
            call = Call(
                place=place,
                role=ROLES.get(scope.node, scope.node),
                model=model.name,
                policy=getattr(model, "policy", None),
                messages=shown,
                sampling=sampling,
                replies=replies,
            )
            self.meter.end(call.usage, model.name)
            return call

        made = await self.once(place, asked, make, kind="call")
        return made.replies if isinstance(made, Call) else made

    @contextmanager
    def at(self, trajectory: str, attempt: int, node: str) -> Iterator[Scope]:
        """Stand in a node of an attempt: effects made inside get places there."""
        scope = Scope(trajectory, attempt, node)
        standing, recording = here.set(scope), recorder.set(self.record)
        running = current.set(self)
        try:
            yield scope
        finally:
            here.reset(standing)
            recorder.reset(recording)
            current.reset(running)


here: ContextVar[Scope | None] = ContextVar("agentloop_here", default=None)
current: ContextVar[RunContext | None] = ContextVar("agentloop_current", default=None)


async def once(ask: str, make: Callable[[], Awaitable[T]], *, kind: str = "value") -> T:
    """For a node of one's own: ``RunContext.once`` at the next place of the node now running.

    ``ask`` says in words or in JSON what is asked for. Outside a run it only makes.
    """
    run, scope = current.get(), here.get()
    if run is None or scope is None:
        return await make()
    return await run.once(scope.place(), digest(redact(ask)), make, kind=kind)


def _dump(kind: str, value: Any) -> Any:
    return adapter(KINDS[kind]).dump_python(value, mode="json", exclude_defaults=True)


def _load(kind: str, value: Any) -> Any:
    return adapter(KINDS[kind]).validate_python(value)
