"""``evaluate``: what feedback in words is worth beside its controls; ``compare``: is one run better.

The conditions share their tasks and each task's first attempt, and all stop by the same signal, the
critic's verdict; they differ only in what the agent is shown after a failure:

- ``first``: nothing, it has one attempt;
- ``blind``: "try again"; ``binary``: that it was wrong; ``verbal``: the critic's words;
- ``other_task``: the words that the critic said of another task;
- ``best_of_n``: nothing, it samples anew until the signal says pass, with at least as many calls.

What a memory buys is measured beside them: first attempts with and without it, and what it cost to fill.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Unpack

from agentloop.budget import Meter
from agentloop.comparing import Comparison, compare_results
from agentloop.controls import OtherTask, Retold, Shared
from agentloop.errors import BadInput
from agentloop.loop import Plan, Settings, carry_out, distinct
from agentloop.prompts import Prompts
from agentloop.reading import effects
from agentloop.run import Figures, Run
from agentloop.running import background
from agentloop.types import Critic, Memory, Task

CONDITIONS = ("first", "blind", "binary", "verbal", "other_task", "best_of_n")


class AgentBuilder(Protocol):
    """Builds the agent under test, such as ``partial(reflect_and_retry, model=..., environment=...)``."""

    def __call__(
        self,
        *,
        critic: Critic,
        memory: Memory | None,
        attempts: int,
        history: int | None,
        stop: Sequence[Any],
    ) -> Any:
        """An agent with this critic and memory, and as many attempts."""
        ...


@dataclass(frozen=True, kw_only=True)
class MemoryCost:
    """What a memory cost: to fill it once, and at every first attempt with it beside one without."""

    tasks: int
    calls: int
    tokens: int
    dollars: float | None
    tokens_a_task: float

    @classmethod
    def of(cls, lesson: Figures, without: Figures, taught: Figures) -> MemoryCost:
        """The cost from the figures of the lesson and of the two arms."""
        each = [_tokens(figures) / max(1, figures.trajectories) for figures in (without, taught)]
        return cls(
            tasks=lesson.trajectories,
            calls=sum(lesson.calls.values()),
            tokens=_tokens(lesson),
            dollars=lesson.usage.dollars,
            tokens_a_task=round(each[1] - each[0], 2),
        )

    def to_dict(self) -> dict[str, Any]:
        """The cost for programs."""
        return asdict(self)

    def summary(self) -> str:
        """The cost in one line."""
        paid = "" if not self.dollars else f", {self.dollars:.2f} dollars"
        return (
            f"learnt from {self.tasks} tasks by {self.calls:,} calls, {self.tokens:,} tokens{paid}; "
            f"{self.tokens_a_task:+,.1f} tokens at every first attempt"
        )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The conditions in figures, and what verbal feedback gains over each of the others."""

    folder: Path
    conditions: Mapping[str, Figures]
    gains: Mapping[str, Comparison]
    memory: Mapping[str, Figures]
    memory_gain: Comparison | None
    lesson: Figures | None
    best_of: int
    fitting: int
    other_told: int

    @property
    def privileged(self) -> bool:
        """Whether the figures rest on a critic that knew hidden data."""
        return any(figures.privileged for figures in self.conditions.values())

    @property
    def memory_cost(self) -> MemoryCost | None:
        """What the memory cost; None when none was measured."""
        if self.lesson is None:
            return None
        return MemoryCost.of(self.lesson, self.memory["without"], self.memory["with"])

    def to_dict(self) -> dict[str, Any]:
        """The evaluation for programs."""
        return {
            "conditions": {name: figures.to_dict() for name, figures in self.conditions.items()},
            "gains": {name: comparison.to_dict() for name, comparison in self.gains.items()},
            "memory": {name: figures.to_dict() for name, figures in self.memory.items()},
            "memory_gain": self.memory_gain.to_dict() if self.memory_gain else None,
            "memory_cost": self.memory_cost.to_dict() if self.memory_cost else None,
            "best_of": self.best_of,
            "other_task": {"told": self.other_told, "fitting": self.fitting},
            "privileged": self.privileged,
        }


