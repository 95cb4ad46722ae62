"""``improve``: many tasks through one agent, bounded, journaled and resumable."""

from __future__ import annotations

import asyncio
import json
import platform
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from agentloop.bringing import bring
from agentloop.budget import Budget, Meter
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.journal import Effect, Journal, place_of
from agentloop.reading import has_passed
from agentloop.record import Record
from agentloop.run import Run
from agentloop.running import background
from agentloop.state import boundary
from agentloop.types import SCHEMA_VERSION, Attempt, Grader, Task, digest
from agentloop.version import __version__


class Progress(Record):
    """Where a run stands: trajectories finished of all, how many passed, calls made so far."""

    done: int
    total: int
    passed: int
    calls: int


class Settings(TypedDict, total=False):
    """How a run is carried out; ``aimprove`` says what each means."""

    samples: int
    grader: Grader | None
    concurrency: int
    budget: Budget | None
    seed: int
    resume: bool
    progress: Callable[[Progress], object] | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is asked to do, and what it may use of another run's (context.py, ``given``)."""

    agent: Any
    tasks: Sequence[Task]
    folder: Path
    meter: Meter
    samples: int = 1
    grader: Grader | None = None
    concurrency: int = 16
    seed: int = 0
    resume: bool = True
    progress: Callable[[Progress], object] | None = None
    given: Callable[[str], Effect | None] = lambda place: None


def improve(agent: Any, tasks: Iterable[Task], *, folder: str | Path, **settings: Unpack[Settings]) -> Run:
    """Run every task through ``agent`` and journal what happens; see ``aimprove`` for the settings.

    Works in a notebook too. Called again on the same folder, it goes on where it was cut off.
    """
    return background.run(aimprove(agent, tasks, folder=folder, **settings))


async def aimprove(
    agent: Any,
    tasks: Iterable[Task],
    *,
    folder: str | Path,
    samples: int = 1,
    grader: Grader | None = None,
    concurrency: int = 16,
    budget: Budget | None = None,
    seed: int = 0,
    resume: bool = True,
    progress: Callable[[Progress], object] | None = None,
) -> Run:
    """Run every task through ``agent``, ``samples`` times each, at most ``concurrency`` at once.

    ``agent`` is a compiled LangGraph graph whose state has ``task`` and ``attempt`` (graph.py). ``grader``
    decides for the record whether an attempt passed; without one the critic's verdict is the score.
    ``seed`` gives every model call a seed of its own. With ``resume=False`` a folder that holds a run is
    refused. When ``budget`` is spent, what is done so far comes back, and a later call with a larger one
    goes on.
    """
    if samples < 1 or concurrency < 1:
        raise BadInput(f"samples and concurrency must be at least 1, got {samples} and {concurrency}")
    plan = Plan(
        agent=agent,
        tasks=distinct(tasks),
        folder=Path(folder),
        meter=Meter(budget),
        samples=samples,
        grader=grader,
        concurrency=concurrency,
        seed=seed,
        resume=resume,
        progress=progress,
    )
    return await carry_out(plan)


async def carry_out(plan: Plan) -> Run:
    """Carry out a plan in its folder."""
    settings = _settings(plan)
    with ThreadPoolExecutor(max_workers=plan.concurrency, thread_name_prefix="agentloop") as executor:
        journal = Journal(plan.folder / "journal.jsonl", run=settings["run"])
        try:
            plan.meter.add(journal.spent)
            context = RunContext(
                journal=journal, meter=plan.meter, seed=plan.seed, executor=executor, given=plan.given
            )
            await _Scheduler(plan, context, journal).run()
        finally:
            journal.close()
    return Run(plan.folder)


