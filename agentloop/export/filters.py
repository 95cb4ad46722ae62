"""Which of a method's rows are written: by the score of their attempts, once each, up to a length."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from agentloop.errors import BadInput
from agentloop.export.formats import Format, Render
from agentloop.export.groups import Group
from agentloop.export.methods import Method
from agentloop.export.rows import (
    ContextRow,
    CriticRow,
    GroupRow,
    PreferenceRow,
    Row,
    SftRow,
    SftTokensRow,
    UnpairedRow,
    to_values,
)
from agentloop.types import Message, Split, Task

COMPARED = (GroupRow, PreferenceRow, UnpairedRow)
"""Rows that are learnt from by comparing good answers with bad ones."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a row must be to be written."""

    split: Split | None = None
    """Its task must be of this split, ``train`` or ``dev``; None takes all but the locked ``test``."""
    min_score: float | None = None
    """The best attempt that the row is made of must have at least this score."""
    distinct: bool = False
    """Of rows that differ only in where they come from, the first is written."""
    max_tokens: int | None = None
    """No line may be longer, prompt and answer together."""

    def told(self) -> str:
        """The filters that are set, as they stand on a card."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return ", ".join(
            f"{name} {value}" for name, value in values if value is not None and value is not False
        )

    def check(self, method: Method, format: Format) -> None:
        """Refuse a filter under which the method would learn something else."""
        kinds = format.kinds(method)
        if self.split == "test":
            raise BadInput(
                "the test split is locked: training on it would void every figure; give train or dev"
            )
        if self.split not in (None, "train", "dev"):
            raise BadInput(f"no split named {self.split!r}; give train or dev, or leave it out")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise BadInput(f"max_tokens must be at least 1, got {self.max_tokens}")
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise BadInput(f"min_score must be a finite number, got {self.min_score}")
        if self.min_score is not None and any(issubclass(kind, COMPARED) for kind in kinds):
            raise BadInput(
                f"{method.name} compares good answers with bad ones, and min_score would take the bad ones "
                "away; leave it out, or use a method of supervised rows such as sft"
            )
        if self.distinct and any(issubclass(kind, GroupRow) for kind in kinds):
            raise BadInput(
                f"{method.name} weighs each sample against its whole group, in which equal answers count as "
                "often as they were drawn; leave distinct out"
            )


@dataclass
class Sieve:
    """The filters at work. Of the rows that passed it keeps 16 bytes each, and only for ``distinct``."""

    filters: Filters
    render: Render | None = None
    longest: int = 0
    """Tokens of the longest row or line that was too long."""
    _seen: set[bytes] = field(default_factory=set)

    def reason_against_task(self, task: Task) -> str | None:
        """Why no row is made of a task's trajectories, or None."""
        if task.split == "test":
            return "its task is in the locked test split"
        if self.filters.split not in (None, task.split):
            return f"its task is not in split {self.filters.split}"
        return None

    def reason_against_row(self, row: Row, group: Group) -> str | None:
        """Why the row is left out, or None."""
        lowest = self.filters.min_score
        if lowest is not None and best_score(row, group) < lowest:
            return f"no attempt of the row has a score of {lowest:g} or more"
        if self.filters.max_tokens is not None and not isinstance(row, GroupRow):
            too_long = self._too_long(self._tokens(row))
            if too_long is not None:
                return too_long
        if self.filters.distinct and not self._is_new(row):
            return "the same row was written before"
        return None

    def reason_against_line(self, line: dict[str, Any]) -> str | None:
        """Why one line of a group row is left out, or None."""
        if self.filters.max_tokens is None or "input_ids" not in line:
            return None
        return self._too_long(len(line["input_ids"]))

    def _too_long(self, tokens: int) -> str | None:
        most = self.filters.max_tokens
        if most is None or tokens <= most:
            return None
        self.longest = max(self.longest, tokens)
        return f"longer than {most} tokens"

    def _is_new(self, row: Row) -> bool:
        values = {**to_values(row), "meta": None, "kind": type(row).__name__}
        digest = hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).digest()
        new = digest not in self._seen
        self._seen.add(digest)
        return new

    def _tokens(self, row: Row) -> int:
        if isinstance(row, SftTokensRow):
            return len(row.input_ids)
        if self.render is None:
            raise BadInput(
                "max_tokens counts with the checkpoint's tokenizer; give write_export(render=...), "
                "or --tokenizer PATH"
            )
        return max(len(self.render(each, False)) for each in conversations(row))


def best_score(row: Row, group: Group) -> float:
    """The highest score among the attempts that the row names; minus infinity where none has any."""
    named = set(row.meta.attempts)
    tries = (each for member in group.members for each in member.tries if each.attempt.id in named)
    return max((each.score for each in tries if each.outcome is not None), default=float("-inf"))


def conversations(row: Row) -> list[Sequence[Message]]:
    """The conversations that a row of messages holds, one for each answer that may be given."""
    if isinstance(row, SftRow | CriticRow):
        return [[{"role": each["role"], "content": each["content"]} for each in row.messages]]
    if isinstance(row, PreferenceRow):
        return [[*row.prompt, *row.chosen], [*row.prompt, *row.rejected]]
    if isinstance(row, UnpairedRow):
        return [[*row.prompt, *row.completion]]
    if isinstance(row, ContextRow):
        return [row.prompt]
    return []
