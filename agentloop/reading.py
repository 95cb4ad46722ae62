"""Puts trajectories together again from a journal, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentloop.journal import Effect, read, trajectory_of
from agentloop.packing import Packer
from agentloop.types import (
    Attempt,
    Call,
    Correction,
    Fact,
    Feedback,
    Reflection,
    Step,
    Task,
    Trajectory,
    Usage,
)


def trajectories(path: str | Path) -> Iterator[Trajectory]:
    """Every finished trajectory of the journal at ``path``, each once, in the order they finished.

    Memory holds the unfinished ones only.
    """
    last_end = {entry["end"]: index for index, entry in enumerate(read(path)) if "end" in entry}
    run, tasks = "", {}
    open_ones: dict[str, _Draft] = {}
    for index, entry in enumerate(read(path)):
        if "journal" in entry:
            run = entry["run"]
        elif "task" in entry:
            task = Task.from_dict(entry["task"])
            tasks[task.id] = task
        elif "place" in entry:
            name = trajectory_of(entry["place"])
            open_ones.setdefault(name, _Draft(name)).add(entry)
        elif last_end[entry["end"]] == index:
            draft = open_ones.pop(entry["end"], None) or _Draft(entry["end"])
            yield draft.finish(run, tasks[entry["task_id"]], entry)


@dataclass
class _Draft:
    """The effects of one trajectory as they are read."""

    name: str
    calls: list[Call] = field(default_factory=list)
    attempts: dict[int, dict[str, Any]] = field(default_factory=dict)
    packer: Packer = field(default_factory=Packer)

    def add(self, entry: dict[str, Any]) -> None:
        number = int(entry["place"].rsplit("/", 3)[1])
        kind, value = entry["kind"], entry["value"]
        if kind == "call":
            call = self.packer.unpack(entry["place"], value)
            self.calls.append(call)
            if number:
                self._attempt(number).setdefault("calls", []).append(call)
        elif number and kind == "step":
            self._attempt(number).setdefault("steps", []).append(Step.from_dict(value))
        elif number:
            self._attempt(number)[kind] = value

    def finish(self, run: str, task: Task, end: dict[str, Any]) -> Trajectory:
        drafted = {number: parts for number, parts in sorted(self.attempts.items()) if "attempt" in parts}
        for number, parts in drafted.items():
            # Noted on one that was judged and followed, an error was of its reflection or made good since.
            if "feedback" in parts and (end["stop_reason"] != "error" or number != max(drafted)):
                parts.pop("error", None)
        attempts = tuple(_attempt(self.name, task, number, parts) for number, parts in drafted.items())
        chosen = next((each for each in attempts if each.number == end.get("chosen")), None)
        usage = Usage()
        for call in self.calls:
            usage = usage + call.usage
        return Trajectory(
            id=self.name,
            group_id=end["group"],
            run=run,
            task=task,
            attempts=attempts,
            calls=tuple(self.calls),
            chosen=end.get("chosen"),
            passed=chosen.passed if chosen else None,
            stop_reason=end["stop_reason"],
            stop_signal=end.get("stop_signal", "none"),
            error=end.get("error"),
            usage=usage,
        )

    def _attempt(self, number: int) -> dict[str, Any]:
        return self.attempts.setdefault(number, {})


def _attempt(trajectory: str, task: Task, number: int, parts: dict[str, Any]) -> Attempt:
    noted = parts["attempt"]
    calls: list[Call] = parts.get("calls", [])
    feedback = Feedback.from_dict(parts["feedback"]) if "feedback" in parts else None
    score = parts.get("score")
    recorded = any(call.role == "critic" for call in calls)
    usage = feedback.usage if feedback and not recorded else Usage()
    for call in calls:
        usage = usage + call.usage
    return Attempt(
        id=f"{trajectory}/{number}",
        trajectory=trajectory,
        task=task,
        number=number,
        text=noted.get("text", ""),
        calls=tuple(call.place for call in calls),
        steps=tuple(parts.get("steps", ())),
        facts=tuple(Fact.from_dict(fact) for fact in parts.get("facts", ())),
        feedback=feedback,
        reflection=Reflection.from_dict(parts["reflection"]) if parts.get("reflection") else None,
        recalled=tuple(noted.get("recalled", ())),
        follows=parts.get("follows"),
        error=noted.get("error") or parts.get("error"),
        usage=usage,
        score=score,
        passed=has_passed(score, feedback),
        trainable=not any(call.redacted for call in calls if call.role == "actor"),
    )


def has_passed(score: float | None, feedback: Feedback | None) -> bool | None:
    """A grader's score decides (1.0 is a pass); without one the critic's verdict; else unknown."""
    if score is not None:
        return score >= 1.0
    if feedback is None or feedback.verdict == "unsure":
        return None
    return feedback.verdict == "pass"


def effects(path: str | Path, *, attempt: int, node: str) -> dict[str, Effect]:
    """What was recorded in one node of one attempt of every trajectory, by place; calls are whole."""
    found: dict[str, Effect] = {}
    packers: dict[str, Packer] = {}
    for entry in read(path):
        if "place" not in entry:
            continue
        place, value = entry["place"], entry["value"]
        trajectory, number, made_in, _ = place.rsplit("/", 3)
        if entry["kind"] == "call":
            value = packers.setdefault(trajectory, Packer()).unpack(place, value)
        if int(number) == attempt and made_in == node:
            found[place] = Effect(entry["kind"], entry["ask"], value)
    return found


def corrections(path: str | Path) -> Iterator[Correction]:
    """Every correction that the run of this journal wrote to a memory."""
    for entry in read(path):
        if entry.get("kind") == "record":
            yield Correction.from_dict(entry["value"])
