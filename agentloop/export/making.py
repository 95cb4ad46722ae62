"""From trajectories to rows: the groups of a log, what a method makes of them, and a format of those."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from agentloop.export.filters import Filters, Sieve
from agentloop.export.formats import Carrying, Format, Line, Render
from agentloop.export.groups import Group, Try, read_groups
from agentloop.export.methods import Method, Need
from agentloop.export.rows import GroupRow, LeftOut, Row
from agentloop.export.survey import Survey
from agentloop.prompts import Prompts
from agentloop.types import Trajectory

Log: TypeAlias = Iterable[Trajectory] | Callable[[], Iterable[Trajectory]]
"""Trajectories, or a function that reads them. What can be read twice is streamed; an iterator, which
can be read once only, is held in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Which rows are made of a log, and the counts kept meanwhile."""

    method: Method
    format: Format
    prompts: Prompts = field(default_factory=Prompts)
    render: Render | None = None
    with_grader_data: bool = False
    filters: Filters = field(default_factory=Filters)
    survey: Survey = field(default_factory=Survey)


class Placed(NamedTuple):
    """A line, and the part of the export it belongs to."""

    part: str
    line: Line


def groups_of(trajectories: Log) -> Iterator[list[Trajectory]]:
    """The trajectories of each group id, a group at a time, in the order in which groups are complete.

    Held at a time: the groups that are not complete yet, and the size of every group. A group that is
    new at the second reading, after the first has counted, is not read.
    """
    read = _reader(trajectories)
    sizes = Counter((each.run, each.group_id) for each in read())
    waiting: dict[tuple[str, str], list[Trajectory]] = {}
    for each in read():
        key = (each.run, each.group_id)
        if key not in sizes:
            continue
        members = waiting.setdefault(key, [])
        members.append(each)
        if len(members) == sizes[key]:
            yield waiting.pop(key)


def _reader(trajectories: Log) -> Callable[[], Iterable[Trajectory]]:
    if callable(trajectories):
        return trajectories
    held = list(trajectories) if isinstance(trajectories, Iterator) else trajectories
    return lambda: held


def lines_of(trajectories: Log, making: Making) -> Iterator[Line]:
    """The lines that the format writes, one group of the log at a time."""
    return (each.line for each in placed_lines_of(trajectories, making))


def placed_lines_of(trajectories: Log, making: Making) -> Iterator[Placed]:
    """The same lines, each with the part of the export it belongs to."""
    sieve = Sieve(making.filters, making.render)
    for members in groups_of(trajectories):
        making.survey.trajectories += len(members)
        excluded = sieve.reason_against_task(members[0].task)
        if excluded is not None:
            making.survey.left_out[excluded] += len(members)
            continue
        for group in _groups(members, making):
            yield from _group_lines(group, making, sieve)
    making.survey.longest = sieve.longest


def _groups(members: list[Trajectory], making: Making) -> list[Group]:
    needs = making.method.needs
    if making.format.wants_tokens:
        needs += making.method.token_needs
    lacking: dict[tuple[str, Need], None] = {}

    def keep(each: Try) -> str | None:
        most = making.method.attempts
        if most is not None and each.number > most:
            looked_at = "first attempt" if most == 1 else f"first {most} attempts"
            return f"{making.method.name} looks at the {looked_at} of a trajectory"
        missing = [need for need in needs if need.lacks(each)]
        lacking.update(dict.fromkeys((each.trajectory.id, need) for need in missing))
        return f"the log lacks {missing[0].field}" if missing else None

    groups, left_out = read_groups(members, keep)
    making.survey.lacking.update(need for _, need in lacking)
    making.survey.leave_out(left_out)
    return groups


def _group_lines(group: Group, making: Making, sieve: Sieve) -> Iterator[Placed]:
    method, survey = making.method, making.survey
    make = method.token_rows if making.format.wants_tokens and method.token_rows else method.rows
    survey.groups += 1
    survey.singles += len(group.members) == 1
    for row in make(group, making.prompts):
        if isinstance(row, LeftOut):
            survey.leave_out([row])
            continue
        if isinstance(row, GroupRow) and method.weigh is not None:
            uneven = any(method.weigh(row))
            survey.uneven += uneven
            survey.even += not uneven
        against = sieve.reason_against_row(row, group)
        if against is not None:
            survey.left_out[against] += 1
            continue
        yield from _row_lines(row, group, making, sieve)


def _row_lines(row: Row, group: Group, making: Making, sieve: Sieve) -> Iterator[Placed]:
    survey, part = making.survey, making.format.carries[type(row)].part
    carrying = Carrying(
        method=making.method, group=group, render=making.render, with_grader_data=making.with_grader_data
    )
    for line in making.format.project(row, carrying):
        against = sieve.reason_against_line(line)
        if against is not None:
            survey.left_out[against] += 1
            continue
        survey.wrote(row, group, str(line.get("role", row.meta.role or making.method.name)))
        yield Placed(part, line)
