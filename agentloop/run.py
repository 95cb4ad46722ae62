"""A run as it lies in its folder: settings, journal, and what they tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentloop.errors import BadInput
from agentloop.intervals import Interval, wilson
from agentloop.journal import UNFINISHED
from agentloop.reading import trajectories
from agentloop.types import Attempt, Trajectory, Usage

if TYPE_CHECKING:
    from agentloop.export import ExportReport


class Run:
    """The run in ``folder``. Nothing is kept in memory but its figures."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "settings.json").is_file():
            raise BadInput(
                f"no run in {self.folder}; give the folder that improve() or 'agentloop run' wrote"
            )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the run was asked to do."""
        values: dict[str, Any] = json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))
        return values

    def trajectories(self) -> Iterator[Trajectory]:
        """Every finished trajectory, each once, one at a time."""
        return trajectories(self.folder / "journal.jsonl")

    @cached_property
    def figures(self) -> Figures:
        """The run in figures."""
        figures = Figures()
        for trajectory in self.trajectories():
            figures.add(trajectory)
        return figures

    def summary(self) -> str:
        """The run in a few lines."""
        return self.figures.text(str(self.folder), grader=self.settings.get("grader"))

    def export(self, method: str, *, format: str, to: str | Path, **options: Any) -> ExportReport:
        """Write the rows of a training method in a trainer's format to the folder ``to``."""
        from agentloop.export import write_export

        return write_export(self.trajectories, method=method, format=format, to=to, **options)


@dataclass
class Figures:
    """Counts over trajectories.

    Those that ended for want of budget or on an error say nothing of the agent: they are counted as
    ``unfinished``, apart from ``trajectories``, and have no result.
    """

    trajectories: int = 0
    unfinished: int = 0
    passed: int = 0
    first_passed: int = 0
    attempts: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    first_error: str = ""
    stopped: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    parse_failures: int = 0
    privileged: bool = False
    usage: Usage = field(default_factory=Usage)
    results: dict[str, list[float]] = field(default_factory=dict)
    repeated: int = 0
    retries: int = 0

    def add(self, trajectory: Trajectory) -> None:
        """Count one trajectory."""
        if trajectory.stop_reason in UNFINISHED:
            self.unfinished += 1
        else:
            self.trajectories += 1
            self.passed += trajectory.passed is True
            self.first_passed += bool(trajectory.attempts) and trajectory.attempts[0].passed is True
            self.results.setdefault(trajectory.task.id, []).append(float(trajectory.passed is True))
        self.attempts += len(trajectory.attempts)
        self.stopped[trajectory.stop_reason] += 1
        if trajectory.stop_signal != "none":
            self.signals[trajectory.stop_signal] += 1
        self.calls.update(call.role for call in trajectory.calls)
        self.usage = self.usage + trajectory.usage
        texts = [attempt.text.strip() for attempt in trajectory.attempts]
        self.retries += max(0, len(texts) - 1)
        self.repeated += len(texts) - len(set(texts))
        self._add_error(trajectory.error)
        for attempt in trajectory.attempts:
            self._add_attempt(attempt)

    def _add_error(self, error: str | None) -> None:
        if error:
            self.errors[error.split(":", 1)[0]] += 1
            self.first_error = self.first_error or " ".join(error.split())

    def _add_attempt(self, attempt: Attempt) -> None:
        self._add_error(attempt.error)
        if attempt.feedback is not None:
            self.privileged |= attempt.feedback.privileged
            self.parse_failures += attempt.feedback.items.get("parse") == "failed"

    @property
    def rate(self) -> float:
        """Share of trajectories that passed."""
        return self.passed / self.trajectories if self.trajectories else 0.0

    @property
    def interval(self) -> Interval:
        """95 % interval of the rate."""
        return wilson(self.passed, self.trajectories)

    @property
    def distinct(self) -> float | None:
        """Share of retries whose answer differs from every earlier one of their trajectory."""
        return 1 - self.repeated / self.retries if self.retries else None

    def text(self, name: str, *, grader: str | None) -> str:
        """The figures in a few lines."""
        low, high = self.interval
        judge = f"graded by {grader}" if grader else "judged by the critic (no grader was given)"
        mark = "; privileged: the critic knew hidden data" if self.privileged else ""
        lines = [
            f"{name}: {self.passed} of {self.trajectories} passed "
            f"({self.rate:.0%}, 95 % interval {low:.0%} to {high:.0%}), "
            f"{self.first_passed} at the first attempt; {judge}{mark}",
            f"  stopped: {_counted(self.stopped)}; signal: {_counted(self.signals) or 'none'}",
            f"  {self.attempts} attempts, calls: {_counted(self.calls) or '0'}; "
            f"{self.usage.tokens_in:,} tokens in, {self.usage.tokens_out:,} out; {_dollars(self.usage)}",
        ]
        if self.unfinished:
            lines.append(f"  {self.unfinished} unfinished, counted neither as passed nor as failed")
        if self.errors:
            lines.append(f"  errors: {_counted(self.errors)}; the first: {self.first_error:.300}")
        if self.parse_failures:
            lines.append(f"  critic replies that could not be parsed: {self.parse_failures}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The figures for programs."""
        low, high = self.interval
        return {
            "passed": self.passed,
            "tasks": self.trajectories,
            "unfinished": self.unfinished,
            "rate": self.rate,
            "low": low,
            "high": high,
            "calls": sum(self.calls.values()),
            "calls_by_role": dict(self.calls),
            "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out,
            "dollars": self.usage.dollars,
            "attempts": self.attempts,
            "first_passed": self.first_passed,
            "stopped": dict(self.stopped),
            "signals": dict(self.signals),
            "errors": dict(self.errors),
            "distinct": self.distinct,
            "parse_failures": self.parse_failures,
            "privileged": self.privileged,
        }


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _dollars(usage: Usage) -> str:
    return "cost unknown" if usage.dollars is None else f"${usage.dollars:.4f}"
