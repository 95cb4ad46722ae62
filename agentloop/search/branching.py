"""Actions at any node of a tree, each in a session of its own, so that branches share nothing."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from agentloop.bringing import OpenSession
from agentloop.errors import EnvironmentFailed
from agentloop.redact import redact
from agentloop.search.tree import Node
from agentloop.search.visit import Visit
from agentloop.types import Environment, Fact, Step

Way: TypeAlias = Literal["fresh", "restored", "replayed", "recorded"]
"""How a session came to the state of a node: it was new, took up a snapshot, or repeated the actions of
the path; ``recorded`` where a resumed run had the step in its journal and needed no session."""


class Branched(NamedTuple):
    """A step taken at a node, what the end state told, and how the session had come there."""

    step: Step
    facts: tuple[Fact, ...]
    way: Way


class Branching:
    """Takes steps at nodes of a tree whose contents are the actions of ``environment``.

    Every step has a session to itself. It is brought to the node's state by ``restore`` where the
    session that reached the node gave a ``snapshot`` (which then has to outlive that session, and is
    copied deeply when it is taken and again when it is given back), or else by repeating the
    actions on the way from the root. An action that brings another observation when it is repeated is
    an error: such an environment cannot be searched in. ``Visit.ways`` tells which way was taken.

    Snapshots are kept while the search runs, not in the journal: a search that was cut off repeats
    actions instead. For that the method keeps each node's ``observation``.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    async def step(self, visit: Visit, parent: int, *, child: int, call: str | None = None) -> Branched:
        """Carry out the content of node ``child`` at node ``parent``, once, as the step of the next attempt.

        ``call`` is the place of the call that chose the action.
        """
        path, action = visit.tree.path(parent)[1:], visit.tree.node(child).content
        branch = _Branch(self.environment, visit, path)

        async def take() -> Step:
            session = await branch.opened()
            began = time.perf_counter()
            step = await session.step(action)
            seconds = step.seconds or round(time.perf_counter() - began, 6)
            return step.replace(seconds=seconds, call=call)

        async def tell() -> tuple[Fact, ...]:
            if branch.session is None:  # the run was cut off between the step and its end state
                await (await branch.opened()).step(action)
            return await (await branch.opened()).final()

        number, asked = visit.next_number, "\n".join([*(node.content for node in path), action])
        try:
            step = await visit.once(asked, take, role="act", attempt=number, kind="step")
            facts = await visit.once(asked, tell, role="act", attempt=number, kind="facts")
            if branch.session is not None:
                await _save(branch.session, visit, child)
        finally:
            await branch.close()
        visit.ways[child] = branch.way
        return Branched(step, facts, branch.way)


class _Branch:
    """The session of one step, opened when it is first needed, in the state at the end of ``path``."""

    def __init__(self, environment: Environment, visit: Visit, path: Sequence[Node]) -> None:
        self.environment, self.visit, self.path = environment, visit, path
        self.session: OpenSession | None = None
        self.way: Way = "recorded"

    async def opened(self) -> OpenSession:
        """The session; the first call opens it and brings it to the state."""
        if self.session is None:
            self.session = await OpenSession.open(self.environment, self.visit.task)
            await self.session.prompt()
            self.way = await self._bring(self.session)
        return self.session

    async def close(self) -> None:
        """Give the session back, if there is one."""
        if self.session is not None:
            await self.session.close()

    async def _bring(self, session: OpenSession) -> Way:
        state = self.visit.snapshots.get(self.path[-1].id if self.path else 0)
        if state is not None and await session.restore(copy.deepcopy(state)):
            return "restored"
        await _repeat(session, self.path)
        return "replayed" if self.path else "fresh"


async def _save(session: OpenSession, visit: Visit, child: int) -> None:
    """Keep a copy of the state; one that is not given or cannot be copied is reached by repeating."""
    state = await session.snapshot()
    try:
        visit.snapshots[child] = copy.deepcopy(state)
    except (TypeError, ValueError, copy.Error, RecursionError):
        visit.snapshots.pop(child, None)


async def _repeat(session: OpenSession, path: Sequence[Node]) -> None:
    for node in path:
        step = await session.step(node.content)
        if redact(step.observation) != redact(node.observation):
            raise EnvironmentFailed(
                f"the action {node.content!r:.80} brought another observation when it was repeated; this "
                "environment gives no snapshots and is not deterministic, so it cannot be searched in"
            )
