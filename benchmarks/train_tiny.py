"""What each training method makes of the same number of sampled answers, beside its controls.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/train_tiny.py --out /tmp/train-tiny --jobs 2

Sweeps the learning rate of every method over the same grid on the development split (seed 1; on the whole
tasks with half the answers, and then the two best of each online method with all of them), then trains
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
from statistics import fmean
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
CONTROLS = (("rltf-sd", "other"), ("rltf-sd", "blank"))
SPARSE = ("raft", "grpo", "rltf-sd", "critique-grpo")
ANSWERS = {"whole": 5120, "sparse": 1280}
"""Sampled completions of a training: the sparse one has a quarter."""
STEPS = 40
"""More than the answers allow; offline, the number of batches."""
LOCKED = 3
"""Draws the locked tasks; earlier draws were looked at while model, memory and this sweep were made."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training with its measurement."""

    method: str
    rate: float
    seed: int
    split: str = "whole"
    control: str = "none"
    locked: bool = False
    first_round: bool = False

    @property
    def answers(self) -> int:
        """The most completions it may sample; the first round on the whole tasks makes do with half."""
        return ANSWERS[self.split] // (2 if self.first_round and self.split == "whole" else 1)

    @property
    def draw(self) -> int:
        """Which draw of tasks it is measured on."""
        return LOCKED if self.locked else 5

    @property
    def name(self) -> str:
        """What its files are called."""
        kind = "final" if self.locked else "sweep" if self.first_round else "second"
        return f"{kind}-{self.training}"

    def folder(self, out: Path) -> Path:
        """Where the training lies; the second round's trainings are the final ones of their seed."""
        return out / f"{'sweep' if self.first_round else 'final'}-{self.training}"

    @property
    def training(self) -> str:
        """What it trains, wherever that is measured."""
        return f"{self.split}-{self.method}-{self.control}-{self.rate:g}-{self.seed}"


def held_out(job: Job, count: int) -> dict[str, list[Task]]:
    """The tasks that a training is measured on."""
    others = [house.name for house in tiny.HOUSES if house.name != HOUSE]
    families = [one.table for one in tiny.HELD_OUT]
    drawn = partial(tiny.tasks, "test" if job.locked else "dev", seed=job.draw)
    rest, sparse = count // 2, job.split == "sparse"
    return {
        "known": drawn(count, houses=[HOUSE], sparse=sparse),
        "held_out": drawn(rest, houses=[HOUSE], families=families, sparse=sparse),
        "out_of_scope": drawn(rest, houses=others),
    }


def carry_out(job: Job, out: Path, count: int) -> None:
    """Train and measure; the result lies in ``out/NAME.json``."""
    folder = job.folder(out)
    with closing(SQLEnvironment()) as environment:
        if not (folder / "checkpoint").is_dir():
            _train(job, out, environment)
        build = partial(reflect_and_retry, environment=environment, critic=sees_hidden(tiny.critic()))
        results = _measure(job, folder / "checkpoint", build, folder, count)
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    completions = sum(line["completions"] for line in lines)
    if job.method in OFFLINE:
        completions = sum(len(each.calls) for each in _log(out, job)())
    told = {**asdict(job), "draw": job.draw, "completions": completions, "results": results}
    _write(out / f"{job.name}.json", told)


def _train(job: Job, out: Path, environment: SQLEnvironment) -> None:
    folder = job.folder(out)
    tasks = tiny.tasks("train", 1500, seed=3, houses=[HOUSE], sparse=job.split == "sparse")
    recipe = replace(recipe_for(job.method, tiny=True), learning_rate=job.rate)
    if job.split == "sparse":
        recipe = replace(recipe, tasks=16)
    critic = _critic(job, out, tasks, environment)
    build = partial(reflect_and_retry, environment=environment, critic=critic)
    train(
        recipe,
        model="local/tiny",
        out=folder,
        practice=Practice(agent=build, tasks=tasks, grader=result_match) if recipe.online else None,
        log=None if recipe.online else _log(out, job),
        settings=Settings(
            steps=STEPS if recipe.online else 20,
            completions=job.answers,
            rows=128 if job.method == "ilf" else 512,
            threads=1,
            max_tokens=48,
            seed=job.seed,
            save_every=1000,
        ),
        resume=(folder / "training.json").is_file(),
    )


