"""Our environments in Gymnasium's shape. Loaded by ``as_gymnasium`` only, since it needs Gymnasium."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from agentloop.environments.blocking import Blocking
from agentloop.environments.episode import Episode, by_id
from agentloop.errors import BadInput
from agentloop.types import Environment, Grader, Task


class AnyText(gymnasium.spaces.Text):
    """Text of any characters up to a length. Samples are printable ASCII."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is text and not too long."""
        return isinstance(x, str) and len(x) <= self.max_length


class WrappedEnvironment(gymnasium.Env[str, str]):
    """What ``as_gymnasium`` gives; see there. Sessions run in one thread with a loop of its own."""

    metadata = {"render_modes": []}

    def __init__(
        self,
        environment: Environment,
        tasks: Sequence[Task],
        *,
        grader: Grader | None = None,
        max_steps: int | None = None,
        max_characters: int = 100_000,
    ) -> None:
        if max_steps is not None and max_steps < 1:
            raise BadInput(f"max_steps must be at least 1, got {max_steps}")
        self.observation_space = AnyText(max_characters)
        self.action_space = AnyText(max_characters)
        self._limit = max_characters
        self.spec = _spec(environment, tasks, grader, max_steps, max_characters)
        self._tasks = by_id(tasks)
        self._environment, self._grader, self._max_steps = environment, grader, max_steps
        self._blocking = Blocking()
        self._episode: Episode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin an episode of the task that ``options`` names, or of one drawn at random."""
        super().reset(seed=seed)
        self._leave()
        named = (options or {}).get("task") or list(self._tasks)[self.np_random.integers(len(self._tasks))]
        if named not in self._tasks:
            raise BadInput(f"no task {named!r}; known: {', '.join(self._tasks)}")
        self._episode = Episode(self._environment, self._tasks[named], self._grader)
        prompt = self._blocking.run(self._episode.begin())
        return self._cut(prompt), {"task": named, "facts": []}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Carry out ``action``."""
        episode = self._episode
        if episode is None or episode.over:
            raise gymnasium.error.ResetNeeded("the episode is over, or none was begun: call reset first")
        last = self._max_steps is not None and len(episode.steps) + 1 >= self._max_steps
        step, reward = self._blocking.run(episode.step(action, last=last))
        facts = [fact.to_dict() for fact in step.facts if not fact.hidden]
        told = {"task": episode.task.id, "facts": facts}
        return self._cut(step.observation), reward, step.done, episode.over and not step.done, told

    def close(self) -> None:
        """Close the session that is open, and end the thread."""
        self._leave()
        self._blocking.close()

    def _leave(self) -> None:
        episode, self._episode = self._episode, None
        if episode is not None:
            self._blocking.run(episode.close())

    def _cut(self, text: str) -> str:
        return text[: self._limit]


def _spec(
    environment: Environment, tasks: Sequence[Task], grader: Any, steps: Any, characters: int
) -> EnvSpec:
    """With it the environment can be made again, and Gymnasium's checks can be strict."""

    # A function, since Gymnasium makes deep copies of arguments, and processes and pools cannot be copied.
    def make(**_: Any) -> WrappedEnvironment:
        return WrappedEnvironment(
            environment, tasks, grader=grader, max_steps=steps, max_characters=characters
        )

    return EnvSpec("agentloop/Wrapped-v0", entry_point=make)
