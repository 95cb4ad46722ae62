"""Where the rows of a training's steps come from: a log, or rollouts that the policy makes itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from agentloop.errors import BadInput
from agentloop.export import TokenRow
from agentloop.export.making import Log
from agentloop.models import renderer
from agentloop.models.local import LocalModel
from agentloop.run import Run
from agentloop.training.conditioning import own_prompts
from agentloop.training.logged import Logged
from agentloop.training.policy import context_of
from agentloop.training.recipes import Recipe
from agentloop.training.rollouts import Practice, Rollouts, ordered, rows_of
from agentloop.training.settings import Settings


class Source(Protocol):
    """Where the rows of each step come from."""

    steps: int
    """Steps when nobody says how many."""
    praise: str | None
    """What its critic says of an attempt that passed."""
    tasks: Collection[str]
    """Ids of the tasks that are learnt from."""
    data: dict[str, str]
    """A digest that tells these tasks, or this log, from others."""

    def rows(self, step: int, policy: Policy) -> Collected:
        """The rows of a step, the same list in every process."""
        ...


class Collected(NamedTuple):
    """The rows of one step, and what they were made of."""

    rows: Sequence[TokenRow]
    completions: int = 0
    first_passed: float | None = None
    left_out: Counter[str] = Counter()


class Policy(NamedTuple):
    """The model in training: its processes, its weights, and the chat model that samples from them."""

    accelerator: Any
    module: Any
    model: LocalModel


class Logs:
    """Rows of a log."""

    def __init__(self, log: Log, recipe: Recipe, settings: Settings, folder: Path) -> None:
        log = log if callable(log) else list(log)
        self.logged = Logged(
            log,
            recipe,
            size=settings.rows,
            seed=settings.seed,
            render=renderer(folder),
            prompts=own_prompts(folder),
            longest=context_of(folder),
        )
        self.steps, self.praise = self.logged.lap, self.logged.praise
        self.tasks: Collection[str] = self.logged.tasks
        self.data = {"log": self.logged.digest}

    def rows(self, step: int, policy: Policy) -> Collected:
        """The rows that fall to the step; what was left out of the log is told with the first."""
        return Collected(self.logged.rows(step), left_out=self.logged.left_out if step == 1 else Counter())


class Practising:
    """Rows of rollouts that the policy makes itself."""

    steps = 20
    praise: str | None = None

    def __init__(
        self, practice: Practice, recipe: Recipe, settings: Settings, *, folder: Path, out: Path
    ) -> None:
        self.rows_of = partial(
            rows_of,
            recipe=recipe,
            render=renderer(folder),
            prompts=own_prompts(folder),
            longest=context_of(folder),
        )
        self.rollouts = Rollouts(practice, recipe, settings, folder=out / "rollouts")
        self.tasks: Collection[str] = frozenset(task.id for task in self.rollouts.tasks)
        self.data = {"tasks": self.rollouts.digest}

    def rows(self, step: int, policy: Policy) -> Collected:
        """Let the policy act on the step's tasks; each process takes a share and is told of the others'."""
        accelerator = policy.accelerator
        policy.module.eval()
        run = self.rollouts.collect(
            step, policy.model, rank=accelerator.process_index, world=accelerator.num_processes
        )
        made = self.rows_of(run.trajectories)
        figures = run.figures
        shares = [
            _Share(
                rows=made.rows,
                completions=figures.calls["actor"] + figures.calls["reflector"],
                tried=figures.trajectories,
                first_passed=figures.first_passed,
                left_out=made.survey.left_out,
            )
        ]
        if accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            shares = gather_object(shares)
        tried = sum(each.tried for each in shares)
        if not tried:
            raise BadInput(f"no rollout of step {step} came to its end: {_first_error(run)}")
        return Collected(
            rows=ordered(row for each in shares for row in each.rows),
            completions=sum(each.completions for each in shares),
            first_passed=sum(each.first_passed for each in shares) / tried,
            left_out=sum((each.left_out for each in shares), Counter()),
        )


class _Share(NamedTuple):
    """What one process did of a step."""

    rows: list[TokenRow]
    completions: int
    tried: int
    first_passed: int
    left_out: Counter[str]


def _first_error(run: Run) -> str:
    found = (attempt.error for each in run.trajectories() for attempt in each.attempts if attempt.error)
    return f"{next(found, 'nothing is said of why')} (see {run.folder / 'journal.jsonl'})"
