"""Our environments served by OpenEnv's own server, for its clients and the trainers that use them."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentloop.environments.blocking import Blocking
from agentloop.environments.episode import Episode, by_id
from agentloop.errors import BadInput, EnvironmentFailed, MissingExtra
from agentloop.hidden import mask_hidden
from agentloop.types import Environment, Grader, Task

if TYPE_CHECKING:
    from fastapi import FastAPI


def serve_openenv(
    environment: Environment,
    tasks: Sequence[Task],
    *,
    grader: Grader | None = None,
    max_steps: int | None = None,
    sessions: int = 16,
) -> FastAPI:
    """A FastAPI application with OpenEnv's routes (/reset, /step, /state, /schema, /ws and more).

    Each connection to /ws has a session of its own, at most ``sessions`` at once. ``reset`` takes the
    id of a ``task``, or a ``seed`` by which one is drawn. Action and observation are one field,
    ``message``; the task's id, the number of steps and the public facts of the last one are the
    state. The reward of the last step is the grader's, where one is given, and else each step's own.
    An episode is done after ``max_steps`` at the latest. Hidden data stays here: it is neither in
    tasks nor facts nor errors that are sent. OpenEnv's /reset and /step over plain HTTP keep no
    session, so that an episode needs /ws. The server asks nobody who they are: keep it on loopback::

        app = serve_openenv(SQLEnvironment("shop.sqlite"), tasks, grader=result_match)
        uvicorn.run(app, host="127.0.0.1", port=8000)
    """
    try:
        from openenv.core.env_server.http_server import (  # pyright: ignore[reportMissingImports]
            create_fastapi_app,
        )
    except ImportError as error:
        raise MissingExtra("serve_openenv", "openenv-core", "openenv") from error
    if max_steps is not None and max_steps < 1:
        raise BadInput(f"max_steps must be at least 1, got {max_steps}")
    from agentloop.environments.openenv_shapes import ServedEnvironment, Words, WordsSeen

    known = by_id(tasks)

    def make() -> ServedEnvironment:
        return ServedEnvironment(Served(environment, known, grader=grader, max_steps=max_steps))

    app: FastAPI = create_fastapi_app(make, Words, WordsSeen, max_concurrent_envs=sessions)
    return app


class Served:
    """What one client sees of an environment: episodes one after the other, without hidden data."""

    def __init__(
        self,
        environment: Environment,
        tasks: Mapping[str, Task],
        *,
        grader: Grader | None,
        max_steps: int | None,
    ) -> None:
        self._environment, self._tasks = environment, tasks
        self._grader, self._max_steps = grader, max_steps
        self._blocking = Blocking()
        self._episode: Episode | None = None

    def begin(self, named: str | None, seed: int | None) -> str:
        """Leave the episode that is open and begin another."""
        self._leave()
        named = named or random.Random(seed).choice(sorted(self._tasks))
        if named not in self._tasks:
            raise BadInput(f"no task {named!r}; known: {', '.join(self._tasks)}")
        self._episode = episode = Episode(self._environment, self._tasks[named], self._grader)
        return str(self._safely(episode, episode.begin()))

    def step(self, action: str) -> tuple[str, float, bool]:
        """Carry out an action; gives the observation, the reward, and whether the episode is over."""
        episode = self._episode
        if episode is None or episode.over:
            raise BadInput("the episode is over, or none was begun on this connection: reset first, over /ws")
        last = self._max_steps is not None and len(episode.steps) + 1 >= self._max_steps
        step, reward = self._safely(episode, episode.step(action, last=last))
        return step.observation, reward, episode.over

    def state(self) -> dict[str, Any]:
        """The task's id, the number of steps, and the public facts of the last step."""
        if self._episode is None:
            return {"step_count": 0}
        steps = self._episode.steps
        facts = [fact.to_dict() for fact in steps[-1].facts if not fact.hidden] if steps else []
        return {"task": self._episode.task.id, "step_count": len(steps), "facts": facts}

    def close(self) -> None:
        """Close the session that is open, and end the thread."""
        self._leave()
        self._blocking.close()

    def _safely(self, episode: Episode, work: Coroutine[Any, Any, Any]) -> Any:
        """Do the work; an error goes over the wire, so that its words are freed of what is hidden."""
        try:
            return self._blocking.run(work)
        except Exception as error:
            told = mask_hidden(f"{type(error).__name__}: {error}", episode.task)
            raise EnvironmentFailed(told) from None

    def _leave(self) -> None:
        episode, self._episode = self._episode, None
        if episode is not None:
            self._blocking.run(episode.close())
