"""What each training method makes of the same number of sampled answers, beside its controls.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/train_tiny.py --out /tmp/train-tiny --jobs 2

Sweeps the learning rate of every method over the same grid on the development split (seed 1, half the answers
on the whole tasks), then trains
with the best rate and seeds 11, 12, 13, measures greedy first tries on locked tasks, and writes the
tables into benchmarks/RESULTS.md. What is done already in ``--out`` is not done again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from agentloop import tiny
from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match
from agentloop.graph import reflect_and_retry
from agentloop.hidden import sees_hidden
from agentloop.loop import improve
from agentloop.models import ChatModel
from agentloop.prompts import Prompts
from agentloop.run import Run
from agentloop.training import Practice, Settings, recipe_for, train
from agentloop.training.proof import first_tries
from agentloop.types import Attempt, Critic, Feedback, Task, Trajectory

HOUSE = "acme"
"""The house whose agent is trained; the others are out of its scope."""
RATES = (2.5e-4, 5e-4, 1e-3, 2e-3)
SEEDS = (11, 12, 13)
ONLINE = ("raft", "grpo", "rltf-sd", "rltf-sd-fm", "critique-grpo")
OFFLINE = ("ilf", "fcp", "leti")
CONTROLS = (("rltf-sd", "other"), ("rltf-sd", "blank"), ("critique-grpo", "other"))
SPARSE = ("raft", "grpo", "rltf-sd", "critique-grpo")
ANSWERS = {"whole": 5120, "sparse": 1280}
"""Sampled completions of a training: the sparse one has a quarter."""
STEPS = 40
"""More than the answers allow; offline, the number of batches."""
LOCKED = 2
"""Draws the locked tasks; earlier draws were looked at while the model and the memory were made."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training with its measurement."""

    method: str
    rate: float
    seed: int
    split: str = "whole"
    control: str = "none"
    locked: bool = False

    @property
    def answers(self) -> int:
        """The most completions it may sample; the sweep of the whole tasks makes do with half."""
        return ANSWERS[self.split] // (1 if self.locked or self.split == "sparse" else 2)

    @property
    def name(self) -> str:
        """What its files are called."""
        kind = "final" if self.locked else "sweep"
        return f"{kind}-{self.split}-{self.method}-{self.control}-{self.rate:g}-{self.seed}"


def held_out(job: Job, count: int) -> dict[str, list[Task]]:
    """The tasks that a training is measured on."""
    if not job.locked:
        return {"dev": tiny.tasks("dev", count, seed=5, houses=[HOUSE], sparse=job.split == "sparse")}
    others = [house.name for house in tiny.HOUSES if house.name != HOUSE]
    families = [one.table for one in tiny.HELD_OUT]
    locked = partial(tiny.tasks, "test", count, LOCKED)
    sparse = job.split == "sparse"
    return {
        "known": locked(houses=[HOUSE], sparse=sparse),
        "held_out": locked(houses=[HOUSE], families=families, sparse=sparse),
        "out_of_scope": locked(houses=others),
    }


def carry_out(job: Job, out: Path, count: int) -> None:
    """Train and measure; the result lies in ``out/NAME.json``."""
    folder = out / job.name
    tasks = tiny.tasks("train", 1500, seed=3, houses=[HOUSE], sparse=job.split == "sparse")
    recipe = replace(recipe_for(job.method, tiny=True), learning_rate=job.rate)
    if job.split == "sparse":
        recipe = replace(recipe, tasks=16)
    with closing(SQLEnvironment()) as environment:
        critic = _critic(job, out, tasks, environment)
        build = partial(reflect_and_retry, environment=environment, critic=critic)
        settings = Settings(
            steps=STEPS if recipe.online else 20,
            completions=job.answers,
            rows=128 if job.method == "ilf" else 512,
            threads=1,
            max_tokens=48,
            seed=job.seed,
            save_every=1000,
        )
        practice = Practice(agent=build, tasks=tasks, grader=result_match)
        log = None if recipe.online else _log(out, job)
        done = train(
            recipe,
            model="local/tiny",
            out=folder,
            practice=practice if recipe.online else None,
            log=log,
            settings=settings,
            resume=(folder / "training.json").is_file(),
        )
        results = _measure(job, done.checkpoint, build, folder, settings, count)
    completions = done.completions or sum(len(each.calls) for each in (log() if log else ()))
    _write(out / f"{job.name}.json", {**asdict(job), "completions": completions, "results": results})


