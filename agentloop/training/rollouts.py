"""Rollouts of the policy in training: through improve(), journaled, and made into rows of weighted tokens."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from agentloop.budget import Meter
from agentloop.errors import BadInput
from agentloop.export import FORMATS, Filters, TokenRow
from agentloop.export.formats import Render
from agentloop.export.making import Log, Making, lines_of
from agentloop.export.methods import method_named
from agentloop.export.survey import Survey
from agentloop.loop import Plan, Progress, carry_out, distinct
from agentloop.prompts import Prompts
from agentloop.run import Run
from agentloop.running import background
from agentloop.training.recipes import Recipe
from agentloop.training.settings import Settings
from agentloop.types import Grader, Model, Task, digest


class AgentBuilder(Protocol):
    """Builds the agent in training around a model, such as ``partial(reflect_and_retry, critic=...)``."""

    def __call__(self, *, model: Model, attempts: int, reflect: Model | None) -> Any:
        """An agent with this model, as many attempts, and this model to write its notes, if any."""
        ...


@dataclass(frozen=True, kw_only=True)
class Practice:
    """Where the policy acts: the agent around it, the tasks, and who decides whether it passed."""

    agent: AgentBuilder
    tasks: Sequence[Task] = ()
    grader: Grader | None = None


class Made(NamedTuple):
    """Rows of weighted tokens, and the counts of what they were made of and what was left out."""

    rows: list[TokenRow]
    survey: Survey


def rows_of(
    trajectories: Log,
    recipe: Recipe,
    *,
    render: Render | None = None,
    prompts: Prompts | None = None,
    longest: int | None = None,
) -> Made:
    """The trajectories as rows of weighted tokens, by the recipe's method and its options.

    Rows of more than ``longest`` tokens are left out and counted.
    """
    method = method_named(recipe.method)
    if method.weigh is not None and recipe.weigh:
        method = replace(method, weigh=partial(method.weigh, **recipe.weigh))
    making = Making(
        method=method,
        format=FORMATS["tokens"],
        prompts=prompts or Prompts(),
        render=render,
        filters=Filters(max_tokens=longest),
    )
    making.format.check(method)
    return Made([TokenRow(**line) for line in lines_of(trajectories, making)], making.survey)


class Rollouts:
    """Draws each step's tasks and runs the agent on them with the policy as it stands.

    Each process takes its share of the tasks; seeds belong to trajectories, so the samples are the same
    in one process and in several.
    """

    def __init__(self, practice: Practice, recipe: Recipe, settings: Settings, *, folder: Path) -> None:
        self.practice, self.recipe, self.settings, self.folder = practice, recipe, settings, folder
        self.tasks = distinct(practice.tasks)
        locked = [task.id for task in self.tasks if task.split == "test"]
        if locked:
            raise BadInput(
                f"{len(locked)} of the tasks to train on are in the locked test split ({locked[0]} ...); "
                "give tasks of train or dev"
            )
        self.digest = digest(*(task.id for task in self.tasks))

    def collect(
        self,
        step: int,
        model: Model,
        *,
        rank: int = 0,
        world: int = 1,
        progress: Callable[[Progress], object] | None = None,
    ) -> Run:
        """Run this process's share of the step's tasks; a step that was cut off goes on where it stood."""
        agent = self.practice.agent(
            model=model, attempts=self.recipe.attempts, reflect=model if self.recipe.reflects else None
        )
        share = self.drawn(step)[rank::world]
        name = f"step-{step:05d}" + (f"-process-{rank}" if world > 1 else "")
        plan = Plan(
            agent=agent,
            tasks=share,
            folder=self.folder / name,
            meter=Meter(None),
            samples=self.recipe.samples,
            grader=self.practice.grader,
            concurrency=self.settings.concurrency,
            seed=self.settings.seed * 100_003 + step,
            progress=progress,
        )
        with _unscanned():
            return background.run(carry_out(plan))

    def drawn(self, step: int) -> list[Task]:
        """The tasks of a step: each task once before any comes again."""
        count = min(self.recipe.tasks, len(self.tasks))
        start = (step - 1) * count
        found = {task.id: task for task in map(self._nth, range(start, start + count))}
        return list(found.values())

    def _nth(self, place: int) -> Task:
        lap, at = divmod(place, len(self.tasks))
        order = list(range(len(self.tasks)))
        random.Random(f"{self.settings.seed} {lap}").shuffle(order)
        return self.tasks[order[at]]


@contextmanager
def _unscanned() -> Iterator[None]:
    """Without Python's garbage collector going through all that was there before.

    Rollouts make so many small objects that it would walk through everything loaded, torch and all, every
    other step; with the embedded model that was a tenth of the work.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def ordered(rows: Iterable[TokenRow]) -> list[TokenRow]:
    """The rows in an order that does not depend on which process made them; stable within a group."""
    return sorted(rows, key=lambda row: row.meta.group_id)
