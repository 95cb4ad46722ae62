"""Carries out actions in an environment, each in a session that takes up where the last one ended."""

from __future__ import annotations

import time
from typing import Any

from agentloop.bringing import OpenSession
from agentloop.errors import EnvironmentFailed
from agentloop.knowledge import Photo
from agentloop.recipes.droc_state import Desk, Seen, World
from agentloop.redact import redact
from agentloop.types import Environment, Step, Task


class Hands:
    """Opens a session for an action and brings it to where the world stands, so that no session is kept
    between nodes.

    By ``restore`` where the session gave a ``snapshot`` of JSON values (a world that keeps its state by
    itself, such as a robot's, gives an empty one), else by repeating the actions. Snapshots are journaled,
    so a resumed run carries nothing out again.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    async def opening(self, desk: Desk, task: Task) -> tuple[str, str]:
        """What a session shows first, and the name of the text that tells what actions there are, if any."""

        async def look() -> list[str]:
            session = await OpenSession.open(self.environment, task)
            try:
                return [await session.prompt(), str(getattr(session.session, "instructions", None) or "")]
            finally:
                await session.close()

        scene, instructions = await desk.once(task.id, look)
        return scene, instructions

    async def step(self, desk: Desk, world: World, action: str) -> tuple[Step, World]:
        """Carry out ``action``, once, and say where the world stands then."""
        calls = desk.state.get("calls", ())
        taking = _Taking(self.environment, desk.state["task"], world, action, calls[-1] if calls else None)
        try:
            step = await desk.once(action, taking.take, kind="step")
            snapshot = await desk.once(action, taking.save)
        finally:
            await taking.close()
        return step, World((*world.steps, step), snapshot)


class _Taking:
    """One action in one session, opened when it is first needed."""

    def __init__(
        self, environment: Environment, task: Task, world: World, action: str, call: str | None
    ) -> None:
        self.environment, self.task, self.world, self.action = environment, task, world, action
        self.call = call
        self.session: OpenSession | None = None

    async def take(self) -> Step:
        session = await self._opened()
        began = time.perf_counter()
        step = await session.step(self.action)
        seconds = step.seconds or round(time.perf_counter() - began, 6)
        return step.replace(seconds=seconds, call=self.call)

    async def save(self) -> Any:
        if self.session is None:  # the run was cut off between the step and its snapshot
            await (await self._opened()).step(self.action)
        assert self.session is not None
        return await self.session.snapshot()

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()

    async def _opened(self) -> OpenSession:
        if self.session is None:
            self.session = await OpenSession.open(self.environment, self.task)
            await self.session.prompt()
            if self.world.snapshot is None or not await self.session.restore(self.world.snapshot):
                await self._repeat(self.session)
        return self.session

    async def _repeat(self, session: OpenSession) -> None:
        for before in self.world.steps:
            again = await session.step(before.action)
            if redact(again.observation) != redact(before.observation):
                raise EnvironmentFailed(
                    f"the action {before.action!r:.80} brought another observation when it was repeated; "
                    "give the session snapshot() and restore(), since its actions do not bring it back"
                )


def found_by(words: str) -> str:
    """The action that looks for an object."""
    return f'find("{words}")'


def seen_in(step: Step) -> list[Seen]:
    """The objects that a look found, the likeliest first."""
    found = [each for fact in step.facts if fact.kind == "found" for each in fact.data.get("objects", ())]
    return [
        Seen(each["mark"], each["name"], Photo.from_dict(each["photo"]) if each.get("photo") else None)
        for each in found
    ]