@dataclass
class _Scheduler:
    """Hands trajectories to as many workers as may run at once."""

    plan: Plan
    context: RunContext
    journal: Journal
    done: int = 0
    passed: int = 0
    left: Iterator[tuple[Task, int]] = field(init=False)

    async def run(self) -> None:
        """Run every trajectory that is not finished yet."""
        waiting = [
            (task, sample)
            for task in self.plan.tasks
            for sample in range(self.plan.samples)
            if trajectory_name(task, sample) not in self.journal.finished
        ]
        self.done = len(self.plan.tasks) * self.plan.samples - len(waiting)
        self._report()
        self.left = iter(waiting)
        workers = min(self.plan.concurrency, len(waiting))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work())
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def _work(self) -> None:
        for task, sample in self.left:
            if self.context.meter.limit_reached():
                return
            await self._trajectory(task, sample)
            self.done += 1
            self._report()

    async def _trajectory(self, task: Task, sample: int) -> None:
        name = trajectory_name(task, sample)
        self.journal.begin(task)
        state: dict[str, Any] = {}
        with self.context.at(name, 0, "graph"), boundary("graph") as caught:
            config = {"configurable": {"thread_id": name}}
            state = await self.plan.agent.ainvoke(
                {"task": task, "trajectory": name}, config, context=self.context
            )
        if "__interrupt__" in state:
            return
        best = self._chosen(state, name)
        attempts = self.context.attempts.pop(name, {})
        scores = {number: await self._grade(attempt) for number, attempt in sorted(attempts.items())}
        self.passed += best is not None and bool(has_passed(scores.get(best.number), best.feedback))
        ended = {
            "group": task.id,
            "task_id": task.id,
            "chosen": best.number if best else None,
            "stop_reason": "error" if caught.error else state.get("stop_reason", "done"),
            "stop_signal": state.get("stop_signal", "none"),
        }
        self.journal.end(name, {**ended, "error": caught.error} if caught.error else ended)

    def _chosen(self, state: dict[str, Any], name: str) -> Attempt | None:
        """The attempt that counts. A graph of one's own may bring one that our nodes never saw."""
        best: Attempt | None = state.get("best") or state.get("attempt")
        if best is not None and best.number not in self.context.attempts.get(name, {}):
            best = best.replace(trajectory=name, id=f"{name}/{best.number}")
            self.context.keep(best)
            self.context.note(place_of(name, best.number, "attempt", 0), "attempt", {"text": best.text})
            if best.feedback is not None:
                told = place_of(name, best.number, "judge", 0)
                self.context.note(told, "feedback", best.feedback.to_dict())
        return best

    async def _grade(self, attempt: Attempt) -> float | None:
        grader = self.plan.grader
        if grader is None or attempt.error:
            return None

        async def make() -> float:
            return float(await bring(grader, attempt, executor=self.context.executor))

        with self.context.at(attempt.trajectory, attempt.number, "grade") as scope:
            return await self.context.once(scope.place(), digest(attempt.text), make, kind="score")

    def _report(self) -> None:
        if self.plan.progress is not None:
            total = len(self.plan.tasks) * self.plan.samples
            calls = self.context.meter.calls
            self.plan.progress(Progress(done=self.done, total=total, passed=self.passed, calls=calls))


def trajectory_name(task: Task, sample: int) -> str:
    """The id of one sample of a task."""
    return f"{task.id}#{sample}"


def distinct(tasks: Iterable[Task]) -> list[Task]:
    """The tasks as a list; BadInput when there are none, or two of one id."""
    listed = list(tasks)
    seen: set[str] = set()
    for task in listed:
        if not isinstance(task, Task):
            raise BadInput(f"tasks must be Task records, got {type(task).__name__}: {task!r:.80}")
        if task.id in seen:
            raise BadInput(f"two tasks have the id {task.id!r}; give every task an id of its own")
        seen.add(task.id)
    if not listed:
        raise BadInput("no tasks given; give at least one Task")
    return listed


def _settings(plan: Plan) -> dict[str, Any]:
    """Read the settings of the run in the plan's folder, or begin one there."""
    folder, path = plan.folder, plan.folder / "settings.json"
    if path.is_file():
        if not plan.resume:
            raise BadInput(
                f"{folder} holds a run already; pass resume=True to go on with it, or another folder"
            )
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name, value in (("seed", plan.seed), ("samples", plan.samples), ("grader", _name(plan.grader))):
            if known.get(name) != value:
                raise BadInput(
                    f"the run in {folder} was begun with {name}={known.get(name)!r}, now {value!r}; "
                    "give the same to go on with it, or another folder"
                )
        return known
    folder.mkdir(parents=True, exist_ok=True)
    begun = {
        "run": uuid.uuid4().hex[:8],
        "schema_version": SCHEMA_VERSION,
        "agentloop": __version__,
        "python": platform.python_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "agent": getattr(plan.agent, "name", None) or type(plan.agent).__name__,
        "seed": plan.seed,
        "samples": plan.samples,
        "concurrency": plan.concurrency,
        "grader": _name(plan.grader),
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(begun, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return begun


def _name(function: Any) -> str | None:
    if function is None:
        return None
    return str(getattr(function, "__name__", None) or type(function).__name__)
