"""``agentloop demo``: the whole loop offline, with the embedded model, in a few minutes.

One task is shown live; then the conditions are measured on held-out tasks, a memory is filled and
tried, the rows that training methods learn from are written, and the model of one house is trained.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from agentloop import tiny
from agentloop.commands import telling
from agentloop.commands.building import write_json
from agentloop.commands.telling import tell
from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match
from agentloop.errors import BadInput
from agentloop.evaluation import Evaluation, evaluate
from agentloop.graph import reflect_and_retry
from agentloop.hidden import sees_hidden
from agentloop.loop import improve
from agentloop.memories import CorrectionMemory
from agentloop.models import ChatModel, renderer
from agentloop.run import Figures, Run
from agentloop.training import Practice, Settings, Training, train
from agentloop.types import Attempt, Trajectory

LESSONS = 400
"""Training tasks that fill the memory."""
EXPORTED = 60
"""Training tasks whose trajectories are exported."""
SAMPLES = 4
HELD_OUT_SEED = 1
"""Draws the tasks of the table; the draws that the memory was looked at with while it was made are others."""
TRAINED = "acme"
"""The house whose agent is trained."""
METHOD = "rltf-sd"
ANSWERS = 2600
"""Replies that the training may sample: about ten steps."""
EXPORTS = (
    ("sft", "trl"),
    ("dpo", "trl"),
    ("rltf-sd", "tokens"),
    ("rltf-fm", "tokens"),
    ("critique-grpo", "tokens"),
)


def demo(out: Path, *, count: int, seed: int, as_json: bool) -> None:
    """Run the demonstration and tell what it showed."""
    if count < 200:
        raise BadInput(f"--tasks must be at least 200 for the intervals to say anything, got {count}")
    began, folder = time.monotonic(), out / f"seed-{seed}"
    with closing(SQLEnvironment()) as environment, CorrectionMemory(folder / "memory") as memory:
        build = partial(
            reflect_and_retry, model=_model(), environment=environment, distil=tiny.house_readings
        )
        taught = _collect(build, folder, seed)
        if not as_json:
            _show_one(taught)
        found = _measure(build, folder, memory=memory, count=count, seed=seed)
    exported = {
        method: taught.export(
            method,
            format=form,
            to=folder / "export" / method,
            command=f"agentloop demo --seed {seed}",
            licence="Apache-2.0",
            render=renderer("local/tiny"),
        )
        for method, form in EXPORTS
    }
    trained = _train(folder, count=count, seed=seed)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        rows = {method: report.rows for method, report in exported.items()}
        told = _as_json(found, rows, seed=seed, seconds=seconds, folder=folder)
        write_json({**told, "training": trained.to_dict()})
        return
    _tell(found, exported, folder=folder)
    _tell_training(trained)
    tell(f"{seconds:.0f} seconds")


def _model() -> Any:
    return ChatModel("local/tiny", temperature=1.0, max_tokens=48, threads=1)


def _collect(build: Any, folder: Path, seed: int) -> Run:
    """Trajectories of training tasks, several samples each: what the exports are made of."""
    agent = build(critic=sees_hidden(tiny.critic()), stop=())
    tasks = tiny.tasks("train", EXPORTED, seed=1)
    with telling.bar("one task live, and trajectories to export") as progress:
        return improve(
            agent,
            tasks,
            folder=folder / "train",
            samples=SAMPLES,
            grader=result_match,
            seed=seed,
            concurrency=64,
            progress=progress,
        )


def _measure(build: Any, folder: Path, *, memory: CorrectionMemory, count: int, seed: int) -> Evaluation:
    """The conditions on the locked test split, and the first attempt with and without a memory."""
    with telling.bar(f"conditions on {count} held-out tasks") as progress:
        return evaluate(
            build,
            tiny.tasks("test", count, seed=HELD_OUT_SEED),
            critic=sees_hidden(tiny.critic()),
            folder=folder / "evaluation",
            memory=memory,
            teach=tiny.tasks("train", LESSONS, seed=2),
            grader=result_match,
            seed=seed,
            concurrency=64,
            progress=progress,
        )


def _train(folder: Path, *, count: int, seed: int) -> Training:
    """Train the model on one house's tasks, and try locked ones before and after."""
    with closing(SQLEnvironment()) as environment:
        agent = partial(reflect_and_retry, environment=environment, critic=sees_hidden(tiny.critic()))
        practice = tiny.tasks("train", 1000, seed=3, houses=[TRAINED])
        held_out = tiny.tasks("test", count, seed=HELD_OUT_SEED, houses=[TRAINED])
        with telling.steps(f"training with {METHOD}") as progress:
            return train(
                METHOD,
                model="local/tiny",
                out=folder / "training",
                practice=Practice(agent=agent, tasks=practice, grader=result_match),
                held_out=Practice(agent=agent, tasks=held_out, grader=result_match),
                settings=Settings(completions=ANSWERS, max_tokens=48, threads=1, seed=seed),
                resume=(folder / "training" / "training.json").is_file(),
                progress=progress,
            )


