"""What training costs on a GPU: a larger model made from nothing, then published methods on it, and TRL.

    PYTHONPATH=. python benchmarks/train_gpu.py --out $OUT                  (one GPU, some ten minutes)
    PYTHONPATH=. python benchmarks/train_gpu.py --out /tmp/x --smoke        (a CPU, to see that it runs)

Nothing is fetched. A Llama of 50 to 150 million parameters learns the embedded model's trade as
benchmarks/make_tiny.py teaches it, for so many minutes; then each method trains it for some steps through
``agentloop.training.train`` in bf16, on rollouts against the SQL environment. Last, GRPO beside TRL's
GRPOTrainer on the same prompts, where every other sample is paid, so that no row is without a gradient.

``share`` is ``6 N t`` over the card's bf16 peak, for N parameters and t tokens a second: those that passed
through the model while it learnt, prompts included, over the seconds of learning, and over those of the whole
step. Attention is not counted, nor is sampling, which costs ``2 N`` a token. Written are train_gpu.json and
train_gpu.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from make_tiny import PHASES, SAMPLE, SEED, TEXTS, write
from tiny_data import Conversations
from tiny_tokenizer import train_tokenizer
from tiny_training import Size, new_model
from tiny_training import train as pretrain
from train_gpu_table import told

from agentloop import tiny
from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match
from agentloop.graph import reflect_and_retry
from agentloop.hidden import sees_hidden
from agentloop.models import renderer
from agentloop.prompts import Prompts
from agentloop.run import Run
from agentloop.training import Practice, Recipe, Settings, recipe_for, train
from agentloop.training.rollouts import rows_of
from agentloop.types import Attempt, Grader

METHODS = ("grpo", "rltf-sd", "rltf-sd-fm", "raft", "critique-grpo")
SIZES = {
    0: Size(width=64, inner=192, layers=2, heads=2),
    50: Size(width=512, inner=1536, layers=14, heads=8),
    100: Size(width=768, inner=2048, layers=14, heads=12),
    150: Size(width=896, inner=2432, layers=15, heads=14),
}
"""By millions of parameters; 0 is for --smoke."""
SHARES = (0.45, 0.34, 0.21)
"""Of the minutes, for each phase of make_tiny.py."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured."""

    size: int
    minutes: float
    batch: int
    """Conversations of a step while the model is made."""
    rate: float
    prompts: int
    samples: int
    tokens: int
    steps: int
    micro_batch: int
    peak: float
    """The card's bf16 peak, in TFLOP/s."""
    methods: tuple[str, ...] = METHODS
    sample: int = SAMPLE
    """Conversations that the tokenizer is learnt from."""
    most: int = 10**9
    """Tokens of a phase of making the model."""


SMOKE = Plan(
    size=0,
    minutes=0.2,
    batch=8,
    rate=2e-3,
    prompts=2,
    samples=4,
    tokens=12,
    steps=2,
    micro_batch=2048,
    peak=989.0,
    sample=500,
    most=10_000,
)


def make(plan: Plan, folder: Path) -> dict[str, Any]:
    """Make the model; its figures."""
    import torch

    prompts, device = Prompts(TEXTS), "cuda" if torch.cuda.is_available() else "cpu"
    source = Conversations(SEED + 1, prompts)
    tokenizer = train_tokenizer(said.text for _ in range(plan.sample) for said in source.next())
    model = new_model(tokenizer, SEED, SIZES[plan.size]).to(device)
    _reset_peak()
    tokens, seconds, loss = 0, 0.0, float("nan")
    for phase, share in zip(PHASES, SHARES, strict=True):
        settings = phase._replace(
            tokens=min(phase.tokens, plan.most),
            rate=plan.rate * phase.rate / PHASES[0].rate,
            batch=plan.batch,
            pool=plan.batch * 64,
        )
        source = Conversations(settings.seed, prompts, noted=settings.noted, rivals=settings.rivals)
        began, seen = time.perf_counter(), 0
        for trained, mean in pretrain(model, tokenizer, source, settings):
            seen, loss = trained, mean
            if time.perf_counter() - began > share * plan.minutes * 60:
                break
        tokens, seconds = tokens + seen, seconds + time.perf_counter() - began
    write(model.float().cpu(), tokenizer, folder)
    parameters = sum(each.numel() for each in model.parameters())
    return {
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "tokens": tokens,
        "seconds": round(seconds, 1),
        "loss": round(loss, 3),
        "tokens_per_second": round(tokens / seconds),
        "share": share_of_peak(parameters, tokens / seconds, plan),
        "peak_memory_mib": _peak_memory(),
    }


