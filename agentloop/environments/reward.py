"""The fact ``reward`` of environments that reward with a number, and the grader that reads it."""

from __future__ import annotations

import math

from agentloop.errors import EnvironmentFailed
from agentloop.types import Attempt, Fact


def reward_fact(reward: float | None, *, total: float, done: bool, passed: bool) -> Fact:
    """The last reward (None where the action brought none), their sum, and whether that is a pass."""
    if not math.isfinite(total):
        raise EnvironmentFailed(f"the environment gave the reward {reward}, which is no finite number")
    return Fact(kind="reward", data={"reward": reward, "total": total, "done": done, "passed": passed})


def reward_passes(attempt: Attempt) -> float:
    """A grader: 1.0 when the last ``reward`` fact of the attempt is a pass, else 0.0."""
    told = [*attempt.facts] or [fact for step in attempt.steps for fact in step.facts]
    rewards = [fact for fact in told if fact.kind == "reward"]
    return 1.0 if rewards and rewards[-1].data["passed"] else 0.0
