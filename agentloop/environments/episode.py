"""One attempt that somebody else drives: a session with what it has brought so far, and its grade."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.errors import BadInput
from agentloop.types import Attempt, Environment, Fact, Grader, Session, Step, Task


class Episode:
    """A session of ``environment`` for ``task``. Over when a step is done, or when the driver says so."""

    def __init__(self, environment: Environment, task: Task, grader: Grader | None = None) -> None:
        self.task = task
        self.steps: list[Step] = []
        self.over = False
        self._environment, self._grader = environment, grader
        self._session: Session | None = None

    async def begin(self) -> str:
        """Open the session; returns what the agent is shown first."""
        session = self._session = await _awaited(self._environment, self.task)
        try:
            prompt: str = await _awaited(session.prompt)
        except BaseException:
            await self.close()
            raise
        return prompt

    async def step(self, action: str, *, last: bool = False) -> tuple[Step, float]:
        """Carry out one action; returns the step and its reward.

        The reward of the last step is the grade, where there is a grader; those before it bring 0.
        Without a grader it is the step's own, or 0. ``last`` ends the episode whatever the step says.
        """
        assert self._session is not None, "begin comes first"
        step: Step = await _awaited(self._session.step, action)
        self.steps.append(step)
        self.over = step.done or last
        if self._grader is None:
            return step, step.reward or 0.0
        return step, await self._grade() if self.over else 0.0

    async def close(self) -> None:
        """Close the session, once."""
        session, self._session, self.over = self._session, None, True
        if session is not None:
            await _awaited(session.close)

    async def _grade(self) -> float:
        final = getattr(self._session, "final", None)
        facts: Sequence[Fact] = () if final is None else await _awaited(final)
        attempt = Attempt(
            id=f"{self.task.id}/1",
            trajectory=self.task.id,
            task=self.task,
            number=1,
            text=self.steps[-1].action,
            steps=tuple(self.steps),
            facts=tuple(facts),
        )
        assert self._grader is not None
        return float(await _awaited(self._grader, attempt))


def by_id(tasks: Sequence[Task]) -> Mapping[str, Task]:
    """The tasks by their ids; BadInput when there is none, or when two share an id."""
    found = {task.id: task for task in tasks}
    if not found or len(found) != len(tasks):
        raise BadInput(f"tasks must be at least one, each with an id of its own; got {len(tasks)} tasks")
    return found


async def _awaited(function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result