def evaluate(
    agent: AgentBuilder,
    tasks: Iterable[Task],
    *,
    critic: Critic,
    folder: str | Path,
    attempts: int = 3,
    memory: Memory | None = None,
    teach: Iterable[Task] = (),
    conditions: Sequence[str] = CONDITIONS,
    **settings: Unpack[Settings],
) -> Evaluation:
    """Run the conditions over the same tasks; see ``aevaluate``. Works in a notebook too."""
    return background.run(
        aevaluate(
            agent,
            tasks,
            critic=critic,
            folder=folder,
            attempts=attempts,
            memory=memory,
            teach=teach,
            conditions=conditions,
            **settings,
        )
    )


async def aevaluate(
    agent: AgentBuilder,
    tasks: Iterable[Task],
    *,
    critic: Critic,
    folder: str | Path,
    attempts: int = 3,
    memory: Memory | None = None,
    teach: Iterable[Task] = (),
    conditions: Sequence[str] = CONDITIONS,
    **settings: Unpack[Settings],
) -> Evaluation:
    """Run every condition over the same tasks, each in a folder of its own under ``folder``.

    With ``memory``, the agent first learns from the tasks in ``teach`` with verbal feedback; then its
    first attempts at ``tasks`` with the memory are compared with those without, and ``memory_cost`` says
    what that took. Fewer ``conditions`` cost less: with ``("first",)`` only the memory is measured.
    ``settings`` are those of ``aimprove``; ``samples`` must be 1, ``progress`` is told of each run.
    """
    lesson, tasks = list(teach), distinct(tasks)
    wanted = _known(conditions)
    if settings.get("samples", 1) != 1:
        raise BadInput(
            f"evaluate takes one sample a task, got samples={settings['samples']}; give more tasks"
        )
    if memory is not None and not lesson:
        raise BadInput("a memory was given but no tasks to learn from; give teach=[...], or --teach TASKS")
    work = _Work(
        agent=agent, tasks=tasks, critic=critic, folder=Path(folder), attempts=attempts, settings=settings
    )
    runs = await work.conditions(wanted)
    known = {name: run.figures for name, run in runs.items()}
    taught = await work.with_memory(memory, lesson) if memory is not None else None
    told = [
        attempt.feedback.items.get("fits")
        for trajectory in (runs["other_task"].trajectories() if "other_task" in runs else ())
        for attempt in trajectory.attempts
        if attempt.feedback is not None and "fits" in attempt.feedback.items
    ]
    evaluation = Evaluation(
        folder=work.folder,
        conditions=known,
        gains=_gains(known),
        memory={"without": known["first"], "with": taught[1].figures} if taught else {},
        memory_gain=_memory_gain(known["first"], taught[1].figures) if taught else None,
        lesson=taught[0].figures if taught else None,
        best_of=work.best_of,
        fitting=sum(each == "yes" for each in told),
        other_told=sum(each != "none" for each in told),
    )
    path = work.folder / "evaluation.json"
    path.write_text(json.dumps(evaluation.to_dict(), indent=1) + "\n", encoding="utf-8")
    return evaluation


