"""What one GRPO step costs: ours beside TRL's GRPOTrainer, in CPU time and in memory.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/step_cost.py            (needs the extra 'train')

Both train the embedded model on the same prompts with as many completions of each, the same longest
completion, temperature 1 and float32, without gradient checkpointing. Every other sample of a prompt is paid,
so that no row of either side is without a gradient. Our rollouts go through ``improve``: an agent without
environment, a plain critic and a grader, every effect journaled. TRL has no such log.

Each side runs in processes of its own, by turns. A process warms up for one step, then measures its own
CPU time (all threads, and children) over some steps; the learning rate is too small to change the model.
The optimiser's part is measured apart: ours as ``Updater.learn`` on the rows of one step, TRL's as the step
without generation and scoring. Peak memory is the process's own, once with both parts and once when
everything is imported and the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

ROUNDS = 5
RATE = 1e-9
MICRO_BATCH = 8192
"""Tokens that pass through the model at once; TRL is told of rows, and ``--parts`` come near it."""

Figures = dict[str, float]


def reward(sample: int) -> float:
    """What a sample of a prompt is paid."""
    return float(sample % 2 == 0)


def prompts(count: int) -> list[Any]:
    """The tasks of a step."""
    from agentloop import tiny

    return tiny.tasks("train", count, seed=3, houses=["acme"])


def ours(given: argparse.Namespace) -> Figures:
    """CPU seconds of a step of agentloop's trainer, and of its optimiser part."""
    from agentloop.graph import reflect_and_retry
    from agentloop.training import Practice, Settings, recipe_for, train
    from agentloop.types import Attempt, Feedback

    def paid(attempt: Attempt) -> float:
        return reward(int(attempt.trajectory.rpartition("#")[2]))

    def critic(attempt: Attempt) -> Feedback:
        return Feedback(text="Even." if paid(attempt) else "Odd.", verdict="unsure")

    recipe = recipe_for("grpo").with_changes(tasks=given.prompts, samples=given.samples, learning_rate=RATE)
    settings = Settings(
        steps=given.steps + 2,
        micro_batch=MICRO_BATCH,
        max_tokens=given.tokens,
        concurrency=given.prompts * given.samples,
        save_every=1000,
        cpu=True,
    )
    practice = Practice(
        agent=partial(reflect_and_retry, critic=critic),
        tasks=prompts(given.prompts),
        grader=paid,
    )
    base = loaded()
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        done = train(
            recipe,
            model="local/tiny",
            out=f"{folder}/out",
            practice=practice,
            settings=settings,
            progress=lambda step: clock.mark(),
        )
        rise = peak()
        learning = _learning(Path(folder) / "out" / "rollouts" / "step-00001", recipe, settings)
    figures = done.steps[1 : given.steps + 1]
    tokens = statistics.mean(line["tokens"] / line["rows"] for line in figures)
    return {
        "step": clock.mean(given.steps),
        "learning": learning,
        "peak": rise,
        "loaded": base,
        "tokens": tokens,
    }


def _learning(rollouts: Path, recipe: Any, settings: Any) -> float:
    """CPU seconds of the optimiser step on the rows of a run, the median of five."""
    from agentloop.models import renderer
    from agentloop.run import Run
    from agentloop.training.machine import accelerator_for
    from agentloop.training.policy import folder_of, load
    from agentloop.training.rollouts import rows_of
    from agentloop.training.updating import Updater

    folder = folder_of("local/tiny")
    rows = rows_of(Run(rollouts).trajectories, recipe, render=renderer(folder)).rows
    updater = Updater(accelerator_for(settings, rollouts), load(folder, settings), recipe, settings)
    clock = _Clock()
    for _ in range(6):
        updater.learn(rows)
        clock.mark()
    return statistics.median(clock.each()[1:])