def recipe_of(method: str, plan: Plan) -> Recipe:
    """The embedded model's recipe at the plan's sizes; a tenth of its rate, since the model is larger."""
    recipe = recipe_for(method, tiny=True)
    rate = recipe.learning_rate / 10
    return recipe.with_changes(tasks=plan.prompts, samples=plan.samples, learning_rate=rate)


def paid_by_turns(attempt: Attempt) -> float:
    """A grader that pays every other sample, and the other ones at the second attempt."""
    return float((int(attempt.trajectory.rpartition("#")[2]) + attempt.number) % 2)


def measure(recipe: Recipe, plan: Plan, *, model: Path, out: Path, grader: Grader) -> dict[str, Any]:
    """Train by a recipe for the plan's steps; medians of all but the first step."""
    import torch

    settings = Settings(
        steps=plan.steps,
        micro_batch=plan.micro_batch,
        max_tokens=plan.tokens,
        concurrency=plan.prompts * plan.samples,
        save_every=plan.steps + 1,
        cpu=not torch.cuda.is_available(),
    )
    _reset_peak()
    with closing(SQLEnvironment()) as environment:
        agent = partial(reflect_and_retry, environment=environment, critic=sees_hidden(tiny.critic()))
        practice = Practice(agent=agent, tasks=_tasks(plan), grader=grader)
        done = train(recipe, model=model, out=out, practice=practice, settings=settings)
    memory = _peak_memory()
    warm = done.steps[1:]
    passed = [_passed_through(out, line["step"], recipe, model) for line in warm]
    learning = [line["learning"] for line in warm]
    step = [line["learning"] + line["collecting"] for line in warm]
    parameters = _parameters(model)
    return {
        "step_seconds": round(statistics.median(step), 3),
        "collecting_seconds": round(statistics.median(line["collecting"] for line in warm), 3),
        "learning_seconds": round(statistics.median(learning), 3),
        "rows": statistics.median(line["rows"] for line in warm),
        "completions": statistics.median(line["completions"] for line in warm),
        "learnt_tokens_per_second": round(sum(passed) / sum(learning)),
        "share_learning": share_of_peak(parameters, sum(passed) / sum(learning), plan),
        "share_step": share_of_peak(parameters, sum(passed) / sum(step), plan),
        "peak_memory_mib": memory,
        "first_passed": [line["first_passed"] for line in done.steps],
        "losses": [line["loss"] for line in done.steps],
    }


def _passed_through(out: Path, step: int, recipe: Recipe, model: Path) -> int:
    """Tokens of the rows of a step that have a weight, prompts included."""
    run = Run(out / "rollouts" / f"step-{step:05d}")
    rows = rows_of(run.trajectories, recipe, render=renderer(model)).rows
    return sum(len(row.input_ids) for row in rows if any(row.weights))


def beside_trl(plan: Plan, *, model: Path, out: Path) -> dict[str, Any]:
    """A step of GRPO, ours and TRL's, on the same prompts, where every other sample is paid."""
    recipe = recipe_of("grpo", plan)
    ours = measure(recipe, plan, model=model, out=out, grader=paid_by_turns)
    trajectories = list(Run(out / "rollouts" / "step-00002").trajectories())
    asked = {each.task.id: list(each.calls[0].messages) for each in trajectories}
    theirs = _trl(list(asked.values()), plan, model=model)
    return {
        "ours": ours,
        "trl": theirs,
        "ours_to_trl": round(ours["step_seconds"] / theirs["step_seconds"], 3),
    }


