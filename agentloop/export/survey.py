"""Counts what an export read, wrote and left out, for its report and its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from agentloop.export.groups import Group
from agentloop.export.methods.method import Need
from agentloop.export.rows import GroupRow, LeftOut, Row
from agentloop.record import Record


class Missing(Record):
    """A field that the method needs, in how many trajectories it was missing, and what would record it."""

    field: str
    trajectories: int
    recorded_by: str


@dataclass
class Survey:
    """Running counts; they do not grow with the rows, but with what is different among them.

    ``supervised`` rows weigh something however a group went; ``longest`` has the tokens of the
    longest row that was left out for its length.
    """

    trajectories: int = 0
    groups: int = 0
    singles: int = 0
    rows: int = 0
    even: int = 0
    uneven: int = 0
    lacking: Counter[Need] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    privileged: int = 0
    supervised: int = 0
    longest: int = 0

    def leave_out(self, items: Iterable[LeftOut]) -> None:
        """Count what no row was made of."""
        self.left_out.update(item.reason for item in items)

    def wrote(self, row: Row, group: Group, role: str) -> None:
        """Count one line of a row."""
        meta = row.meta
        self.rows += 1
        self.supervised += not isinstance(row, GroupRow)
        self.runs[meta.run] += 1
        self.splits[group.task.split or "none given"] += 1
        self.models.update(meta.models)
        self.policies.update(meta.policies)
        self.labels[meta.label_source] += 1
        self.roles[role] += 1
        self.privileged += meta.privileged

    def missing(self) -> tuple[Missing, ...]:
        """The fields that were missing."""
        return tuple(
            Missing(field=need.field, trajectories=count, recorded_by=need.recorded_by)
            for need, count in self.lacking.items()
        )
