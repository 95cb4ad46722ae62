"""Graduation: corrections that training has absorbed are retired from memory.

A correction is retired only when held-out tasks pass without it as often as with it. Runs over the same
tasks, one attempt each, decide:

- ``with``: the whole memory. A correction is *tried* at the tasks where it was recalled first, since what
  is recalled below the first is mostly near the task and of no use to it. One that is tried at fewer than
  ``minimum`` tasks, or at none that passes, is untested and stays.
- ``without``: no memory at all. One whose tasks pass less often now is needed and stays.
- ``confirm-1``, ``confirm-2`` ...: the memory without all the others, together. One whose tasks pass less
  often now stays after all, be they the tasks it was tried at or all those that recalled it; and the rest
  are taken out again, until none loses anything. Only these are retired. Each round takes out fewer than
  the one before, so this ends.

Corrections of the same text and scope are one correction here: a memory shows the same words once, so that
a twin left behind would be recalled instead. The same words with another scope are another correction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Unpack

from agentloop.budget import Meter
from agentloop.errors import AgentloopError, BadInput, BudgetSpent
from agentloop.loop import Plan, Settings, carry_out, distinct
from agentloop.run import Run
from agentloop.running import background
from agentloop.training.graduated import Examined, Graduation, Words, write_whole
from agentloop.training.leaving_out import Kept, Markable, Readable, Uncounted, Without
from agentloop.training.trying import ABSORBED, NEEDED, Lesson, Tries, read, replies, untested, with_tasks
from agentloop.types import Memory, Task, digest


class GraduationFailed(AgentloopError):
    """Some held-out tasks have no result; nothing was marked."""


class AgentBuilder(Protocol):
    """Builds the agent around the trained model: ``partial(reflect_and_retry, model=..., critic=...)``."""

    def __call__(self, *, memory: Memory | None, attempts: int) -> Any:
        """An agent with this memory, or none, and as many attempts."""
        ...


def graduate(
    memory: Kept,
    *,
    agent: AgentBuilder,
    tasks: Iterable[Task],
    folder: str | Path,
    reader: Readable | None = None,
    minimum: int = 5,
    **settings: Unpack[Settings],
) -> Graduation:
    """Examine the memory's corrections, then retire those that training has absorbed.

    ``reader`` is the same memory opened so that recalls are not counted, ``CorrectionMemory(folder,
    read_only=True)``; it may be left out for a memory that counts none. The rest is as for ``aexamine``.
    Nothing is marked before everything has been measured and written down. Works in a notebook too;
    called again on the same folder, it goes on where it was cut off, and marks nothing twice.
    """
    source = Uncounted(memory) if reader is None else reader
    found = examine(source, agent=agent, tasks=tasks, folder=folder, minimum=minimum, **settings)
    return retire(memory, found)


def examine(
    memory: Readable,
    *,
    agent: AgentBuilder,
    tasks: Iterable[Task],
    folder: str | Path,
    minimum: int = 5,
    **settings: Unpack[Settings],
) -> Graduation:
    """Find out which corrections could be retired, and mark none; see ``aexamine``.

    Works in a notebook too.
    """
    return background.run(
        aexamine(memory, agent=agent, tasks=tasks, folder=folder, minimum=minimum, **settings)
    )


async def aexamine(
    memory: Readable,
    *,
    agent: AgentBuilder,
    tasks: Iterable[Task],
    folder: str | Path,
    minimum: int = 5,
    **settings: Unpack[Settings],
) -> Graduation:
    """Find out which active corrections held-out ``tasks`` pass without as often as with; mark none.

    ``agent`` builds an agent around the trained model; give it a temperature of 0, or luck decides close
    cases. The tasks must not be those that the memory learnt from, nor of split ``train``. ``settings`` are
    those of ``aimprove``, but ``samples`` must be 1; a budget holds for all runs together. The runs and the
    report (``graduation.json``, ``graduation.md``) go to ``folder``.
    """
    listed = distinct(tasks)
    _check(memory, listed, minimum=minimum, samples=settings.get("samples", 1))
    begun = _begin(memory, Path(folder), tasks=listed, minimum=minimum)
    work = _Work(memory, agent=agent, tasks=listed, folder=Path(folder), settings=settings)
    found = await work.examine(begun, minimum)
    active = {each.id for each in memory.list() if each.status == "active"}
    left = any(id in active for each in found.retired for id in each.ids)
    found = replace(found, marked=not left)
    found.write()
    return found


def retire(memory: Markable, found: Graduation) -> Graduation:
    """Mark the corrections that were found absorbed as retired, with every twin that is active now."""
    absorbed = {each.words for each in found.retired}
    for each in memory.list():
        if each.status == "active" and Words.of(each) in absorbed:
            memory.mark(each.id, "retired")
    marked = replace(found, marked=True)
    marked.write()
    return marked


class _Work:
    """One examination while it is being carried out."""

    def __init__(
        self,
        memory: Readable,
        *,
        agent: AgentBuilder,
        tasks: Sequence[Task],
        folder: Path,
        settings: Settings,
    ) -> None:
        self.memory, self.agent, self.folder = memory, agent, folder
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

    async def examine(self, begun: Sequence[Lesson], minimum: int) -> Graduation:
        """Run with the memory, without it, and without the candidates; sort the corrections."""
        whole = await self._tries("with", Without(self.memory))
        self.base = replace(self.base, given=replies(self.folder / "with").get)
        none = await self._tries("without", None)
        lessons = with_tasks(begun, whole)
        said = {lesson: untested(lesson, whole, minimum) for lesson in lessons}
        retired, kept, after = await self._sift([each for each in lessons if not said[each]], whole, none)
        return Graduation(
            folder=self.folder,
            minimum=minimum,
            tasks=len(whole.passed),
            passed_with=whole.count(whole.passed),
            passed_without=none.count(none.passed),
            passed_after=after.count(after.passed),
            grader=Run(self.folder / "with").settings["grader"],
            privileged=whole.privileged,
            models=tuple(sorted(whole.models)),
            marked=False,
            retired=tuple(retired),
            kept=tuple(kept),
            untested=tuple(each.beside(whole, none, said[each]) for each in lessons if said[each]),
        )

    async def _sift(
        self, candidates: Sequence[Lesson], whole: Tries, none: Tries
    ) -> tuple[Sequence[Examined], Sequence[Examined], Tries]:
        """The corrections that may go, those that must stay, and the run without those that may go."""
        needed = [each for each in candidates if whole.loses(none, each.tried)]
        kept = [each.beside(whole, none, NEEDED) for each in needed]
        number, candidates = 0, [each for each in candidates if each not in needed]
        while candidates:
            number += 1
            ids = [id for each in candidates for id in each.ids]
            rest = await self._tries(f"confirm-{number}", Without(self.memory, ids))
            needed = [
                each
                for each in candidates
                if whole.loses(rest, each.tried) or whole.loses(rest, each.recalled)
            ]
            if not needed:
                return [each.beside(whole, rest, ABSORBED) for each in candidates], kept, rest
            kept += [each.beside(whole, rest, each.why_beside(whole, rest)) for each in needed]
            candidates = [each for each in candidates if each not in needed]
        return (), kept, whole

    async def _tries(self, name: str, memory: Memory | None) -> Tries:
        """One attempt at every task, journaled in a folder of that name."""
        agent = self.agent(memory=memory, attempts=1)
        run = await carry_out(replace(self.base, agent=agent, folder=self.folder / name))
        found = read(run)
        lacking = [task.id for task in self.base.tasks if task.id not in found.passed]
        if lacking:
            self._refuse(run, lacking)
        return found

    def _refuse(self, run: Run, lacking: Sequence[str]) -> None:
        """Say why nothing can be decided yet, and how to go on."""
        said = f"{len(lacking)} of {len(self.base.tasks)} held-out tasks have no result in {run.folder}"
        spent = self.base.meter.limit_reached()
        if spent is not None:
            raise BudgetSpent(f"{said}: {spent}. Nothing was marked; go on there with a larger budget")
        errors = (attempt.error for each in run.trajectories() for attempt in each.attempts)
        broke = next(filter(None, errors), "the agent stopped before its end")
        raise GraduationFailed(
            f"{said} ({broke}; the first is {lacking[0]!r}). Nothing was marked; call it again to go on, or "
            "leave those tasks out, in another folder"
        )


def _check(memory: Readable, tasks: Sequence[Task], *, minimum: int, samples: int) -> None:
    """Refuse what would prove nothing: tasks that were learnt from, and too few or too many tries."""
    if minimum < 1:
        raise BadInput(f"minimum must be at least 1 task, got {minimum}")
    if samples != 1:
        raise BadInput(f"a graduation takes one sample a task, got samples={samples}; give more tasks")
    taught: set[str] = set()
    for each in memory.list():
        # A trajectory is named after its task and the number of its sample; outside a run, after the task.
        taught |= {each.source.trajectory, re.sub(r"#\d+$", "", each.source.trajectory)}
    for why, known in (
        ("taught the memory", [task.id for task in tasks if task.id in taught]),
        ("are of split train", [task.id for task in tasks if task.split == "train"]),
    ):
        if known:
            named = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
            raise BadInput(
                f"{len(known)} of the held-out tasks {why} ({named}); give tasks that neither the memory nor "
                "the model learnt from"
            )


def _begin(memory: Readable, folder: Path, *, tasks: Sequence[Task], minimum: int) -> Sequence[Lesson]:
    """The active corrections with their twins, as they were when the graduation in ``folder`` began."""
    active = {each.id: Words.of(each) for each in memory.list() if each.status == "active"}
    asked = {"minimum": minimum, "tasks": digest(*(task.to_json() for task in tasks))}
    path = folder / "begun.json"
    if path.is_file():
        begun = json.loads(path.read_text(encoding="utf-8"))
        corrections = {id: Words(*words) for id, words in begun["corrections"].items()}
        _check_same(begun, asked, folder=folder)
        _check_unchanged(set(corrections), set(active), folder=folder)
    else:
        corrections = active
        if not corrections:
            raise BadInput("the memory keeps no active correction, so there is nothing to graduate")
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({**asked, "corrections": corrections}, ensure_ascii=False) + "\n")
    twins: dict[Words, list[str]] = {}
    for id, words in corrections.items():
        twins.setdefault(words, []).append(id)
    return [Lesson(words, tuple(ids)) for words, ids in twins.items()]


def _check_same(begun: Mapping[str, Any], asked: Mapping[str, Any], *, folder: Path) -> None:
    for name, value in asked.items():
        if begun[name] != value:
            raise BadInput(
                f"the graduation in {folder} was begun with another {name} than now; give the same to go on "
                "with it, or another folder"
            )


def _check_unchanged(begun: set[str], active: set[str], *, folder: Path) -> None:
    """Refuse to go on with another memory; what this graduation itself retired may be gone."""
    path = folder / "graduation.json"
    found = json.loads(path.read_text(encoding="utf-8"))["retired"] if path.is_file() else []
    ours = {id for each in found for id in each["ids"]}
    changed = (active - begun) | (begun - active - ours)
    if changed:
        raise BadInput(
            f"the memory's active corrections changed since the graduation in {folder} began "
            f"({len(changed)}, {sorted(changed)[0]!r} among them); start in another folder"
        )
