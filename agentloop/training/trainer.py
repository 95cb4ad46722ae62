"""``train``: a published method on a model, from rollouts of its own or from a log, and proof of the gain.

One loop: collect rows, take the optimiser steps, write down what happened, save. It runs as it is on a
CPU, on one GPU, or in several processes under torchrun, whose gradients add up to those of one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agentloop.comparing import Comparison
from agentloop.errors import BadInput
from agentloop.export.making import Log
from agentloop.run import Run
from agentloop.training.card import write_card
from agentloop.training.conditioning import conditioned_texts
from agentloop.training.machine import accelerator_for
from agentloop.training.policy import folder_of, is_bundled, load, sampler, write_checkpoint
from agentloop.training.proof import check_apart, first_tries, gain_of
from agentloop.training.recipes import Recipe, recipe_for
from agentloop.training.rollouts import Practice
from agentloop.training.settings import Settings
from agentloop.training.sources import Logs, Policy, Practising, Source
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
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Of what no row was made for this step, and why."""

    def numbers(self) -> dict[str, float]:
        """The figures that are known, for a tracker."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training left: its checkpoint, its steps, and the held-out tasks before and after."""

    base: str
    """The model that was trained."""
    folder: Path
    checkpoint: Path
    recipe: Recipe
    steps: Sequence[dict[str, Any]]
    completions: int
    gain: Comparison | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The training for programs."""
        return {
            "base": self.base,
            "method": self.recipe.method,
            "folder": str(self.folder),
            "checkpoint": str(self.checkpoint),
            "completions": self.completions,
            "steps": list(self.steps),
            "gain": self.gain.to_dict() if self.gain else None,
            "left_out": self.left_out,
        }

    def summary(self) -> str:
        """The training in a few lines."""
        last = self.steps[-1] if self.steps else {"loss": float("nan"), "step": 0}
        lines = [
            f"{self.recipe.method}: {last['step']} steps, {self.completions:,} completions sampled, "
            f"last loss {last['loss']:.4g}",
            f"  checkpoint: {self.checkpoint}",
        ]
        if not any(step["rows"] for step in self.steps):
            lines.append("  nothing was learnt: in no step did a row weigh anything")
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
    recipe = recipe_for(method, tiny=is_bundled(model)) if isinstance(method, str) else method
    recipe = recipe.with_changes(
        learning_rate=wanted.learning_rate, tasks=wanted.tasks, samples=wanted.samples, updates=wanted.updates
    )
    if (practice is None) == (log is None):
        raise BadInput("give either practice, for rollouts, or log, for trajectories that are there already")
    if practice is not None and not recipe.online:
        raise BadInput(f"{recipe.method} trains on a log: give log=run.trajectories, or --data RUN")
    folder, out = folder_of(model), Path(out)
    source: Source
    if log is not None:
        source = Logs(log, recipe, wanted, folder)
    else:
        assert practice is not None
        source = Practising(practice, recipe, wanted, folder=folder, out=out)
    check_apart(source.tasks, held_out)
    wanted = replace(wanted, steps=wanted.steps or source.steps)
    work = _Work(
        source=source,
        recipe=recipe,
        settings=wanted,
        texts=conditioned_texts(recipe.method, folder, praise=source.praise),
        accelerator=accelerator_for(wanted, out),
        module=load(folder, wanted),
        base=folder,
        name=str(model),
        out=out,
        held_out=held_out,
    )
    # what can be refused has been by now: only a training that began leaves something in its folder
    request = asked(recipe, wanted, model=str(model), data=source.data)
    begin(work.accelerator, out, request, resume=resume)
    return work.run(progress)


@dataclass(kw_only=True)
class _Work:
    """One training while it is carried out."""

    source: Source
    recipe: Recipe
    settings: Settings
    texts: Mapping[str, str]
    accelerator: Any
    module: Any
    base: Path
    name: str
    out: Path
    held_out: Practice | None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and evaluates."""
        return bool(self.accelerator.is_main_process)

    @property
    def steps(self) -> int:
        """How many steps there are to be."""
        return self.settings.steps or self.source.steps

    def run(self, progress: Callable[[Step], object] | None) -> Training:
        """From the last state to the last step, then the checkpoint and its proof."""
        if self.settings.trackers:
            self.accelerator.init_trackers("agentloop")
        if self.held_out is not None and self.main:
            first_tries(self.base, self.held_out, self.out / "evaluation" / "before", self.settings)
        self.accelerator.wait_for_everyone()
        updater = Updater(self.accelerator, self.module, self.recipe, self.settings)
        done = restore(self.accelerator, self.out)
        log = TrainingLog(self.out, upto=done, writes=self.main)
        module = self.accelerator.unwrap_model(updater.model)
        model = sampler(self.base, module, self.settings)
        try:
            for step in range(done + 1, self.steps + 1):
                if self._sampled_enough(log):
                    break
                model.policy = f"{self.base.name}+{self.recipe.method}:{step - 1}"
                figures = self._step(step, updater, Policy(self.accelerator, module, model))
                log.add(asdict(figures))
                self.accelerator.log(figures.numbers(), step=step)
                if step % self.settings.save_every == 0 or step == self.steps:
                    save(self.accelerator, self.out, step)
                self._publish(updater)
                if progress is not None and self.main:
                    progress(figures)
        finally:
            model.close()
        return self._finish(updater, log)

    def _step(self, step: int, updater: Updater, policy: Policy) -> Step:
        began = time.perf_counter()
        collected = self.source.rows(step, policy)
        collecting = time.perf_counter() - began
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
            left_out=dict(collected.left_out),
        )

    def _sampled_enough(self, log: TrainingLog) -> bool:
        most, sampled = self.settings.completions, [line["completions"] for line in log.lines]
        return most is not None and bool(sampled) and sum(sampled) + sampled[-1] > most

    def _publish(self, updater: Updater) -> None:
        if self.settings.publish is not None:
            self._write(updater, self.out / "policy")
            if self.main:
                self.settings.publish(self.out / "policy")

    def _write(self, updater: Updater, folder: Path) -> None:
        write_checkpoint(self.accelerator, updater.model, folder, base=self.base, texts=self.texts)

    def _finish(self, updater: Updater, log: TrainingLog) -> Training:
        checkpoint, gain = self.out / "checkpoint", None
        self._write(updater, checkpoint)
        if self.held_out is not None and self.main:
            folder = self.out / "evaluation"
            after = first_tries(checkpoint, self.held_out, folder / "after", self.settings)
            gain = gain_of(Run(folder / "before"), after)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        done = Training(
            base=self.name,
            folder=self.out,
            checkpoint=checkpoint,
            recipe=self.recipe,
            steps=log.lines,
            completions=sum(line["completions"] for line in log.lines),
            gain=gain,
            left_out=dict(sum((Counter(line["left_out"]) for line in log.lines), Counter())),
        )
        if self.main:
            write_card(done, settings=self.settings)
        return done
