"""``replay``: does a candidate correction help? The same tasks with it and without it, until that is clear.

Each task is tried twice, one attempt each: with the memory as it is, and with the candidate among what is
recalled. Tasks at which the memory would not show the candidate say nothing and are passed over, and so is
the task that taught it. What counts is the tasks that end differently. If the candidate changed nothing,
they would fall to either side like a coin, so a gambler who stakes on one side wins nothing on average;
his money, spread evenly over all chances above a half that the coin may have, after b tasks one way and w
the other has become

    2^(b+w+1) B(b+1, w+1) P(X <= b),   X binomial with b+w+1 throws of a fair coin,

and ever reaches 1/alpha with a chance of at most alpha (Ville 1939; the mixture is Robbins's, 1970). So the
replay may look after every round and stop as soon as either side has won, or neither can any more.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, Unpack

from agentloop.budget import Meter
from agentloop.errors import AgentloopError, BadInput, BudgetSpent
from agentloop.loop import Plan, Settings, carry_out, distinct
from agentloop.memories.overlap import overlaps
from agentloop.run import Run
from agentloop.running import background
from agentloop.types import Correction, CorrectionStatus, Memory, Task

Verdict: TypeAlias = Literal["helps", "harms", "unclear", "never_shown"]


class ReplayFailed(AgentloopError):
    """No task came to an end; nothing was marked."""


class Trying(Protocol):
    """A memory that shows what it would recall, and whose corrections can be given another status."""

    async def preview(
        self, task: Task, /, *, limit: int = 5, trying: Collection[str] = ()
    ) -> Sequence[Correction]:
        """What would be recalled if those in ``trying`` were active; nothing is counted."""
        ...

    def get(self, id: str) -> Correction:
        """The correction with this id."""
        ...

    def promote(self, id: str, why: Mapping[str, Any]) -> None:
        """Make a candidate active, with what speaks for it."""
        ...

    def mark(self, id: str, status: CorrectionStatus) -> None:
        """Give a correction another status."""
        ...


class AgentBuilder(Protocol):
    """Builds the agent that is to be helped: ``partial(reflect_and_retry, model=..., critic=...)``."""

    def __call__(self, *, memory: Memory, attempts: int) -> Any:
        """An agent with this memory and as many attempts."""
        ...


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay found: tasks that only pass with the correction, only without it, and either way.

    ``lost`` tasks came to no end in one of the runs. ``evidence`` is what a bet of 1 on the better side has
    become: how many times less likely than under a fair coin such a run of luck may be called.
    """

    id: str
    verdict: Verdict
    better: int
    worse: int
    same: int
    lost: int
    evidence: float
    alpha: float

    @property
    def tasks(self) -> int:
        """Tasks that were tried both ways."""
        return self.better + self.worse + self.same

    def to_dict(self) -> dict[str, Any]:
        """The replay for programs."""
        return {**asdict(self), "evidence": round(self.evidence, 3), "tasks": self.tasks}


def replay(
    memory: Trying,
    id: str,
    tasks: Iterable[Task],
    *,
    agent: AgentBuilder,
    folder: str | Path,
    alpha: float = 0.01,
    most: int = 24,
    together: int = 4,
    **settings: Unpack[Settings],
) -> Replay:
    """Replay tasks with and without a candidate, and make it active or quarantine it; see ``areplay``.

    Works in a notebook too.
    """
    options: dict[str, Any] = {"alpha": alpha, "most": most, "together": together, **settings}
    return background.run(areplay(memory, id, tasks, agent=agent, folder=folder, **options))


async def areplay(
    memory: Trying,
    id: str,
    tasks: Iterable[Task],
    *,
    agent: AgentBuilder,
    folder: str | Path,
    alpha: float = 0.01,
    most: int = 24,
    together: int = 4,
    **settings: Unpack[Settings],
) -> Replay:
    """Replay ``tasks``, ``together`` at once, with and without a correction that is not active.

    Tasks that share most of its rare words come first, since there it has something to say; the others keep
    their order. It becomes active when the replay shows that it helps, is quarantined when it shows that it
    harms, and stays as it is otherwise: after ``most`` tasks, or when those left could not decide. A
    candidate that does nothing is called either with a chance of at most ``alpha`` each; of many candidates
    that do nothing, that share may so get in. ``settings`` are those of ``aimprove``, but ``samples`` must be
    1. The runs lie in ``folder``/ID; called again, a replay that was cut off goes on there.
    """
    _refuse_impossible(alpha=alpha, most=most, together=together, samples=settings.get("samples", 1))
    if memory.get(id).status == "active":
        raise BadInput(f"correction {id!r} is active already; a replay tries those that are not yet")
    number = 0
    left: Sequence[Task] = nearest(memory.get(id), distinct(tasks))
    needed = next(count for count in itertools.count(1) if evidence(count, 0) >= 1 / alpha)
    if min(most, len(left)) < needed:
        raise BadInput(
            f"with alpha={alpha} a replay needs at least {needed} tasks; got {len(left)} and most={most}"
        )
    work = _Work(memory, id, agent=agent, folder=Path(folder) / id, settings=settings)
    while (tried := number * together) < most and not work.is_decided(
        alpha, left=min(most - tried, len(left))
    ):
        part, left = await work.where_shown(left, min(together, most - tried))
        if not part:
            break
        number += 1
        await work.round(number, part)
    found = work.found(alpha)
    if found.verdict == "helps":
        memory.promote(id, {"by": "replay", **found.to_dict()})
    elif found.verdict == "harms":
        memory.mark(id, "quarantined")
    return found


