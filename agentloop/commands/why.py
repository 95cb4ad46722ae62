"""``agentloop memory why``: the trajectory and the words that taught a correction, and every use since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentloop.commands.keeping import find
from agentloop.commands.listing import columns, one_line, plain, print_rows, told, write_json
from agentloop.commands.telling import out, tell
from agentloop.errors import BadInput, JournalError
from agentloop.hidden import public_attempt, public_task
from agentloop.journal import read
from agentloop.memories.history import History, Use
from agentloop.reading import trajectories
from agentloop.types import Attempt, Correction, Trajectory

_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Taught:
    """The lesson where it was learnt: the run's folder and the attempts, those before it as well."""

    folder: Path
    trajectory: Trajectory
    lesson: Attempt | None
    quote: str

    @property
    def speaker(self) -> str:
        """Who said the quoted words in the attempt that taught."""
        if self.lesson is None:
            return "that attempt is not in the journal"
        said = {
            "the critic": self.lesson.feedback.text if self.lesson.feedback else "",
            "an observation": "\n".join(step.observation for step in self.lesson.steps),
            "the attempt": self.lesson.text,
            "the task": self.lesson.task.prompt,
        }
        found = (who for who, text in said.items() if self.quote and self.quote in text)
        return next(found, "nobody: they do not stand in that attempt")


def why(folder: Path, id: str, *, runs: Path | None, as_json: bool) -> None:
    """Tell where a correction comes from, and what came of it."""
    history = History(folder)
    held = find(history.ledger.corrections, id)
    taught = find_lesson(held, runs) if runs is not None else None
    if as_json:
        write_json(_as_json(history, held, taught))
        return
    _tell_lesson(held, taught, runs)
    _tell_versions(history, held)
    _tell_uses(history.uses(held.id), held)


def find_lesson(held: Correction, runs: Path) -> Taught | None:
    """The trajectory that taught a correction, in the runs under a folder; None where it is not there."""
    if not runs.is_dir():
        raise BadInput(f"--runs: no folder {runs}; give one with folders of runs in it")
    for folder in run_folders(runs, held.source.run):
        for trajectory in _readable(folder):
            if trajectory.id == held.source.trajectory:
                attempts = (each for each in trajectory.attempts if each.number == held.source.attempt)
                lesson = next(attempts, None)
                return Taught(folder=folder, trajectory=trajectory, lesson=lesson, quote=held.source.quote)
    return None


def run_folders(runs: Path, run: str) -> Iterator[Path]:
    """The folders under ``runs`` with the journal of this run; of every run where it is not known."""
    for path in sorted(runs.rglob("journal.jsonl")):
        try:
            header = next(iter(read(path)), {})
        except (BadInput, JournalError):
            continue
        if not run or header.get("run") == run:
            yield path.parent


def _readable(folder: Path) -> Iterator[Trajectory]:
    try:
        yield from trajectories(folder / "journal.jsonl")
    except JournalError as error:
        tell(f"{folder} cannot be read to its end: {error}")


def _tell_lesson(held: Correction, taught: Taught | None, runs: Path | None) -> None:
    source = held.source
    where = f"trajectory {source.trajectory}" if source.trajectory else "no trajectory is named"
    attempt = f", attempt {source.attempt}" if source.attempt else ""
    fields = {
        "says": held.text,
        "applies when": held.applies_when or "always",
        "not when": held.not_when,
        "now": f"{held.status}; recalled {held.recalled}, helped {held.helped}, hurt {held.hurt}",
        "learnt": f"{_day(held.created)} from {where}{attempt}"
        + (f", run {source.run}" if source.run else ""),
        "in the words": source.quote or "none are kept",
    }
    if taught is None:
        missing = "give --runs FOLDER to see the trajectory" if runs is None else f"no such run under {runs}"
        told(fields | {"trajectory": missing})
        return
    told(fields | {"said by": taught.speaker, "journal": str(taught.folder)})
    out.print()
    told({"task": taught.trajectory.task.prompt, **_attempts(taught.trajectory)})


def _attempts(trajectory: Trajectory) -> dict[str, str]:
    """Every attempt with what the critic said of it."""
    lines = {}
    for each in trajectory.attempts:
        verdict = {True: "passed", False: "failed", None: "was not judged"}[each.passed]
        steps = "\n".join(f"> {step.action}\n{step.observation}" for step in each.steps[:_SHOWN])
        lines[f"attempt {each.number}"] = f"{verdict}: {each.error or steps or each.text}"
        if each.feedback is not None:
            privileged = " (it knew the answer)" if each.feedback.privileged else ""
            lines[f"critic on {each.number}"] = each.feedback.text + privileged
    return lines


def _tell_versions(history: History, held: Correction) -> None:
    versions = history.versions(held.id)
    for number, version in enumerate(versions[:-1], start=1):
        scope = f"[{version.correction.applies_when}] " if version.correction.applies_when else ""
        told({f"version {number}": f"from {_day(version.at)}: {scope}{version.correction.text}"})


def _tell_uses(uses: Sequence[Use], held: Correction) -> None:
    out.print()
    if not uses:
        tell("not used since")
        return
    table = columns("when", "what", "*where")
    for use in uses[-_SHOWN:]:
        table.add_row(_day(use.at), one_line(use.what), one_line(use.where))
    print_rows(table)
    left_out = len(uses) - _SHOWN
    if left_out > 0:
        tell(f"and {left_out} earlier; all of them with --json")


def _day(at: str) -> str:
    """A time to the minute, as the logs tell it, in UTC."""
    return plain(at[:16].replace("T", " ")) or "at an unknown time"


def _public(trajectory: Trajectory) -> Trajectory:
    """The trajectory without its calls and without hidden data."""
    attempts = tuple(public_attempt(each) for each in trajectory.attempts)
    return trajectory.replace(calls=(), task=public_task(trajectory.task), attempts=attempts)


def _as_json(history: History, held: Correction, taught: Taught | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "correction": held.to_dict(),
        "versions": [
            {"at": version.at, **version.correction.to_dict()} for version in history.versions(held.id)
        ],
        "uses": [use._asdict() for use in history.uses(held.id)],
        "taught_by": None,
    }
    if taught is not None:
        found["taught_by"] = {
            "folder": str(taught.folder),
            "speaker": taught.speaker,
            "trajectory": _public(taught.trajectory).to_dict(),
        }
    return found
