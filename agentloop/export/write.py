"""From trajectories to a folder with rows and a card: streamed, all or nothing, the same bytes each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from agentloop.errors import BadInput
from agentloop.export.card import card, mark
from agentloop.export.formats import Carrying, Format, Render, format_named
from agentloop.export.groups import Group, Try, read_groups
from agentloop.export.methods import Method, Need, method_named
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.export.staging import CARD, claim, staged
from agentloop.export.survey import Missing, Survey
from agentloop.prompts import Prompts
from agentloop.record import Record
from agentloop.types import Split, Trajectory

Log: TypeAlias = Iterable[Trajectory] | Callable[[], Iterable[Trajectory]]
"""Trajectories, or a function that reads them. What can be read twice is streamed; an iterator, which
can be read once only, is held in memory."""


class ExportReport(Record):
    """What an export wrote, and what it left out with the reason and how often."""

    method: str
    format: str
    rows: int
    path: str
    card_path: str
    trajectories: int
    groups: int
    privileged: int = 0
    label_sources: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    def summary(self) -> str:
        """What was written, where, and what was left out, in a few lines."""
        mark = f", {self.privileged} of them on privileged feedback" if self.privileged else ""
        lines = [
            f"{self.rows} rows of {self.method} from {self.trajectories} trajectories "
            f"in {self.groups} groups{mark}",
            f"  {self.path}",
            f"  card: {self.card_path}",
        ]
        lines += [f"  left out: {count} {reason}" for reason, count in self.left_out.items()]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    method: Method
    format: Format
    split: Split | None
    prompts: Prompts
    render: Render | None
    with_grader_data: bool
    survey: Survey = field(default_factory=Survey)


def write_export(
    trajectories: Log,
    *,
    method: str,
    format: str,
    to: str | Path,
    split: Split | None = None,
    with_grader_data: bool = False,
    command: str = "",
    licence: str = "unknown",
    prompts: Prompts | None = None,
    render: Render | None = None,
) -> ExportReport:
    """Write the rows of ``method`` in ``format``, and a card, to the folder ``to``.

    Tasks of split ``test`` are never exported; ``split`` takes only the tasks of one other split.
    ``render`` is the checkpoint's chat template, for text that no model sampled, and to check
    that a trainer will mask what it should. ``with_grader_data`` fills verl's ``ground_truth``.
    """
    plan = _Plan(
        method=method_named(method),
        format=format_named(format),
        split=split,
        prompts=prompts or Prompts(),
        render=render,
        with_grader_data=with_grader_data,
    )
    _check(plan)
    folder, survey = Path(to), plan.survey
    claim(folder, plan.format.file, mark(plan.method, plan.format))
    with staged(folder, [plan.format.file, CARD]) as (rows_path, card_path):
        plan.format.write(rows_path, _lines(trajectories, plan))
        _check_not_empty(plan)
        text = card(
            survey,
            method=plan.method,
            format=plan.format,
            command=command,
            licence=licence,
            with_grader_data=with_grader_data,
        )
        card_path.write_text(text, encoding="utf-8", newline="\n")
    return ExportReport(
        method=plan.method.name,
        format=plan.format.name,
        rows=survey.rows,
        path=str(folder / plan.format.file),
        card_path=str(folder / CARD),
        trajectories=survey.trajectories,
        groups=survey.groups,
        privileged=survey.privileged,
        label_sources=dict(sorted(survey.labels.items())),
        left_out=dict(sorted(survey.left_out.items())),
        missing=survey.missing(),
    )


def groups_of(trajectories: Log) -> Iterator[list[Trajectory]]:
    """The trajectories of each group id, a group at a time, in the order in which groups are complete.

    Held at a time: the groups that are not complete yet. A group that is new at the second reading, after
    the first has counted, is not read.
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


def _lines(trajectories: Log, plan: _Plan) -> Iterator[dict[str, Any]]:
    for members in groups_of(trajectories):
        plan.survey.trajectories += len(members)
        excluded = _excluded(members[0], plan.split)
        if excluded is not None:
            plan.survey.left_out[excluded] += len(members)
            continue
        for group in _groups(members, plan):
            yield from _group_lines(group, plan)


def _groups(members: list[Trajectory], plan: _Plan) -> list[Group]:
    needs = plan.method.needs
    if plan.format.wants_tokens:
        needs += plan.method.token_needs
    lacking: dict[tuple[str, Need], None] = {}

    def keep(each: Try) -> str | None:
        most = plan.method.attempts
        if most is not None and each.number > most:
            return f"{plan.method.name} looks at the first {most} attempts of a trajectory"
        missing = [need for need in needs if need.lacks(each)]
        lacking.update(dict.fromkeys((each.trajectory.id, need) for need in missing))
        return f"the log lacks {missing[0].field}" if missing else None

    groups, left_out = read_groups(members, keep)
    plan.survey.lacking.update(need for _, need in lacking)
    plan.survey.leave_out(left_out)
    return groups


def _group_lines(group: Group, plan: _Plan) -> Iterator[dict[str, Any]]:
    method, survey = plan.method, plan.survey
    make = method.token_rows if plan.format.wants_tokens and method.token_rows else method.rows
    carrying = Carrying(
        method=method, group=group, render=plan.render, with_grader_data=plan.with_grader_data
    )
    survey.groups += 1
    survey.singles += len(group.members) == 1
    for row in make(group, plan.prompts):
        if isinstance(row, LeftOut):
            survey.leave_out([row])
            continue
        if isinstance(row, GroupRow) and method.weigh is not None:
            uneven = any(method.weigh(row))
            survey.uneven += uneven
            survey.even += not uneven
        for line in plan.format.project(row, carrying):
            survey.wrote(row.meta, group, str(line.get("role", row.meta.role or method.name)))
            yield line


def _excluded(first: Trajectory, split: Split | None) -> str | None:
    if first.task.split == "test":
        return "its task is in the locked test split"
    if split is not None and first.task.split != split:
        return f"its task is not in split {split}"
    return None


def _check(plan: _Plan) -> None:
    plan.format.check(plan.method)
    if plan.split == "test":
        raise BadInput("the test split is locked: training on it would void every figure; give train or dev")
    if plan.split not in (None, "train", "dev"):
        raise BadInput(f"no split named {plan.split!r}; give train or dev, or leave it out")
    if plan.with_grader_data and plan.format.name != "verl":
        raise BadInput(f"format {plan.format.name} has no column for grader data; leave it out, or use verl")


def _check_not_empty(plan: _Plan) -> None:
    survey, name = plan.survey, plan.method.name
    if not survey.trajectories:
        raise BadInput(f"no rows for {name}: the log holds no finished trajectory; run the agent first")
    idle = survey.even > 0 and not survey.uneven and not survey.roles["feedback"]
    if survey.rows and not idle:
        return
    reasons = [
        f"the log lacks {each.field} in {each.trajectories} of {survey.trajectories} trajectories "
        f"(recorded by {each.recorded_by})"
        for each in survey.missing()
    ]
    reasons += [f"{reason} ({count})" for reason, count in sorted(survey.left_out.items())]
    if survey.rows:
        reasons.append("within every group all rewards are equal, so every weight is zero")
    raise BadInput(
        f"no rows to train on for {name} in {survey.trajectories} trajectories; "
        f"there must be {plan.method.nothing}" + "".join(f"\n- {reason}" for reason in reasons)
    )
