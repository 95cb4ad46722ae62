"""``train``: a published method on a model, from rollouts of its own or from a log, and proof of the gain.

One loop: collect rows, take the optimiser steps, write down what happened, save. It runs as it is on a
CPU, on one GPU, or in several processes under torchrun, whose gradients add up to those of one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from agentloop.comparing import Comparison
from agentloop.errors import BadInput, MissingExtra
from agentloop.export import TokenRow
from agentloop.export.making import Log
from agentloop.models import renderer
from agentloop.models.local import LocalModel
from agentloop.run import Run
from agentloop.training.card import write_card
from agentloop.training.conditioning import conditioned_texts, own_prompts
from agentloop.training.logged import Logged
from agentloop.training.policy import folder_of, load, sampler, write_checkpoint
from agentloop.training.proof import check_apart, first_tries, gain_of
from agentloop.training.recipes import Recipe, recipe_for
from agentloop.training.rollouts import Practice, Rollouts, ordered, rows_of
from agentloop.training.settings import Settings
from agentloop.training.state import TrainingLog, asked, begin, restore, save
from agentloop.training.updating import Updater

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step in figures: what ``training.jsonl`` holds of it, and what ``progress`` is told."""

    step: int
    steps: int
    loss: float
    gradient_norm: float
    learning_rate: float
    rows: int
    tokens: int
    """Tokens trained."""
    completions: int
    """Replies that the policy sampled for this step."""
    first_passed: float | None
    """Share of first attempts that passed; None for logged rows."""
    collecting: float
    """Seconds of rollouts."""
    learning: float
    """Seconds of optimiser steps."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training left: its checkpoint, its steps, and the held-out tasks before and after."""

    folder: Path
    checkpoint: Path
    recipe: Recipe
    steps: Sequence[dict[str, Any]]
    completions: int
    gain: Comparison | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """The training in a few lines."""
        last = self.steps[-1] if self.steps else {"loss": float("nan"), "step": 0}
        lines = [
            f"{self.recipe.method}: {last['step']} steps, {self.completions:,} completions sampled, "
            f"last loss {last['loss']:.4g}",
            f"  checkpoint: {self.checkpoint}",
        ]
        if self.gain is not None:
            lines.append(f"  first try on held-out tasks: {self.gain.summary()}")
        lines += [f"  left out: {count} {reason}" for reason, count in sorted(self.left_out.items())]
        return "\n".join(lines)


def train(
    method: str | Recipe,
    *,
    model: str | Path,
    out: str | Path,
    practice: Practice | None = None,
    log: Log | None = None,
    held_out: Practice | None = None,
    settings: Settings | None = None,
    resume: bool = False,
    progress: Callable[[Step], object] | None = None,
) -> Training:
    """Train ``model`` by ``method`` on rollouts of ``practice`` or on the trajectories of ``log``.

    ``out`` receives what was asked, a line for each step, the rollouts' journals, states to resume from,
    the checkpoint, and with ``held_out`` its first tries before and after. A method by name takes the
    embedded model's recipe for ``local/tiny`` and the published one for any other model.
    """
    wanted = settings or Settings()
    recipe = recipe_for(method, tiny=str(model) == "local/tiny") if isinstance(method, str) else method
    recipe = recipe.with_changes(
        learning_rate=wanted.learning_rate, tasks=wanted.tasks, samples=wanted.samples, updates=wanted.updates
    )
    if (practice is None) == (log is None):
        raise BadInput("give either practice, for rollouts, or log, for trajectories that are there already")
    if practice is not None and not recipe.online:
        raise BadInput(f"{recipe.method} trains on a log: give log=run.trajectories, or --data RUN")
    check_apart(practice, held_out)
    folder, out = folder_of(model), Path(out)
    source: Source
    if log is not None:
        source = _Logs(log, recipe, wanted, folder)
    else:
        assert practice is not None
        source = _Practising(practice, recipe, wanted, folder=folder, out=out)
    wanted = replace(wanted, steps=wanted.steps or source.steps)
    begin(out, asked(recipe, wanted, model=str(model)), resume=resume)
    return _Work(source, recipe, wanted, base=folder, out=out, held_out=held_out).run(progress)


class Source(Protocol):
    """Where the rows of each step come from."""

    steps: int
    """Steps when nobody says how many."""
    praise: str | None
    """What its critic says of an attempt that passed."""

    def rows(self, step: int, policy: _Policy) -> Collected:
        """The rows of a step, the same list in every process."""
        ...


class Collected(NamedTuple):
    """The rows of one step, and what they were made of."""

    rows: Sequence[TokenRow]
    completions: int = 0
    first_passed: float | None = None
    left_out: Counter[str] = Counter()


class _Policy(NamedTuple):
    """The model in training as a source sees it."""

    accelerator: Any
    module: Any
    model: LocalModel


class _Logs:
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
        )
        self.steps, self.praise = self.logged.lap, self.logged.praise

    def rows(self, step: int, policy: _Policy) -> Collected:
        return Collected(self.logged.rows(step), left_out=self.logged.left_out if step == 1 else Counter())


