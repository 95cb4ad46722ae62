"""``agentloop run`` and ``agentloop evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentloop.commands import telling
from agentloop.commands.building import Wanted, parts, read_tasks, write_json
from agentloop.commands.forecast import forecast
from agentloop.evaluation import evaluate as measure
from agentloop.loop import improve


def run(
    wanted: Wanted,
    tasks: str,
    out: Path,
    *,
    count: int | None,
    settings: dict[str, Any],
    dry: bool,
    as_json: bool,
) -> bool:
    """Run the tasks; False when the budget was spent before the end."""
    listed = read_tasks(tasks, count=count)
    built = parts(wanted, listed)
    if dry:
        expected = forecast(wanted, built, listed, samples=settings["samples"])
        said = ", ".join(f"{name}: {value}" for name, value in expected.items())
        write_json(expected) if as_json else telling.tell(f"at most {said}")
        return True
    with telling.bar(f"{len(listed)} tasks") as progress:
        done = improve(
            built.agent(wanted), listed, folder=out, grader=built.grader, progress=progress, **settings
        )
    figures = done.figures
    left = len(listed) * settings["samples"] - figures.trajectories - figures.stopped["error"]
    if as_json:
        write_json({"folder": str(out), **figures.to_dict(), "unfinished": left})
    else:
        telling.tell(done.summary())
        telling.tell(f"  journal: {out / 'journal.jsonl'}")
        if left:
            telling.tell(
                f"  {left} trajectories are unfinished: the budget was spent; run again with a larger one"
            )
    return not left


def evaluate(
    wanted: Wanted,
    tasks: str,
    out: Path,
    *,
    teach: str | None,
    count: int | None,
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    """Run the conditions over the tasks and tell what they gave."""
    listed = read_tasks(tasks, count=count)
    lesson = read_tasks(teach) if teach else []
    built = parts(wanted, [*listed, *lesson])
    with telling.bar("conditions") as progress:
        found = measure(
            built.builder(wanted),
            listed,
            critic=built.critic,
            folder=out,
            attempts=wanted.attempts,
            memory=built.memory,
            teach=lesson,
            grader=built.grader,
            progress=progress,
            **settings,
        )
    if as_json:
        write_json(found.to_dict())
    else:
        telling.tell_evaluation(found)
