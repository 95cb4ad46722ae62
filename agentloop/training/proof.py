"""What a training was worth: the first tries of two checkpoints on the same held-out tasks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from agentloop.comparing import Comparison, compare_results
from agentloop.errors import BadInput
from agentloop.loop import distinct, improve
from agentloop.models import ChatModel
from agentloop.run import Run
from agentloop.training.rollouts import Practice
from agentloop.training.settings import Settings


def check_apart(trained: Collection[str], held_out: Practice | None) -> None:
    """Refuse to measure on tasks whose ids are among those ``trained`` on."""
    both = [task.id for task in held_out.tasks if task.id in trained] if held_out else []
    if both:
        raise BadInput(
            f"{len(both)} held-out tasks are trained on as well ({both[0]} ...); give tasks of another split"
        )


def first_tries(checkpoint: Path, held_out: Practice, folder: Path, settings: Settings) -> Run:
    """One greedy attempt at every held-out task with the model of ``checkpoint``, journaled in ``folder``."""
    model = ChatModel(
        f"local/{checkpoint}",
        temperature=0.0,
        max_tokens=settings.max_tokens,
        max_batch=settings.concurrency,
        device="cpu" if settings.cpu else None,
    )
    agent = held_out.agent(model=model, attempts=1, reflect=None)
    try:
        return improve(
            agent,
            distinct(held_out.tasks),
            folder=folder,
            grader=held_out.grader,
            concurrency=settings.concurrency,
            seed=settings.seed,
        )
    finally:
        model.close()  # type: ignore[union-attr]


def gain_of(before: Run, after: Run) -> Comparison:
    """The second run against the first, paired by task."""
    return compare_results(before.figures.results, after.figures.results)