def _measure(
    job: Job, checkpoint: Path, build: Any, folder: Path, count: int
) -> dict[str, dict[str, list[float]]]:
    settings = Settings(threads=1, max_tokens=48)
    return {
        name: first_tries(
            checkpoint,
            Practice(agent=build, tasks=tasks, grader=result_match),
            folder / "measured" / f"{name}-{job.draw}",
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
    with closing(SQLEnvironment()) as environment:
        build = partial(reflect_and_retry, environment=environment, critic=sees_hidden(tiny.critic()))
        results = _measure(job, tiny.checkpoint(), build, out / job.name, count)
        model = ChatModel("local/tiny", temperature=1.0, max_tokens=48, threads=1)
        run = improve(
            build(model=model, attempts=1),
            held_out(job, count)["known"],
            folder=out / job.name / f"eight-{LOCKED}",
            samples=8,
            grader=result_match,
            concurrency=64,
        )
    eight = [float(max(passed)) for passed in run.figures.results.values()]
    _write(
        out / f"base-{split}.json", {"draw": LOCKED, "results": results, "pass_at_8": sum(eight) / len(eight)}
    )


def sweep_jobs() -> list[Job]:
    """The first round: every method at every rate, on the development split."""
    kinds = [("sparse", method) for method in SPARSE] + [("whole", method) for method in (*ONLINE, *OFFLINE)]
    return [
        Job(method=method, rate=rate, seed=1, split=split, first_round=True)
        for split, method in kinds
        for rate in RATES
    ]


def second_jobs(out: Path) -> list[Job]:
    """The second round: the two best rates of each online method, with all the answers."""
    found = scores(out, [job for job in sweep_jobs() if job.split == "whole" and job.method in ONLINE])
    best = [
        sorted((job for job in found if job.method == method), key=lambda job: -found[job])[:2]
        for method in ONLINE
    ]
    return [replace(job, first_round=False, seed=SEEDS[0]) for pair in best for job in pair]


def scores(out: Path, jobs: Sequence[Job]) -> dict[Job, float]:
    """The development pass rate of each job that is done: the mean of the three sets of tasks."""
    found = {}
    for job in jobs:
        path = out / f"{job.name}.json"
        if path.is_file():
            sets = json.loads(path.read_text())["results"].values()
            found[job] = fmean(fmean(each[0] for each in results.values()) for results in sets)
    return found


def final_jobs(best: dict[tuple[str, str], float]) -> list[Job]:
    """Every method at its best rate with every seed, on the locked tasks; the controls at their method's."""
    plans = [(method, "sparse", "none") for method in SPARSE]
    plans += [(method, "whole", "none") for method in (*ONLINE, *OFFLINE)]
    plans += [(method, "whole", control) for method, control in CONTROLS]
    jobs = [
        Job(method=method, rate=best[method, split], seed=seed, split=split, control=control, locked=True)
        for method, split, control in plans
        for seed in SEEDS
    ]
    # what a night cut short would miss least comes last
    return sorted(jobs, key=lambda job: (job.seed != SEEDS[0]) * (1 + (job.control != "none")))


def best_rates(out: Path) -> dict[tuple[str, str], float]:
    """The rate of each method and split that was best in the last round it came to; the lower in a tie."""
    found = {**scores(out, sweep_jobs()), **scores(out, second_jobs(out))}
    rates = {}
    for method, split in dict.fromkeys((job.method, job.split) for job in found):
        own = [job for job in found if (job.method, job.split) == (method, split)]
        last = [job for job in own if not job.first_round] or own
        rates[method, split] = max(last, key=lambda job: (found[job], -job.rate)).rate
    return rates


def _write(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def _is_done(path: Path, draw: int) -> bool:
    return path.is_file() and json.loads(path.read_text()).get("draw") == draw


def _run_all(jobs: Sequence[Job], arguments: argparse.Namespace) -> None:
    for seed in sorted({job.seed for job in jobs if job.method in OFFLINE}):
        collect_log(arguments.out, seed)
    done = {job for job in jobs if _is_done(arguments.out / f"{job.name}.json", job.draw)}
    left = [job for job in jobs if job not in done]

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
    _run_all(second_jobs(arguments.out), arguments)
    for split in ANSWERS:
        if not _is_done(arguments.out / f"base-{split}.json", LOCKED):
            base(arguments.out, split, arguments.tasks)
    _run_all(final_jobs(best_rates(arguments.out)), arguments)
    from train_tiny_table import write_tables

    write_tables(arguments.out, arguments.results)


if __name__ == "__main__":
    main()
