"""``--dry-run``: the same agent and scheduler, with a model that is silent and a critic never content."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentloop.commands.building import Parts, Wanted
from agentloop.critics import ModelCritic
from agentloop.loop import improve
from agentloop.models.recording import recorded
from agentloop.types import Attempt, Critic, Feedback, Message, Reply, Task, Usage

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for English text."""


class SilentModel:
    """Answers nothing but a number, and counts what the answer might have cost.

    The number is another one each time: an act node ends an attempt early whose last step repeated the
    one before it.
    """

    prompts = None

    def __init__(self, model: Any, max_tokens: int) -> None:
        self.name: str = model.name
        self.prompts = getattr(model, "prompts", None)
        self.max_tokens = max_tokens
        self._said = 0

    @recorded
    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        """Replies whose usage is the most a real one could have."""
        asked = sum(len(message["content"]) for message in messages) // CHARACTERS_PER_TOKEN
        usage = Usage(tokens_in=asked, tokens_out=self.max_tokens, dollars=None)
        self._said += 1
        return [Reply(text=str(self._said), usage=usage) for _ in range(sampling.get("n", 1))]


def never_content(attempt: Attempt) -> Feedback:
    """Feedback that never lets an attempt pass."""
    return Feedback(text="No.", verdict="fail")


def forecast(wanted: Wanted, built: Parts, tasks: list[Task], *, samples: int) -> dict[str, Any]:
    """The most that a run can spend: every attempt made, none passed, every answer as long as allowed."""
    critic: Critic = never_content
    if isinstance(built.critic, ModelCritic):
        critic = ModelCritic(SilentModel(built.critic.model, wanted.max_tokens))
    silent = replace(built, model=SilentModel(built.model, wanted.max_tokens), critic=critic, memory=None)
    with tempfile.TemporaryDirectory() as folder:
        run = improve(silent.agent(wanted, stop=()), tasks, folder=Path(folder) / "dry", samples=samples)
        figures = run.figures
    return {
        "trajectories": figures.trajectories,
        "calls": sum(figures.calls.values()),
        "calls_by_role": dict(figures.calls),
        "tokens_in": figures.usage.tokens_in,
        "tokens_out": figures.usage.tokens_out,
        "dollars": None,
        "note": "an upper bound: no attempt passes, every reply is max_tokens long, 4 characters a token",
    }