def theirs(given: argparse.Namespace) -> Figures:
    """The same of TRL's GRPOTrainer."""
    import datasets
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from agentloop.models.local import folder_named, load_weights

    clock = _Clock()

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.mark()

    class Timed(GRPOTrainer):  # type: ignore[misc]
        """With the CPU time of generation and scoring counted apart."""

        rollouts: list[float] = []

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            began = cpu()
            scored = super()._generate_and_score_completions(inputs)
            self.rollouts.append(cpu() - began)
            return scored

    def rewards(completions: list[Any], **_: Any) -> list[float]:
        return [reward(at % given.samples) for at in range(len(completions))]

    asked = [[{"role": "user", "content": task.prompt}] for task in prompts(given.prompts)]
    base = loaded()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(
            model=load_weights(folder_named("tiny")),
            reward_funcs=rewards,
            args=GRPOConfig(output_dir=folder, **_trl_settings(given)),
            train_dataset=datasets.Dataset.from_list([{"prompt": each} for each in asked]),
            callbacks=[Marks()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    lengths = [line["completions/mean_length"] for line in trainer.state.log_history[1 : given.steps + 1]]
    rollouts = statistics.mean(trainer.rollouts[1 : given.steps + 1])
    step = clock.mean(given.steps)
    return {
        "step": step,
        "learning": step - rollouts,
        "peak": peak(),
        "loaded": base,
        "tokens": statistics.mean(lengths),
    }


def _trl_settings(given: argparse.Namespace) -> dict[str, Any]:
    completions = given.prompts * given.samples
    return {
        "max_steps": given.steps + 2,
        "per_device_train_batch_size": completions // given.parts,
        "gradient_accumulation_steps": given.parts,
        "num_generations": given.samples,
        "max_completion_length": given.tokens,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "beta": 0.0,
        "loss_type": "grpo",
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


class _Clock:
    """CPU time at the end of each step."""

    def __init__(self) -> None:
        self.marks = [cpu()]

    def mark(self) -> None:
        """Note the time."""
        self.marks.append(cpu())

    def each(self) -> list[float]:
        """Between one mark and the next."""
        return [after - before for before, after in zip(self.marks, self.marks[1:], strict=False)]

    def mean(self, steps: int) -> float:
        """Of so many steps, after the first, which warms up."""
        return statistics.mean(self.each()[1 : steps + 1])


def cpu() -> float:
    """CPU seconds of this process and its children, all threads."""
    used = os.times()
    return time.process_time() + used.children_user + used.children_system


def peak() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def loaded() -> float:
    """The same once the model's packages are imported and its weights are read."""
    from agentloop.models.local import folder_named, load_weights

    load_weights(folder_named("tiny"))
    return peak()


def in_own_process(side: str, given: argparse.Namespace) -> Figures:
    """One side's figures, in a fresh process with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, __file__, "--side", side]
    for name in ("prompts", "samples", "tokens", "steps", "parts"):
        command += [f"--{name}", str(getattr(given, name))]
    environment = {**os.environ, **threads, **offline}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(taken: dict[str, list[Figures]]) -> str:
    """Medians of both sides, least to most, and the ratio of ours to TRL's within each round."""
    named = {
        "step": ("CPU of a step, s", 3),
        "learning": ("of which the optimiser, s", 3),
        "peak": ("peak memory, MiB", 0),
        "rise": ("above what loading takes, MiB", 0),
        "tokens": ("tokens of a completion", 1),
    }
    lines = ["| | ours | TRL | ours / TRL |", "|---|---|---|---|"]
    for name, (title, digits) in named.items():
        values = {
            side: [each["peak"] - each["loaded"] if name == "rise" else each[name] for each in rounds]
            for side, rounds in taken.items()
        }
        told = [
            f"{statistics.median(each):.{digits}f} ({min(each):.{digits}f} to {max(each):.{digits}f})"
            for each in values.values()
        ]
        ratios = [mine / other for mine, other in zip(values["ours"], values["trl"], strict=True)]
        lines.append(f"| {title} | {told[0]} | {told[1]} | {statistics.median(ratios):.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=["ours", "trl"])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48, help="the most tokens of a completion")
    parser.add_argument("--steps", type=int, default=5, help="steps measured in each process")
    parser.add_argument("--parts", type=int, default=1, help="micro batches of TRL's step")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--keep", type=Path, help="a file of rounds measured before, to which these are added"
    )
    given = parser.parse_args()
    if given.side:
        warnings.simplefilter("ignore")
        figures = (ours if given.side == "ours" else theirs)(given)
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    taken: dict[str, list[Figures]] = {"ours": [], "trl": []}
    if given.keep and given.keep.is_file():
        taken = json.loads(given.keep.read_text())
    for _ in range(given.rounds):
        both = {side: in_own_process(side, given) for side in taken}
        for side, figures in both.items():
            taken[side].append(figures)
        if given.keep:
            given.keep.write_text(json.dumps(taken))
    sys.stdout.write(table(taken) + "\n")


if __name__ == "__main__":
    main()
