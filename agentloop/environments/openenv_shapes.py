"""Actions, observations and the environment in OpenEnv's shapes. Needs openenv-core; see openenv_server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from openenv.core.env_server.interfaces import Environment  # pyright: ignore[reportMissingImports]
from openenv.core.env_server.types import (  # pyright: ignore[reportMissingImports]
    Action,
    EnvironmentMetadata,
    Observation,
    State,
)

from agentloop.errors import BadInput

if TYPE_CHECKING:
    from agentloop.environments.openenv_server import Served


class Words(Action):  # type: ignore[misc]
    """What the agent says."""

    message: str


class WordsSeen(Observation):  # type: ignore[misc]
    """What the agent is shown."""

    message: str


class ServedEnvironment(Environment[Words, WordsSeen, State]):  # type: ignore[misc]
    """Hands OpenEnv's calls on to a ``Served``."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, served: Served) -> None:
        super().__init__()
        self._served = served
        self._episode_id: str | None = None

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, task: str | None = None, **_: Any
    ) -> WordsSeen:
        """Begin an episode of ``task``, or of one drawn by ``seed``."""
        self._episode_id = episode_id
        with _told():
            return WordsSeen(message=self._served.begin(task, seed))

    def step(self, action: Words, timeout_s: float | None = None, **_: Any) -> WordsSeen:
        """Carry out an action. There is no time limit but the environment's own."""
        with _told():
            message, reward, done = self._served.step(action.message)
        return WordsSeen(message=message, reward=reward, done=done)

    @property
    def state(self) -> State:
        """What is public of the episode."""
        return State(episode_id=self._episode_id, **self._served.state())

    def get_metadata(self) -> EnvironmentMetadata:
        """Names the kind of server, and nothing of the tasks."""
        return EnvironmentMetadata(name="agentloop", description="An environment of agentloop, in words.")

    def close(self) -> None:
        """End the session."""
        self._served.close()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A client's mistake is answered as one over HTTP, too; a websocket is sent the words of either."""
    try:
        yield
    except BadInput as error:
        raise HTTPException(409, str(error)) from error