def _show_one(run: Run) -> None:
    """Tell one trajectory in which the words led to the right answer."""
    shown = next((each for each in run.trajectories() if len(each.attempts) > 1 and each.passed), None)
    if shown is None:
        tell("no trajectory of this seed was mended by a retry")
        return
    tell(f"One task, live: {shown.task.prompt}\n")
    for attempt in shown.attempts:
        for line in _lines(shown, attempt):
            tell(f"  {line}")
    tell("")


def _lines(trajectory: Trajectory, attempt: Attempt) -> list[str]:
    rows = attempt.steps[-1].observation.splitlines() if attempt.steps else []
    said = [f"attempt {attempt.number}:  {attempt.text}"]
    said += [f"    rows:  {' / '.join(rows[:4])}{' ...' if len(rows) > 4 else ''}"]
    if attempt.feedback is not None:
        said += [f"    told:  {attempt.feedback.text}"]
    return said


def _tell_training(trained: Training) -> None:
    gain = trained.gain
    assert gain is not None
    tell(
        f"\nThe agent of house {TRAINED}, trained with {METHOD} on {trained.completions:,} answers of its "
        "own and what was said of them:"
    )
    for name, rate, (low, high) in (
        ("before", gain.first, gain.first_interval),
        ("after", gain.second, gain.second_interval),
    ):
        bar = telling.picture(rate, low, high)
        tell(f"  {name:>6}: {rate:6.1%}*  {low:.1%} to {high:.1%}  {bar}  first try, greedy, nothing told")
    tell(f"  {gain.summary()}")
    tell(f"  checkpoint: {trained.checkpoint}")
    tell(
        "\nThe embedded model is a means of proof, no good SQL writer: its vague words have readings of a "
        "house that only feedback tells, so part of the gain is built in (docs/tiny-model.md)."
    )


def _tell(found: Evaluation, exported: dict[str, Any], *, folder: Path) -> None:
    telling.tell_evaluation(found)
    tell("\nWhat a trainer gets from the same trajectories:")
    for method, report in exported.items():
        tell(f"  {method:>14}: {report.rows:>5} rows in {report.path}")
    tell(f"\n  journals: {folder / 'train'} and {folder / 'evaluation'}; memory: {folder / 'memory'}")
    tell(f"  look at what it learnt: {sys.argv[0]} memory list {folder / 'memory'}")


def _as_json(
    found: Evaluation, rows: dict[str, int], *, seed: int, seconds: float, folder: Path
) -> dict[str, Any]:
    whole = found.to_dict()
    return {
        "conditions": {name: _figures(figures) for name, figures in found.conditions.items()},
        "gains": whole["gains"],
        "memory": {name: _figures(figures) for name, figures in found.memory.items()},
        "memory_gain": whole["memory_gain"],
        "best_of": found.best_of,
        "other_task": whole["other_task"],
        "export": rows,
        "privileged": found.privileged,
        "seed": seed,
        "folder": str(folder),
        "seconds": seconds,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    low, high = figures.interval
    return {
        "passed": figures.passed,
        "tasks": figures.trajectories,
        "rate": figures.rate,
        "low": low,
        "high": high,
        "calls": sum(figures.calls.values()),
        "tokens": figures.usage.tokens_in + figures.usage.tokens_out,
        "distinct": figures.distinct,
        "privileged": figures.privileged,
    }
