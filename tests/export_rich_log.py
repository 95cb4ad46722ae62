"""One log with all that the methods need of it, and hidden data in every place where a log may hold some."""

from __future__ import annotations

from typing import Any, get_args

from agentloop.export import METHODS, Format, Row
from agentloop.export.formats import Carried
from agentloop.export.formats.lines import open_lines
from agentloop.export.making import Making, lines_of
from agentloop.types import Fact, Task, Trajectory
from tests.export_logs import TASK, Tried, every_need, log

SENTINEL = "XYZZY-SENTINEL-7741"
LEAKED = "its prompt holds hidden data word for word"


def rich_log() -> list[Trajectory]:
    """Several groups with retries, reflections, privileged words and steps, all with planted hidden data."""
    trajectories = [
        *every_need(),
        *_easy(),
        *_middling(),
        *_hard(),
        *_several_steps(),
        log(
            "told/0", Tried("seven", 0.0, told="Off by one.", privileged=True), Tried("8", 1.0), group="told"
        ),
        log("told/1", Tried("8", 1.0, told="Right.", verdict="pass", privileged=True), group="told"),
        log("system/0", Tried("nine", 1.0, told="Right."), group="system", system="You count."),
        log("system/1", Tried("ten", 0.0, told="Too many."), group="system", system="You count."),
        log("dev/0", Tried("eleven", 1.0), group="dev", task=TASK.replace(id="dev", split="dev")),
    ]
    return [*map(planted, trajectories), *_leaking(), _locked()]


AS_MADE = Format(
    name="rows",
    about="each row as the method made it",
    carries={kind: Carried("rows", lambda row, _: iter([{"row": row}])) for kind in get_args(Row)},
    refuses={},
    open=open_lines,
)


def rows_of(method: str, trajectories: list[Trajectory]) -> list[Any]:
    """The rows of a method before any format."""
    return [line["row"] for line in lines_of(trajectories, Making(method=METHODS[method], format=AS_MADE))]


def planted(trajectory: Trajectory) -> Trajectory:
    """The trajectory with hidden data in its task and among the facts of its attempts."""
    task = trajectory.task.replace(hidden={"rows": [[SENTINEL]], "note": SENTINEL * 2})
    fact = Fact(kind="result", data={"wanted": SENTINEL}, hidden=True)
    attempts = tuple(each.replace(task=task, facts=(fact,)) for each in trajectory.attempts)
    return trajectory.replace(task=task, attempts=attempts)


def _task(name: str) -> Task:
    return Task(id=name, prompt=f"How many {name} are there?", split="train")


def _easy() -> list[Trajectory]:
    task = _task("easy")
    right = [
        log(f"easy/{n}", Tried(f"{n + 2}!", 1.0, told="Right."), group="easy", task=task) for n in range(3)
    ]
    retried = log(
        "easy/3", Tried("one", 0.0, told="More."), Tried("two", 1.0, told="Right."), group="easy", task=task
    )
    return [*right, retried]


def _middling() -> list[Trajectory]:
    task = _task("middling")
    return [
        log("middling/0", Tried("thirty", 1.0, told="Right."), group="middling", task=task),
        log(
            "middling/1",
            Tried("forty", 0.0, told="Not forty."),
            Tried("Thirty", 1.0, told="Right."),
            group="middling",
            task=task,
        ),
    ]


def _hard() -> list[Trajectory]:
    task = _task("hard")
    return [
        log(
            f"hard/{n}",
            Tried(f"x{n}", 0.25 * n, told=f"Not x{n}.", verdict="fail"),
            Tried(f"y{n}", 1.0 if n == 1 else 0.5, told="So so."),
            group="hard",
            task=task,
        )
        for n in range(3)
    ]


def _several_steps() -> list[Trajectory]:
    task = _task("steps")
    return [
        log("steps/0", Tried(["look", "two"], 1.0, told="Right."), group="steps", task=task),
        log("steps/1", Tried(["seek", "six"], 0.0, told="Look again."), group="steps", task=task),
    ]


def _leaking() -> list[Trajectory]:
    """A critic that gave the hidden value away, and an agent that then said it."""
    tried = (Tried("six", 0.0, told=f"Want {SENTINEL}."), Tried(SENTINEL, 1.0, told=f"{SENTINEL} it is."))
    return [planted(log(f"leak/{n}", *tried, group="leak", task=_task("leak"))) for n in range(2)]


def _locked() -> Trajectory:
    task = TASK.replace(id="locked", split="test")
    return log("locked/0", Tried("LOCKED", 1.0), group="locked", task=task)
