"""From trajectories to a folder with rows and a card: streamed, all or nothing, the same bytes each time."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from agentloop.errors import BadInput
from agentloop.export.card import card, mark
from agentloop.export.formats import Render, format_named
from agentloop.export.making import Log, Making, lines_of
from agentloop.export.methods import method_named
from agentloop.export.staging import CARD, claim, staged
from agentloop.export.survey import Missing
from agentloop.prompts import Prompts
from agentloop.record import Record
from agentloop.types import Split


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
    plan = Making(
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
        plan.format.write(rows_path, lines_of(trajectories, plan))
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


def _check(plan: Making) -> None:
    plan.format.check(plan.method)
    if plan.split == "test":
        raise BadInput("the test split is locked: training on it would void every figure; give train or dev")
    if plan.split not in (None, "train", "dev"):
        raise BadInput(f"no split named {plan.split!r}; give train or dev, or leave it out")
    if plan.with_grader_data and plan.format.name != "verl":
        raise BadInput(f"format {plan.format.name} has no column for grader data; leave it out, or use verl")


def _check_not_empty(plan: Making) -> None:
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
