"""``evaluate``: what feedback in words is worth beside its controls; ``compare``: is one run better.

The conditions share their tasks and each task's first attempt, and all stop by the same signal, the
critic's verdict; they differ only in what the agent is shown after a failure:

- ``first``: nothing, it has one attempt;
- ``blind``: "try again"; ``binary``: that it was wrong; ``verbal``: the critic's words;
- ``other_task``: the words that the critic said of another task;
- ``best_of_n``: nothing, it samples anew until the signal says pass, with at least as many calls.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Unpack

from agentloop.bringing import bring
from agentloop.budget import Meter
from agentloop.comparing import Comparison, compare_results
from agentloop.errors import BadInput
from agentloop.hidden import may_see_hidden
from agentloop.loop import Plan, Settings, carry_out, distinct
from agentloop.prompts import Prompts
from agentloop.reading import effects
from agentloop.run import Figures, Run
from agentloop.running import background
from agentloop.types import Attempt, Critic, Feedback, Memory, Task, digest

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
class Evaluation:
    """The conditions in figures, and what verbal feedback gains over each of the others."""

    folder: Path
    conditions: Mapping[str, Figures]
    gains: Mapping[str, Comparison]
    memory: Mapping[str, Figures]
    memory_gain: Comparison | None
    best_of: int
    fitting: int
    other_told: int

    @property
    def privileged(self) -> bool:
        """Whether the figures rest on a critic that knew hidden data."""
        return any(figures.privileged for figures in self.conditions.values())

    def to_dict(self) -> dict[str, Any]:
        """The evaluation for programs."""
        return {
            "conditions": {name: figures.to_dict() for name, figures in self.conditions.items()},
            "gains": {name: comparison.to_dict() for name, comparison in self.gains.items()},
            "memory": {name: figures.to_dict() for name, figures in self.memory.items()},
            "memory_gain": self.memory_gain.to_dict() if self.memory_gain else None,
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
    **settings: Unpack[Settings],
) -> Evaluation:
    """Run every condition over the same tasks, each in a folder of its own under ``folder``.

    With ``memory``, the agent first learns from the tasks in ``teach`` with verbal feedback; then its
    first attempts at ``tasks`` with the memory are compared with those without. ``settings`` are those
    of ``aimprove``; ``samples`` must be 1, ``progress`` is told of each condition's run.
    """
    lesson, tasks = list(teach), distinct(tasks)
    if settings.get("samples", 1) != 1:
        raise BadInput(
            f"evaluate takes one sample a task, got samples={settings['samples']}; give more tasks"
        )
    if memory is not None and not lesson:
        raise BadInput("a memory was given but no tasks to learn from; give teach=[...]")
    work = _Work(
        agent=agent, tasks=tasks, critic=critic, folder=Path(folder), attempts=attempts, settings=settings
    )
    runs = await work.conditions()
    known = {name: run.figures for name, run in runs.items()}
    taught = await work.with_memory(memory, lesson) if memory is not None else None
    told = [
        attempt.feedback.items.get("fits")
        for trajectory in runs["other_task"].trajectories()
        for attempt in trajectory.attempts
        if attempt.feedback is not None and "fits" in attempt.feedback.items
    ]
    evaluation = Evaluation(
        folder=work.folder,
        conditions=known,
        gains=_gains(known),
        memory={"without": known["first"], "with": taught.figures} if taught else {},
        memory_gain=_memory_gain(known["first"], taught.figures) if taught else None,
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

    async def conditions(self) -> dict[str, Run]:
        """Run the conditions, the shared first attempt before the others."""
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
        shared = _Shared(self.critic, told)
        blind = _Retold(shared, lambda attempt, own: own.replace(text=texts.render("again"), kind="unary"))
        binary = _Retold(shared, lambda attempt, own: own.replace(text=texts.render("binary"), kind="binary"))
        runs = {"first": first}
        runs["blind"] = await self._run("blind", blind)
        runs["binary"] = await self._run("binary", binary)
        runs["verbal"] = await self._run("verbal", _Retold(shared, lambda attempt, own: own))
        runs["other_task"] = await self._run("other_task", _Retold(shared, _OtherTask(told, self.base.seed)))
        self.best_of = equal_calls(first, runs["verbal"])
        runs["best_of_n"] = await self._run("best_of_n", blind, attempts=self.best_of, history=0)
        return runs

    async def with_memory(self, memory: Memory, lesson: list[Task]) -> Run:
        """Learn from the lesson, then try the tasks once, with the memory."""
        plain = replace(self.base, given=lambda place: None)
        self.base = replace(plain, tasks=distinct(lesson))
        await self._run("teach", self.critic, memory=memory)
        self.base = plain
        return await self._run("with_memory", self.critic, attempts=1, memory=memory)

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


class _Shared:
    """The critic; what it said of the shared first attempts is not asked for again."""

    def __init__(self, critic: Critic, told: Mapping[str, Attempt]) -> None:
        self.critic = critic
        self.told = told
        self.sees_hidden = may_see_hidden(critic)
        self.signal = getattr(critic, "signal", "public")

    async def __call__(self, attempt: Attempt) -> Feedback:
        """What the critic says of the attempt."""
        known = self.told.get(attempt.id)
        if known is not None and known.text == attempt.text and known.feedback is not None:
            return known.feedback
        return await bring(self.critic, attempt)


class _Retold:
    """The critic's verdict in other words: a pass stays as it is."""

    def __init__(self, critic: _Shared, words: Callable[[Attempt, Feedback], Feedback]) -> None:
        self.inner = critic
        self.words = words
        self.sees_hidden = critic.sees_hidden
        self.signal = critic.signal

    async def __call__(self, attempt: Attempt) -> Feedback:
        """The verdict on the attempt with the words of this condition."""
        own = await self.inner(attempt)
        return own if own.verdict == "pass" else self.words(attempt, own)


