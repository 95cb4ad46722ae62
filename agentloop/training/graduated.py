"""What a graduation found: each correction with its figures, and the report for people and programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from agentloop.types import Correction

SHOWN = 5
"""Retired corrections that a summary names; the report names all."""


class Words(NamedTuple):
    """What a correction says, and where: corrections that agree in this are one correction here."""

    text: str
    applies_when: str = ""
    not_when: str = ""

    @classmethod
    def of(cls, correction: Correction) -> Self:
        """The words of a correction."""
        return cls(correction.text, correction.applies_when, correction.not_when)

    @property
    def scope(self) -> str:
        """Where it holds, in words; empty when it holds everywhere."""
        return "; ".join(
            [self.applies_when] * bool(self.applies_when) + [f"not {self.not_when}"] * bool(self.not_when)
        )


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A correction with its twins, on the held-out tasks at which it was tried: where it was recalled first.

    ``recalled`` counts the tasks at which it was recalled at all. ``passed_without`` is counted without
    any memory, but for a correction that got as far as a confirmation: without it and those taken out with
    it. ``low`` and ``high`` bound the difference in the share that passes, without minus with (95 %,
    bootstrap over its tasks); from -1 to 1 when it was not tried.
    """

    ids: tuple[str, ...]
    words: Words
    recalled: int
    tasks: int
    passed_with: int
    passed_without: int
    low: float
    high: float
    why: str

    @property
    def id(self) -> str:
        """The id of the twin that was learnt first."""
        return self.ids[0]

    @property
    def difference(self) -> float:
        """The share of its tasks that pass without it minus the share that pass with it."""
        return (self.passed_without - self.passed_with) / self.tasks if self.tasks else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "id": self.id,
            "ids": list(self.ids),
            "text": self.words.text,
            "scope": self.words.scope,
            "recalled": self.recalled,
            "tasks": self.tasks,
            "passed_with": self.passed_with,
            "passed_without": self.passed_without,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "why": self.why,
        }

    def summary(self) -> str:
        """The correction with its figures in one line."""
        scope = f" ({self.words.scope})" if self.words.scope else ""
        return (
            f"{self.words.text!r}{scope}: {self.passed_with} of {self.tasks} tasks pass with it, "
            f"{self.passed_without} without, {self.points()}"
        )

    def points(self) -> str:
        """The difference in points with its interval."""
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.difference:+.1f} points [{low:+.1f}, {high:+.1f}]" if self.tasks else "not tried"


@dataclass(frozen=True, kw_only=True)
class Graduation:
    """Which corrections training has absorbed, and how that was found out.

    ``passed_with``, ``passed_without`` and ``passed_after`` count all held-out tasks: with the whole
    memory, without any, and with the memory as it is after the retirement. ``models`` are the models
    that acted, each with its policy; ``marked`` says whether the memory has been told.
    """

    folder: Path
    minimum: int
    tasks: int
    passed_with: int
    passed_without: int
    passed_after: int
    grader: str | None
    privileged: bool
    models: tuple[str, ...]
    marked: bool
    retired: tuple[Examined, ...]
    kept: tuple[Examined, ...]
    untested: tuple[Examined, ...]

    def to_dict(self) -> dict[str, Any]:
        """The graduation for programs."""
        return {
            "minimum": self.minimum,
            "tasks": self.tasks,
            "passed_with": self.passed_with,
            "passed_without": self.passed_without,
            "passed_after": self.passed_after,
            "grader": self.grader,
            "privileged": self.privileged,
            "models": list(self.models),
            "marked": self.marked,
            **{name: [each.to_dict() for each in found] for name, found in self._sorted()},
        }

    def summary(self) -> str:
        """The graduation in a few lines."""
        lines = [
            f"{self.folder}: {self._done()} {len(self.retired)}, kept {len(self.kept)}, "
            f"untested {len(self.untested)}",
            f"  {self._overall()}",
            *(f"  {self._done()}: {each.summary()}" for each in self.retired[:SHOWN]),
        ]
        if len(self.retired) > SHOWN:
            lines.append(f"  and {len(self.retired) - SHOWN} more")
        return "\n".join([*lines, f"  each of them, and why: {self.folder / 'graduation.md'}"])

    def markdown(self) -> str:
        """The whole report."""
        parts = [
            "# Graduation\n",
            f"{self._done().capitalize()} {len(self.retired)} corrections, kept {len(self.kept)}, "
            f"untested {len(self.untested)}. A correction is retired only when held-out tasks pass without "
            f"it as often as with it, on at least {self.minimum} tasks at which it was recalled first.\n",
            f"{self._overall()}.\n",
            f"Models: {', '.join(self.models) or 'none'}.\n",
        ]
        for name, found in self._sorted():
            title = self._done() if name == "retired" else name
            parts += [f"## {title.capitalize()}\n", _table(found)]
        return "\n".join(parts)

    def write(self) -> None:
        """Write ``graduation.json`` and ``graduation.md`` to the folder."""
        written = json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"
        write_whole(self.folder / "graduation.md", self.markdown())
        write_whole(self.folder / "graduation.json", written)

    def _sorted(self) -> Sequence[tuple[str, Sequence[Examined]]]:
        return (("retired", self.retired), ("kept", self.kept), ("untested", self.untested))

    def _done(self) -> str:
        return "retired" if self.marked else "would be retired"

    def _overall(self) -> str:
        judge = f"graded by {self.grader}" if self.grader else "judged by the critic (no grader was given)"
        mark = "; privileged: the critic knew hidden data" if self.privileged else ""
        return (
            f"Of {self.tasks} held-out tasks {self.passed_with} passed with the whole memory, "
            f"{self.passed_without} without any, {self.passed_after} without those retired; {judge}{mark}"
        )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _table(found: Sequence[Examined]) -> str:
    if not found:
        return "None.\n"
    rows = ["| correction | scope | recalled | tried | passed with | passed without | difference | why |"]
    rows += ["|---|---|---|---|---|---|---|---|"]
    for each in found:
        names = f"{_cell(each.words.text)} (`{'`, `'.join(each.ids)}`)"
        figures = (
            f"{each.recalled} | {each.tasks} | {each.passed_with} | {each.passed_without} | {each.points()}"
        )
        rows.append(f"| {names} | {_cell(each.words.scope)} | {figures} | {each.why} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """Text as it may stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
