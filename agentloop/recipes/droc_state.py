"""What the nodes of DROC share: the state, and a node whose effects never take one another's place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from langgraph.runtime import Runtime

from agentloop.context import RunContext, Scope
from agentloop.errors import BudgetSpent
from agentloop.journal import place_of
from agentloop.knowledge import Knowledge, Photo
from agentloop.prompts import Prompts
from agentloop.record import Record
from agentloop.redact import redact
from agentloop.state import State, boundary, trajectory_id
from agentloop.types import Attempt, Fact, Message, Model, Step, digest

T = TypeVar("T")


class PlanStep(Record):
    """One step of a plan in words, and the name of the object it is about; empty where it is about none."""

    step: str
    object: str = ""


class Turn(Record):
    """One piece of code carried out for a step, what came of it, and what the person said of it."""

    code: str
    observation: str
    correction: str = ""


class Finished(Record):
    """A finished step: the object it was about, and all that was tried, the last turn being the right one."""

    step: str
    object: str = ""
    photo: Photo | None = None
    turns: tuple[Turn, ...] = ()


class World(NamedTuple):
    """Where the environment stands: the actions that led there, and the session's snapshot if it gave one."""

    steps: tuple[Step, ...] = ()
    snapshot: Any = None


class Seen(NamedTuple):
    """The object that a step is about, as the environment found it."""

    mark: int = 0
    name: str = ""
    photo: Photo | None = None


class DrocState(State, total=False):
    """What the next node of DROC needs. ``number`` is that of the attempt under way.

    An attempt goes on until the person interrupts, so a trajectory has one attempt more than corrections.
    """

    world: World
    instruction: str
    scene: str
    instructions: str
    constraints: tuple[Knowledge, ...]
    taught: tuple[Knowledge, ...]
    used: dict[str, str]
    plan: tuple[PlanStep, ...]
    at: int
    examples: tuple[str, ...]
    objects: str
    seen: Seen
    skill: Knowledge | None
    code: str
    first_code: str
    turns: tuple[Turn, ...]
    finished: tuple[Finished, ...]
    steps: tuple[Step, ...]
    facts: tuple[Fact, ...]
    calls: tuple[str, ...]
    correction: str
    corrections: tuple[int, ...]
    level: str
    levels: tuple[str, ...]
    done: bool
    had: dict[str, int]


class Desk:
    """One node at work on one attempt: what it may ask, and where its effects go."""

    def __init__(self, run: RunContext, scope: Scope, state: DrocState) -> None:
        self.run, self.scope, self.state = run, scope, state

    @property
    def place(self) -> str:
        """The place of the next effect."""
        return self.scope.peek()

    async def ask(self, model: Model, text: str, *, system: str = "", **sampling: Any) -> str:
        """What the model answers to a prompt."""
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": text})
        return (await self.run.ask(model, messages, **sampling))[0].text.strip()

    async def once(self, ask: str, make: Callable[[], Awaitable[T]], *, kind: str = "value") -> T:
        """Have an effect once."""
        return await self.run.once(self.scope.place(), digest(redact(ask)), make, kind=kind)


class Working:
    """A node of which one attempt may need several goes; each continues where the last one's places ended.

    ``node`` is its name in the journal, ``at_fault`` the boundary that errors in it are put down to.
    """

    node = "work"
    at_fault = "model"

    def __init__(self, prompts: Prompts | None = None) -> None:
        self.prompts = prompts or Prompts()

    async def __call__(self, state: DrocState, runtime: Runtime[RunContext]) -> DrocState:
        """Do the node's work, unless the agent has stopped."""
        if state.get("stop_reason"):
            return {}
        run, number = runtime.context or RunContext(), state.get("number", 1)
        before = {key: made for key, made in state.get("had", {}).items() if key.startswith(f"{number}/")}
        key = f"{number}/{self.node}"
        changed: DrocState = {}
        with run.at(trajectory_id(state), number, self.node) as scope, boundary(self.at_fault) as caught:
            scope.made = before.get(key, 0)
            try:
                changed = await self.work(state, Desk(run, scope, state))
            except BudgetSpent:
                changed = {"stop_reason": "budget", "stop_signal": "none"}
        if caught.error:
            broken = keep_attempt(state, run, error=caught.error)
            changed = {"attempt": broken, "stop_reason": "error", "stop_signal": "none"}
        changed["had"] = {**before, key: scope.made}
        return changed

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """What the node changes in the state."""
        raise NotImplementedError


def keep_attempt(state: DrocState, run: RunContext, **fields: Any) -> Attempt:
    """The attempt under way as a record, written down and kept for the grader."""
    name, number = trajectory_id(state), state.get("number", 1)
    attempt = Attempt(
        id=f"{name}/{number}",
        trajectory=name,
        task=state["task"],
        number=number,
        text=state.get("code", ""),
        calls=state.get("calls", ()),
        steps=state.get("steps", ()),
        facts=state.get("facts", ()),
        recalled=tuple(state.get("used", {})),
        **fields,
    )
    run.keep(attempt)
    noted = {"text": attempt.text, "recalled": list(attempt.recalled), "error": attempt.error}
    place = place_of(name, number, "attempt", 0)
    run.note(place, "attempt", {key: value for key, value in noted.items() if value})
    run.note(place_of(name, number, "facts", 0), "facts", [fact.to_dict() for fact in attempt.facts])
    return attempt


def current(state: DrocState) -> PlanStep:
    """The step under way; after the last one, the last one."""
    plan = state["plan"]
    return plan[min(state["at"], len(plan) - 1)] if plan else PlanStep(step="")


def listed(plan: tuple[PlanStep, ...]) -> str:
    """A plan as numbered lines, each with its object."""
    return "\n".join(f"{n}. {each.step} [{each.object}]" for n, each in enumerate(plan, 1))


def told(turns: tuple[Turn, ...], start: int = 1) -> str:
    """Turns as numbered responses, as prompts show them."""
    lines = []
    for number, turn in enumerate(turns, start):
        lines.append(f"response {number}:\n{turn.code}\ncame of it: {turn.observation}")
        lines += [f"correction: {turn.correction}"] if turn.correction else []
    return "\n".join(lines)