class _OtherTask:
    """Words that the critic said of another task, drawn anew for every attempt.

    ``items["fits"]`` says whether a sentence of them is also what the critic says here: by chance
    another task's words can be right. It says ``none`` where no other task failed, so that there are
    no words to tell; "try again" then stands in for them.
    """

    def __init__(self, told: Mapping[str, Attempt], seed: int) -> None:
        failed = [each for each in told.values() if each.feedback and each.feedback.verdict != "pass"]
        # In an order of its own: which attempt was finished first differs from run to run.
        self.pool = sorted((each.task.id, each.feedback.text) for each in failed if each.feedback)
        self.seed = seed

    def __call__(self, attempt: Attempt, own: Feedback) -> Feedback:
        """Another task's words."""
        draw = random.Random(digest(str(self.seed), attempt.id))
        others = [text for task, text in self.pool if task != attempt.task.id]
        if not others:
            again = Prompts().render("again")
            return own.replace(text=again, kind="unary", items={**own.items, "fits": "none"})
        text = draw.choice(others)
        fits = bool(_sentences(text) & _sentences(own.text))
        return own.replace(text=text, items={**own.items, "fits": "yes" if fits else "no"}, spans=())


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
    """Each condition against verbal, and blind against other words, over the tasks that both finished."""
    pairs = {name: (name, "verbal") for name in CONDITIONS if name != "verbal"}
    pairs["other_task over blind"] = ("blind", "other_task")
    return {
        name: compare_results(known[first].results, known[second].results)
        for name, (first, second) in pairs.items()
        if set(known[first].results) & set(known[second].results)
    }


def _sentences(text: str) -> set[str]:
    parts = text.replace("\n", ". ").replace("; ", ". ").split(". ")
    return {part.strip(" .").lower() for part in parts if part.strip(" .")}


def compare(first: str | Path | Run, second: str | Path | Run) -> Comparison:
    """Is the second run better than the first? Paired by task; tasks that only one has are left out."""
    runs = [each if isinstance(each, Run) else Run(each) for each in (first, second)]
    return compare_results(runs[0].figures.results, runs[1].figures.results)