class _Work:
    """One evaluation while it is being carried out."""

    def __init__(
        self,
        *,
        agent: AgentBuilder,
        tasks: list[Task],
        critic: Critic,
        folder: Path,
        attempts: int,
        settings: Settings,
    ) -> None:
        self.agent, self.critic, self.attempts = agent, critic, attempts
        self.folder = folder
        self.best_of = attempts
        self.base = Plan(
            agent=None,
            tasks=tasks,
            folder=folder,
            meter=Meter(settings.get("budget")),
            grader=settings.get("grader"),
            concurrency=settings.get("concurrency", 16),
            seed=settings.get("seed", 0),
            resume=settings.get("resume", True),
            progress=settings.get("progress"),
        )

    async def conditions(self, wanted: Sequence[str]) -> dict[str, Run]:
        """Run the conditions that are wanted, the shared first attempt before the others."""
        texts = Prompts()
        first = await self._run("first", self.critic, attempts=1)
        told = {
            attempt.id: attempt
            for trajectory in first.trajectories()
            for attempt in trajectory.attempts
            if attempt.feedback is not None
        }
        made = effects(first.folder / "journal.jsonl", attempt=1, node="act")
        self.base = replace(self.base, given=made.get)
        shared = Shared(self.critic, told)
        blind = Retold(shared, lambda attempt, own: own.replace(text=texts.render("again"), kind="unary"))
        binary = Retold(shared, lambda attempt, own: own.replace(text=texts.render("binary"), kind="binary"))
        verbal = Retold(shared, lambda attempt, own: own)
        other = Retold(shared, OtherTask(told, self.base.seed))
        runs = {"first": first}
        for name, critic in (("blind", blind), ("binary", binary), ("verbal", verbal), ("other_task", other)):
            if name in wanted:
                runs[name] = await self._run(name, critic)
        if "best_of_n" in wanted:
            self.best_of = equal_calls(first, runs["verbal"])
            runs["best_of_n"] = await self._run("best_of_n", blind, attempts=self.best_of, history=0)
        return runs

    async def with_memory(self, memory: Memory, lesson: list[Task]) -> tuple[Run, Run]:
        """Learn from the lesson, then try the tasks once, with the memory: both runs."""
        plain = replace(self.base, given=lambda place: None)
        self.base = replace(plain, tasks=distinct(lesson))
        taught = await self._run("teach", self.critic, memory=memory)
        self.base = plain
        return taught, await self._run("with_memory", self.critic, attempts=1, memory=memory)

    async def _run(
        self,
        name: str,
        critic: Critic,
        *,
        attempts: int | None = None,
        history: int | None = 1,
        memory: Memory | None = None,
    ) -> Run:
        agent = self.agent(
            critic=critic, memory=memory, attempts=attempts or self.attempts, history=history, stop=()
        )
        return await carry_out(replace(self.base, agent=agent, folder=self.folder / name))


def _known(conditions: Sequence[str]) -> Sequence[str]:
    """The conditions to run; BadInput names one that there is not, or that lacks another."""
    for name in conditions:
        if name not in CONDITIONS:
            raise BadInput(f"no condition named {name!r}; known: {', '.join(CONDITIONS)}")
    if "best_of_n" in conditions and "verbal" not in conditions:
        raise BadInput("best_of_n is given as many calls as verbal takes; add verbal to the conditions")
    return conditions


def _tokens(figures: Figures) -> int:
    return figures.usage.tokens_in + figures.usage.tokens_out


def equal_calls(first: Run, verbal: Run) -> int:
    """Samples that best-of-n gets: no task of it may make fewer calls than the dearest verbal one.

    Every role's calls count, and a sample costs what the first attempt cost on average.
    """
    most = max((len(trajectory.calls) for trajectory in verbal.trajectories()), default=1)
    each = sum(first.figures.calls.values()) / max(1, first.figures.trajectories)
    return max(1, math.ceil(most / max(1.0, each)))


def _memory_gain(without: Figures, taught: Figures) -> Comparison | None:
    both = set(without.results) & set(taught.results)
    return compare_results(without.results, taught.results) if both else None


def _gains(known: Mapping[str, Figures]) -> dict[str, Comparison]:
    """Each condition against verbal, and blind against other words, over the tasks that both finished.

    Pairs of which one was not wanted are left out.
    """
    pairs = {name: (name, "verbal") for name in CONDITIONS if name != "verbal"}
    pairs["other_task over blind"] = ("blind", "other_task")
    return {
        name: compare_results(known[first].results, known[second].results)
        for name, (first, second) in pairs.items()
        if {first, second} <= set(known) and set(known[first].results) & set(known[second].results)
    }


def compare(first: str | Path | Run, second: str | Path | Run) -> Comparison:
    """Is the second run better than the first? Paired by task; tasks that only one has are left out."""
    runs = [each if isinstance(each, Run) else Run(each) for each in (first, second)]
    return compare_results(runs[0].figures.results, runs[1].figures.results)