def _trl(asked: Sequence[Any], plan: Plan, *, model: Path) -> dict[str, Any]:
    import datasets
    import torch
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from agentloop.models.local import load_weights

    marks: list[float] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    def rewards(completions: list[Any], **_: Any) -> list[float]:
        return [float(at % 2) for at in range(len(completions))]

    _reset_peak()
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=load_weights(model),
            reward_funcs=rewards,
            args=GRPOConfig(output_dir=folder, **_trl_settings(asked, plan, model)),
            train_dataset=datasets.Dataset.from_list([{"prompt": each} for each in asked]),
            callbacks=[Marks()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    steps = [after - before for before, after in zip(marks, marks[1:], strict=False)]
    return {"step_seconds": round(statistics.median(steps), 3), "peak_memory_mib": _peak_memory()}


def _trl_settings(asked: Sequence[Any], plan: Plan, model: Path) -> dict[str, Any]:
    import torch

    gpu, render = torch.cuda.is_available(), renderer(model)
    longest = max(len(render(each, True)) for each in asked) + plan.tokens
    completions = len(asked) * plan.samples
    room = max(1, plan.micro_batch // longest)
    rows = max(each for each in range(1, completions + 1) if completions % each == 0 and each <= room)
    return {
        "max_steps": plan.steps,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": completions // rows,
        "num_generations": plan.samples,
        "max_completion_length": plan.tokens,
        "learning_rate": recipe_of("grpo", plan).learning_rate,
        "lr_scheduler_type": "constant",
        "temperature": 1.0,
        "top_k": 0,
        "beta": 0.0,
        "loss_type": "grpo",
        "gradient_checkpointing": False,
        "bf16": gpu,
        "use_cpu": not gpu,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": gpu,
    }


def share_of_peak(parameters: int, tokens_per_second: float, plan: Plan) -> float:
    """``6 N t`` over the card's peak."""
    return round(6 * parameters * tokens_per_second / (plan.peak * 1e12), 5)


def _tasks(plan: Plan) -> list[Any]:
    return tiny.tasks("train", plan.prompts * plan.steps, seed=3, houses=["acme"])


def _parameters(model: Path) -> int:
    from agentloop.models.local import load_weights

    return sum(each.numel() for each in load_weights(model).parameters())


def _reset_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_memory() -> int:
    """The most memory in use since it was reset: the GPU's, or else that of the process since it began."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def machine() -> dict[str, str]:
    """Where this ran, with what."""
    import torch
    import transformers
    import trl

    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return {
        "card": card,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }


def run(plan: Plan, out: Path, work: Path, *, grader: Grader) -> dict[str, Any]:
    """All of it; what is known is written after each part."""
    model = work / "model"
    found: dict[str, Any] = {"plan": asdict(plan), "machine": machine(), "model": make(plan, model)}
    found["methods"] = {}
    for method in plan.methods:
        sys.stdout.write(f"{method}\n")
        sys.stdout.flush()
        recipe = recipe_of(method, plan)
        found["methods"][method] = measure(recipe, plan, model=model, out=work / method, grader=grader)
        _write(out / "train_gpu.json", json.dumps(found, indent=1))
    found["trl"] = beside_trl(plan, model=model, out=work / "beside")
    _write(out / "train_gpu.json", json.dumps(found, indent=1))
    _write(out / "train_gpu.md", told(found))
    return found


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plan(given: argparse.Namespace) -> Plan:
    if given.smoke:
        return SMOKE
    return Plan(
        size=given.parameters,
        minutes=given.minutes,
        batch=64,
        rate=6e-4,
        prompts=given.prompts,
        samples=given.samples,
        tokens=given.tokens,
        steps=given.steps,
        micro_batch=given.micro_batch,
        peak=given.peak_tflops,
        methods=tuple(given.methods.split(",")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--smoke", action="store_true", help="smallest sizes, every other sample paid")
    parser.add_argument("--parameters", type=int, choices=[size for size in SIZES if size], default=100)
    parser.add_argument("--minutes", type=float, default=3.0, help="for making the model")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48, help="the most tokens of a completion")
    parser.add_argument("--steps", type=int, default=5, help="of each method; the first is not measured")
    parser.add_argument("--micro-batch", type=int, default=65536, help="tokens that pass through at once")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="the card's, dense bf16 (H200)")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--keep", action="store_true", help="leave models and journals in --out/work")
    given = parser.parse_args()
    work = given.out / "work"
    shutil.rmtree(work, ignore_errors=True)
    found = run(_plan(given), given.out, work, grader=paid_by_turns if given.smoke else result_match)
    if not given.keep:
        shutil.rmtree(work)
    sys.stdout.write(told(found))


if __name__ == "__main__":
    main()
