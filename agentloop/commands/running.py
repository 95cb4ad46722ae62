"""``agentloop run`` and ``agentloop evaluate``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentloop.commands import telling, watching
from agentloop.commands.building import Wanted, parts, read_tasks, write_json
from agentloop.commands.forecast import forecast
from agentloop.errors import BadInput
from agentloop.evaluation import CONDITIONS
from agentloop.evaluation import evaluate as measure
from agentloop.loop import Progress, improve
from agentloop.types import Task


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of a run."""

    tasks: str
    count: int | None
    out: Path
    dry: bool = False
    """Only forecast the most it can spend."""
    watch: bool = False
    as_json: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the command line asks of an evaluation."""

    tasks: str
    count: int | None
    out: Path
    teach: str | None = None
    teach_count: int | None = None
    conditions: str | None = None
    """Names with commas between; None for all."""
    as_json: bool = False


def run(wanted: Wanted, asked: Asked, *, settings: dict[str, Any]) -> bool:
    """Run the tasks; False when the budget was spent before the end."""
    listed, out = read_tasks(asked.tasks, count=asked.count), asked.out
    if asked.dry:
        wanted = replace(wanted, screenshots=None)
    built = parts(wanted, listed)
    if asked.dry:
        expected = forecast(wanted, built, listed, samples=settings["samples"])
        said = ", ".join(f"{name}: {value}" for name, value in expected.items())
        write_json(expected) if asked.as_json else telling.tell(f"at most {said}")
        return True
    with _progress(asked, listed) as progress:
        done = improve(
            built.agent(wanted), listed, folder=out, grader=built.grader, progress=progress, **settings
        )
    figures = done.figures
    left = len(listed) * settings["samples"] - figures.trajectories - figures.stopped["error"]
    if asked.as_json:
        write_json({"folder": str(out), **figures.to_dict(), "unfinished": left})
    else:
        telling.tell(done.summary())
        telling.tell(f"  journal: {out / 'journal.jsonl'}")
        if left:
            telling.tell(
                f"  {left} trajectories are unfinished: the budget was spent; run again with a larger one"
            )
    return not left


def _progress(asked: Asked, tasks: list[Task]) -> AbstractContextManager[Callable[[Progress], None]]:
    """A bar; where it is to be watched, and can be, the agents at work."""
    title = f"{len(tasks)} tasks"
    if asked.watch and not asked.as_json and telling.talk.is_terminal:
        return watching.live(title, tasks, asked.out / "journal.jsonl")
    return telling.bar(title)


def evaluate(wanted: Wanted, asked: Measured, *, settings: dict[str, Any]) -> None:
    """Run the conditions over the tasks and tell what they gave."""
    listed = read_tasks(asked.tasks, count=asked.count)
    lesson = read_tasks(asked.teach, count=asked.teach_count) if asked.teach else []
    if lesson and wanted.memory is None:
        raise BadInput("--teach names tasks for a memory to learn from: add --memory")
    named = asked.conditions.split(",") if asked.conditions else CONDITIONS
    built = parts(wanted, [*listed, *lesson])
    with telling.bar("conditions") as progress:
        found = measure(
            built.builder(wanted),
            listed,
            critic=built.critic,
            folder=asked.out,
            attempts=wanted.attempts,
            memory=built.memory,
            teach=lesson,
            conditions=[name.strip() for name in named],
            grader=built.grader,
            progress=progress,
            **settings,
        )
    if asked.as_json:
        write_json(found.to_dict())
    else:
        telling.tell_evaluation(found)