def _refuse_impossible(*, alpha: float, most: int, together: int, samples: int) -> None:
    if not 0 < alpha < 1:
        raise BadInput(f"alpha is a chance above 0 and below 1, got {alpha}; 0.01 is usual")
    for name, value in (("most", most), ("together", together)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1 task, got {value}")
    if samples != 1:
        raise BadInput(f"a replay takes one sample a task, got samples={samples}; give more tasks")


def nearest(correction: Correction, tasks: Sequence[Task]) -> Sequence[Task]:
    """The tasks by the share of the correction's rare words in their prompts, the largest first."""
    shares = overlaps(correction.text, [task.prompt for task in tasks])
    return [tasks[place] for place in sorted(range(len(tasks)), key=lambda each: -shares[each])]


def evidence(wins: int, losses: int) -> float:
    """What a bet of 1 on a coin's leaning to the winning side has become; see the top of this file."""
    throws = wins + losses + 1
    below = math.fsum(math.comb(throws, k) for k in range(wins + 1)) / 2**throws
    return float(2**throws * below / (math.comb(throws - 1, wins) * throws))


class _Work:
    """One replay while it is being carried out."""

    def __init__(
        self, memory: Trying, id: str, *, agent: AgentBuilder, folder: Path, settings: Settings
    ) -> None:
        self.memory, self.id, self.agent, self.folder = memory, id, agent, folder
        self.without, self.with_it = _As(memory), _As(memory, [id])
        self.better = self.worse = self.same = self.lost = 0
        self.base = Plan(
            agent=None,
            tasks=(),
            folder=folder,
            meter=Meter(settings.get("budget")),
            grader=settings.get("grader"),
            concurrency=settings.get("concurrency", 16),
            seed=settings.get("seed", 0),
            resume=settings.get("resume", True),
            progress=settings.get("progress"),
        )

    async def where_shown(self, tasks: Sequence[Task], count: int) -> tuple[Sequence[Task], Sequence[Task]]:
        """The first ``count`` tasks at which it would be shown, but for the one that taught it; the rest."""
        own = re.sub(r"#\d+$", "", self.memory.get(self.id).source.trajectory)
        shown: list[Task] = []
        for place, task in enumerate(tasks):
            if len(shown) == count:
                return shown, tasks[place:]
            if task.id == own:
                continue
            found = await self.with_it.recall(task.replace(hidden={}))
            if any(each.id == self.id for each in found):
                shown.append(task)
        return shown, ()

    async def round(self, number: int, tasks: Sequence[Task]) -> None:
        """Try some tasks without and with the correction."""
        without = await self._passed(f"without-{number}", self.without, tasks)
        with_it = await self._passed(f"with-{number}", self.with_it, tasks)
        if not without.keys() & with_it.keys():
            raise ReplayFailed(
                f"no task of round {number} came to an end with and without {self.id!r} "
                f"({self._broke(number)}); nothing was marked. See to that and give another folder"
            )
        for task in tasks:
            if task.id not in without or task.id not in with_it:
                self.lost += 1
            elif with_it[task.id] == without[task.id]:
                self.same += 1
            elif with_it[task.id]:
                self.better += 1
            else:
                self.worse += 1

    def is_decided(self, alpha: float, *, left: int) -> bool:
        """Whether one side has won, or none can with the tasks that are left."""
        left = max(0, left)
        could = max(evidence(self.better + left, self.worse), evidence(self.worse + left, self.better))
        return self.found(alpha).verdict in ("helps", "harms") or could < 1 / alpha

    def found(self, alpha: float) -> Replay:
        """What is known so far."""
        helps, harms = evidence(self.better, self.worse), evidence(self.worse, self.better)
        verdict: Verdict = "helps" if helps >= 1 / alpha else "harms" if harms >= 1 / alpha else "unclear"
        if not self.better + self.worse + self.same + self.lost:
            verdict = "never_shown"
        return Replay(
            id=self.id,
            verdict=verdict,
            better=self.better,
            worse=self.worse,
            same=self.same,
            lost=self.lost,
            evidence=max(helps, harms),
            alpha=alpha,
        )

    async def _passed(self, name: str, memory: Memory, tasks: Sequence[Task]) -> Mapping[str, bool]:
        """Which tasks passed at one attempt each, of those that came to an end."""
        agent = self.agent(memory=memory, attempts=1)
        run = await carry_out(replace(self.base, agent=agent, tasks=tasks, folder=self.folder / name))
        self._refuse_unfinished(run, tasks)
        return {task: results[0] == 1.0 for task, results in run.figures.results.items()}

    def _broke(self, number: int) -> str:
        """The first error of a round."""
        runs = (Run(self.folder / f"{name}-{number}") for name in ("without", "with"))
        errors = (each.error for run in runs for t in run.trajectories() for each in t.attempts)
        return next(filter(None, errors), "the agent stopped before its end")

    def _refuse_unfinished(self, run: Run, tasks: Sequence[Task]) -> None:
        spent = self.base.meter.limit_reached()
        if spent is not None and len(run.figures.results) < len(tasks):
            raise BudgetSpent(
                f"the replay of {self.id!r} in {self.folder} is not finished: {spent}. Nothing was marked; "
                "go on there with a larger budget"
            )


class _As:
    """A memory as it would be with some corrections active; nothing is counted or learnt through it."""

    def __init__(self, memory: Trying, trying: Collection[str] = ()) -> None:
        self.memory, self.trying = memory, tuple(trying)
        self._known: dict[tuple[str, int], Sequence[Correction]] = {}

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """What would be recalled; the same for a task throughout the replay."""
        if (task.id, limit) not in self._known:
            self._known[task.id, limit] = await self.memory.preview(task, limit=limit, trying=self.trying)
        return self._known[task.id, limit]

    async def record(self, correction: Correction, /) -> None:
        """Keep nothing."""

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count nothing."""