def _measure(
    job: Job, checkpoint: Path, build: Any, folder: Path, settings: Settings, count: int
) -> dict[str, dict[str, list[float]]]:
    return {
        name: first_tries(
            checkpoint,
            Practice(agent=build, tasks=tasks, grader=result_match),
            folder / "measured" / name,
            settings,
        ).figures.results
        for name, tasks in held_out(job, count).items()
    }


def collect_log(out: Path, seed: int) -> None:
    """What the untrained model does with feedback, for the methods that learn from a log."""
    model = ChatModel("local/tiny", temperature=1.0, max_tokens=48, threads=1)
    with closing(SQLEnvironment()) as environment:
        improve(
            reflect_and_retry(
                model=model, environment=environment, critic=sees_hidden(tiny.critic()), attempts=2
            ),
            tiny.tasks("train", ANSWERS["whole"] // 6, seed=3, houses=[HOUSE]),
            folder=out / f"log-{seed}",
            samples=4,
            grader=result_match,
            seed=seed,
            concurrency=64,
        )


def _log(out: Path, job: Job) -> Callable[[], Iterator[Trajectory]]:
    """As much of the log as holds the answers that the other methods sample while they learn."""
    run = Run(out / f"log-{job.seed}")
    return lambda: _upto(run.trajectories(), job.answers)


def _upto(trajectories: Iterator[Trajectory], answers: int) -> Iterator[Trajectory]:
    sampled = 0
    for each in trajectories:
        sampled += len(each.calls)
        if sampled > answers:
            return
        yield each


def _critic(job: Job, out: Path, tasks: Sequence[Task], environment: SQLEnvironment) -> Critic:
    inner = tiny.critic()
    if job.control == "blank":
        return sees_hidden(_Retold(inner, lambda attempt: Prompts().render("again")))
    if job.control == "other":
        return sees_hidden(_Retold(inner, _OtherWords(_words(job, out, tasks, environment))))
    return sees_hidden(inner)


class _Retold:
    """The critic's verdict in other words."""

    def __init__(self, critic: Any, words: Callable[[Attempt], str]) -> None:
        self.critic, self.words = critic, words

    def __call__(self, attempt: Attempt) -> Feedback:
        told: Feedback = self.critic(attempt)
        return told if told.verdict == "pass" else told.replace(text=self.words(attempt))


class _OtherWords:
    """What the critic said of another task of the same house, drawn anew for every attempt."""

    def __init__(self, pool: Sequence[tuple[str, str]]) -> None:
        self.pool = pool

    def __call__(self, attempt: Attempt) -> str:
        draw = random.Random(attempt.id + attempt.text)
        while True:
            task, text = draw.choice(self.pool)
            if task != attempt.task.id:
                return text


def _words(job: Job, out: Path, tasks: Sequence[Task], environment: SQLEnvironment) -> list[tuple[str, str]]:
    """Feedback on first attempts of the untrained model, with the task that it was said of."""
    model = ChatModel("local/tiny", temperature=1.0, max_tokens=48, threads=1)
    agent = reflect_and_retry(
        model=model, environment=environment, critic=sees_hidden(tiny.critic()), attempts=1
    )
    run = improve(
        agent,
        tasks[-400:],
        folder=out / f"words-{job.split}-{job.control}-{job.method}-{job.seed}",
        grader=result_match,
        seed=job.seed,
        concurrency=64,
    )
    firsts = (each.attempts[0] for each in run.trajectories())
    return [
        (each.task.id, each.feedback.text)
        for each in firsts
        if each.feedback is not None and each.feedback.verdict != "pass"
    ]


def base(out: Path, split: str, count: int) -> None:
    """The untrained model on the locked tasks, greedily; and pass@8 at temperature 1 on the known ones."""
    job = Job(method="base", rate=0.0, seed=0, split=split, locked=True)
    settings = Settings(threads=1, max_tokens=48)
    with closing(SQLEnvironment()) as environment:
        build = partial(reflect_and_retry, environment=environment, critic=sees_hidden(tiny.critic()))
        results = _measure(job, tiny.checkpoint(), build, out / job.name, settings, count)
        model = ChatModel("local/tiny", temperature=1.0, max_tokens=48, threads=1)
        run = improve(
            build(model=model, attempts=1),
            held_out(job, count)["known"],
            folder=out / job.name / "eight",
            samples=8,
            grader=result_match,
            concurrency=64,
        )
    eight = [float(max(passed)) for passed in run.figures.results.values()]
    _write(out / f"base-{split}.json", {"results": results, "pass_at_8": sum(eight) / len(eight)})


def sweep_jobs() -> list[Job]:
    """Every method at every rate, on the development split."""
    whole = [Job(method=method, rate=rate, seed=1) for method in (*ONLINE, *OFFLINE) for rate in RATES]
    sparse = [Job(method=method, rate=rate, seed=1, split="sparse") for method in SPARSE for rate in RATES]
    return sparse + whole


def final_jobs(best: dict[tuple[str, str], float]) -> list[Job]:
    """Every method at its best rate with every seed, on the locked tasks; the controls at their method's."""
    plans = [(method, "sparse", "none") for method in SPARSE]
    plans += [(method, "whole", "none") for method in (*ONLINE, *OFFLINE)]
    plans += [(method, "whole", control) for method, control in CONTROLS]
    return [
        Job(method=method, rate=best[method, split], seed=seed, split=split, control=control, locked=True)
        for method, split, control in plans
        for seed in SEEDS
    ]


def best_rates(out: Path) -> dict[tuple[str, str], float]:
    """The rate with the best development pass rate of each method and split; the lower one in a tie."""
    rates: dict[tuple[str, str], tuple[float, float]] = {}
    for job in sweep_jobs():
        path = out / f"{job.name}.json"
        if path.is_file():
            passed = json.loads(path.read_text())["results"]["dev"].values()
            score = sum(each[0] for each in passed) / len(passed)
            key = (job.method, job.split)
            if key not in rates or score > rates[key][0]:
                rates[key] = (score, job.rate)
    return {key: rate for key, (_, rate) in rates.items()}


def _write(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def _run_all(jobs: Sequence[Job], arguments: argparse.Namespace) -> None:
    for seed in sorted({job.seed for job in jobs if job.method in OFFLINE}):
        collect_log(arguments.out, seed)
    left = [job for job in jobs if not (arguments.out / f"{job.name}.json").is_file()]

    def one(job: Job) -> None:
        command = [sys.executable, __file__, "--out", str(arguments.out), "--tasks", str(arguments.tasks)]
        subprocess.run([*command, "--job", json.dumps(asdict(job))], check=True, stderr=subprocess.DEVNULL)
        sys.stdout.write(f"{job.name}\n")
        sys.stdout.flush()

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(one, left))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--job", type=json.loads)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "RESULTS.md")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.job:
        carry_out(Job(**arguments.job), arguments.out, arguments.tasks)
        return
    _run_all(sweep_jobs(), arguments)
    for split in ANSWERS:
        if not (arguments.out / f"base-{split}.json").is_file():
            base(arguments.out, split, arguments.tasks)
    _run_all(final_jobs(best_rates(arguments.out)), arguments)
    from train_tiny_table import write_tables

    write_tables(arguments.out, arguments.results)


if __name__ == "__main__":
    main()