class _Practising:
    """Rows of rollouts that the policy makes itself."""

    steps = 20
    praise = None

    def __init__(
        self, practice: Practice, recipe: Recipe, settings: Settings, *, folder: Path, out: Path
    ) -> None:
        self.recipe, self.render, self.prompts = recipe, renderer(folder), own_prompts(folder)
        self.rollouts = Rollouts(practice, recipe, settings, folder=out / "rollouts")

    def rows(self, step: int, policy: _Policy) -> Collected:
        accelerator = policy.accelerator
        policy.module.eval()
        run = self.rollouts.collect(
            step, policy.model, rank=accelerator.process_index, world=accelerator.num_processes
        )
        rows, left_out = rows_of(run.trajectories, self.recipe, render=self.render, prompts=self.prompts)
        figures = run.figures
        told = [
            (
                rows,
                figures.calls["actor"] + figures.calls["reflector"],
                figures.first_passed,
                figures.trajectories,
                left_out,
            )
        ]
        if accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            told = gather_object(told)
        tried = sum(each[3] for each in told)
        return Collected(
            rows=ordered(row for each in told for row in each[0]),
            completions=sum(each[1] for each in told),
            first_passed=sum(each[2] for each in told) / tried if tried else None,
            left_out=sum((each[4] for each in told), Counter()),
        )


class _Work:
    """One training while it is carried out."""

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        settings: Settings,
        *,
        base: Path,
        out: Path,
        held_out: Practice | None,
    ) -> None:
        self.source, self.recipe, self.settings = source, recipe, settings
        self.base, self.out, self.held_out = base, out, held_out
        self.steps = settings.steps or source.steps
        self.left_out: Counter[str] = Counter()
        self.accelerator = _accelerator(settings, out)
        self.main = self.accelerator.is_main_process

    def run(self, progress: Callable[[Step], object] | None) -> Training:
        """From the last state to the last step, then the checkpoint and its proof."""
        if self.held_out is not None and self.main:
            first_tries(self.base, self.held_out, self.out / "evaluation" / "before", self.settings)
        updater = Updater(self.accelerator, load(self.base, self.settings), self.recipe, self.settings)
        done = restore(self.accelerator, self.out)
        log = TrainingLog(self.out, upto=done, writes=self.main)
        module = self.accelerator.unwrap_model(updater.model)
        model = sampler(self.base, module, self.settings)
        try:
            for step in range(done + 1, self.steps + 1):
                if self._sampled_enough(log):
                    break
                model.policy = f"{self.base.name}+{self.recipe.method}:{step - 1}"
                figures = self._step(step, updater, _Policy(self.accelerator, module, model))
                log.add(asdict(figures))
                self.accelerator.log({"loss": figures.loss}, step=step)
                if step % self.settings.save_every == 0 or step == self.steps:
                    save(self.accelerator, self.out, step)
                self._publish(updater)
                if progress is not None and self.main:
                    progress(figures)
        finally:
            model.close()
        return self._finish(updater, log)

    def _step(self, step: int, updater: Updater, policy: _Policy) -> Step:
        began = time.perf_counter()
        collected = self.source.rows(step, policy)
        collecting = time.perf_counter() - began
        self.left_out += collected.left_out
        learnt = updater.learn(collected.rows)
        return Step(
            step=step,
            steps=self.steps,
            loss=learnt.loss,
            gradient_norm=learnt.gradient_norm,
            learning_rate=float(updater.schedule.get_last_lr()[0]),
            rows=learnt.rows,
            tokens=learnt.tokens,
            completions=collected.completions,
            first_passed=collected.first_passed,
            collecting=round(collecting, 3),
            learning=round(time.perf_counter() - began - collecting, 3),
        )

    def _sampled_enough(self, log: TrainingLog) -> bool:
        most, sampled = self.settings.completions, [line["completions"] for line in log.lines()]
        return most is not None and bool(sampled) and sum(sampled) + sampled[-1] > most

    def _publish(self, updater: Updater) -> None:
        if self.settings.publish is not None:
            self._write(updater, self.out / "policy")
            if self.main:
                self.settings.publish(self.out / "policy")

    def _write(self, updater: Updater, folder: Path) -> None:
        texts = conditioned_texts(self.recipe.method, self.base, praise=self.source.praise)
        write_checkpoint(self.accelerator, updater.model, folder, base=self.base, texts=texts)

    def _finish(self, updater: Updater, log: TrainingLog) -> Training:
        checkpoint, gain = self.out / "checkpoint", None
        self._write(updater, checkpoint)
        if self.held_out is not None and self.main:
            folder = self.out / "evaluation"
            after = first_tries(checkpoint, self.held_out, folder / "after", self.settings)
            gain = gain_of(Run(folder / "before"), after)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        lines = log.lines()
        done = Training(
            folder=self.out,
            checkpoint=checkpoint,
            recipe=self.recipe,
            steps=lines,
            completions=sum(line["completions"] for line in lines),
            gain=gain,
            left_out=dict(self.left_out),
        )
        if self.main:
            write_card(done, base=self.base, settings=self.settings)
        return done


def _accelerator(settings: Settings, out: Path) -> Any:
    """Accelerate's view of this machine: device, processes, precision, trackers."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingExtra("training", "accelerate", "train") from error
    import torch
    from accelerate.utils import set_seed

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    set_seed(settings.seed)
    gpu = torch.cuda.is_available() and not settings.cpu
    precision = ("bf16" if gpu else "no") if settings.precision == "auto" else settings.precision
    accelerator = Accelerator(
        cpu=not gpu,
        mixed_precision=precision,
        log_with=list(settings.trackers) or None,
        project_dir=str(out) if settings.trackers else None,
    )
    if settings.trackers:
        accelerator.init_trackers("agentloop")
    return accelerator
