"""One visit of a search to a node: what the functions of a method are given, and where their effects go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from agentloop.context import RunContext, Scope
from agentloop.errors import BudgetSpent
from agentloop.journal import place_of
from agentloop.nodes import Judge
from agentloop.redact import redact
from agentloop.search.tree import Node, Tree
from agentloop.state import Node as GraphNode
from agentloop.types import Attempt, Feedback, Message, Model, Reply, Task, digest

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

T = TypeVar("T")


class Asked(NamedTuple):
    """A model's reply, and the place of the call that brought it."""

    reply: Reply
    place: str


class Made(NamedTuple):
    """An attempt that a visit made, and its worth; None where it broke."""

    attempt: Attempt
    value: float | None


class Worth(NamedTuple):
    """What a node turned out to be worth; the back-up rule takes it from there."""

    node: int
    value: float


class Broke(Exception):
    """An attempt of the search broke; it is kept as it is, and the search ends with the best so far."""


@dataclass
class Visit:
    """One visit. ``at`` is the node that was selected, ``new`` the nodes that expanding it added.

    Every evaluated answer is an attempt of the trajectory, with a number of its own, and effects are
    recorded there, in the order in which they are had; those with ``attempt=0`` belong to the search
    as a whole. ``had`` counts them, so that no place is used twice.
    """

    runtime: Runtime[RunContext]
    task: Task
    trajectory: str
    tree: Tree
    at: int
    number: int
    new: tuple[int, ...] = ()
    had: dict[str, int] = field(default_factory=dict)
    snapshots: dict[int, Any] = field(default_factory=dict)
    ways: dict[int, str] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    unkept: Attempt | None = None

    @property
    def run(self) -> RunContext:
        """The run; outside of one nothing is journaled."""
        return self.runtime.context or RunContext()

    @property
    def node(self) -> Node:
        """The node that was selected."""
        return self.tree.node(self.at)

    @property
    def next_number(self) -> int:
        """The number of the next attempt."""
        return self.number + len(self.made) + 1

    @contextmanager
    def stand(self, role: str, attempt: int) -> Iterator[Scope]:
        """Stand in a node of an attempt behind the effects that this search had there already."""
        key = f"{attempt}/{role}"
        with self.run.at(self.trajectory, attempt, role) as scope:
            scope.made = self.had.get(key, 0)
            yield scope
            self.had[key] = scope.made

    async def ask(
        self,
        model: Model,
        messages: str | Sequence[Message],
        *,
        role: str = "expand",
        attempt: int = 0,
        **sampling: Any,
    ) -> Asked:
        """Ask a model. The role "act" makes the call the acting model's own (an export trains those)."""
        shown: Sequence[Message] = (
            [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        )
        with self.stand(role, attempt) as scope:
            place = scope.peek()
            replies = await self.run.ask(model, shown, **sampling)
        return Asked(replies[0], place)

    async def once(
        self,
        ask: str,
        make: Callable[[], Awaitable[T]],
        *,
        role: str = "expand",
        attempt: int = 0,
        kind: str = "value",
    ) -> T:
        """Have an effect once: ``RunContext.once`` at the next place of that role and attempt."""
        with self.stand(role, attempt) as scope:
            return await self.run.once(scope.place(), digest(redact(ask)), make, kind=kind)

    async def attempt(
        self, act: GraphNode, *, earlier: tuple[Attempt, ...] = (), follows: tuple[int, ...] = ()
    ) -> Attempt:
        """Make the next attempt with an act node. One that breaks ends the search.

        ``follows`` are the numbers of the attempts whose feedback it is shown: an export of retries
        takes an attempt for one only where the attempt before it is among them.
        """
        made = await act(
            {
                "task": self.task,
                "trajectory": self.trajectory,
                "number": self.next_number - 1,
                "earlier": earlier,
            },
            self.runtime,
        )
        attempt = made.get("attempt")
        attempt = self._sound(made, attempt and self._following(attempt.replace(follows=follows)))
        self.unkept = attempt
        return attempt

    async def judged(self, judge: Judge, attempt: Attempt) -> Attempt:
        """The attempt with the critic's feedback, by a judge node."""
        made = await judge({"task": self.task, "attempt": attempt}, self.runtime)
        return self._sound(made, made.get("attempt", attempt))

    def told(self, attempt: Attempt, feedback: Feedback) -> Attempt:
        """The attempt with feedback that no judge node brought, written down."""
        place = place_of(attempt.trajectory, attempt.number, "feedback", 0)
        self.run.note(place, "feedback", feedback.to_dict())
        return attempt.replace(feedback=feedback)

    def fresh_attempt(self, text: str = "", **fields: Any) -> Attempt:
        """The next attempt, written down, for a method that has no act node make it."""
        number = self.next_number
        attempt = Attempt(
            id=f"{self.trajectory}/{number}",
            trajectory=self.trajectory,
            task=self.task,
            number=number,
            text=text,
            **{"follows": (), **fields},
        )
        self.unkept = self._following(attempt)
        self._note(attempt)
        return attempt

    def keep(self, attempt: Attempt, value: float | None) -> None:
        """Count the attempt, for the grader and for the choice of the best."""
        self.run.keep(attempt)
        self.made.append(Made(attempt, value))
        self.unkept = None

    def broken(self, error: str) -> None:
        """Keep what broke: the attempt under way, or an empty one."""
        attempt = (self.unkept or self.fresh_attempt()).replace(error=error)
        self._note(attempt)
        self.keep(attempt, None)

    def _following(self, attempt: Attempt) -> Attempt:
        """The same attempt; which ones it follows is written down."""
        place = place_of(attempt.trajectory, attempt.number, "follows", 0)
        self.run.note(place, "follows", list(attempt.follows or ()))
        return attempt

    def _note(self, attempt: Attempt) -> None:
        noted = {"text": attempt.text, "error": attempt.error}
        place = place_of(attempt.trajectory, attempt.number, "attempt", 0)
        self.run.note(place, "attempt", {name: value for name, value in noted.items() if value})

    def _sound(self, made: Any, attempt: Attempt | None) -> Attempt:
        if made.get("stop_reason") or attempt is None:
            raise BudgetSpent("the budget was spent within an attempt of the search")
        if attempt.error:
            self._note(attempt)
            self.keep(attempt, None)
            raise Broke(attempt.error)
        return attempt


Expand: TypeAlias = Callable[[Visit], Awaitable[Tree]]
"""Gives the tree with what was added below the selected node; the same tree adds nothing."""


class Evaluated(NamedTuple):
    """What an evaluation changed in the tree, and the worth of the nodes it looked at."""

    tree: Tree
    worths: Sequence[Worth]


Evaluate: TypeAlias = Callable[[Visit], Awaitable[Evaluated]]
"""Evaluates nodes of the visit, making attempts on the way (``Visit.attempt``, ``Visit.keep``)."""
