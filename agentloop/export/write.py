"""From trajectories to a folder with rows and a card: streamed, all or nothing, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export.card import card, mark
from agentloop.export.filters import Filters
from agentloop.export.formats import Format, Line, Render, format_named
from agentloop.export.formats.lines import meta_file
from agentloop.export.making import Log, Making, placed_lines_of
from agentloop.export.methods import Method, method_named
from agentloop.export.staging import CARD, claim, staged
from agentloop.export.survey import Missing
from agentloop.prompts import Prompts
from agentloop.record import Record

EVERYTHING = Filters()


class ExportReport(Record):
    """What an export wrote, and what it left out with the reason and how often.

    ``files`` has the rows of each file, and ``path`` is the first of them; ``beside`` are the other
    files that were written. ``longest`` counts the tokens of the longest row that was left out for
    its length.
    """

    method: str
    format: str
    rows: int
    path: str
    card_path: str
    files: dict[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    trajectories: int
    groups: int
    privileged: int = 0
    longest: int = 0
    label_sources: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    def summary(self) -> str:
        """What was written, where, and what was left out, in a few lines."""
        mark = f", {self.privileged} of them on privileged feedback" if self.privileged else ""
        lines = [
            f"{self.rows} rows of {self.method} from {self.trajectories} trajectories "
            f"in {self.groups} groups{mark}",
            *(f"  {Path(self.path).with_name(name)}: {count} rows" for name, count in self.files.items()),
            f"  card: {self.card_path}",
        ]
        lines += [f"  left out: {count} {reason}" for reason, count in self.left_out.items()]
        if self.longest:
            lines.append(f"  the longest row that was left out has {self.longest} tokens")
        return "\n".join(lines)


def write_export(
    trajectories: Log,
    *,
    method: str,
    format: str,
    to: str | Path,
    filters: Filters = EVERYTHING,
    with_grader_data: bool = False,
    command: str = "",
    licence: str = "unknown",
    prompts: Prompts | None = None,
    render: Render | None = None,
) -> ExportReport:
    """Write the rows of ``method`` in ``format``, and a card, to the folder ``to``.

    A method whose rows go to several trainers gets a file for each, as ``sft.jsonl`` and
    ``preference.jsonl``; otherwise it is ``rows.jsonl``. Tasks of split ``test`` are never exported.
    ``render`` is the checkpoint's chat template, for text that no model sampled, to count tokens, and
    to check that a trainer will mask what it should. ``with_grader_data`` fills verl's ``ground_truth``.
    """
    plan = Making(
        method=method_named(method),
        format=format_named(format),
        filters=filters,
        prompts=prompts or Prompts(),
        render=render,
        with_grader_data=with_grader_data,
    )
    _check(plan)
    folder = Path(to)
    names = _names(plan.format, plan.method)
    claim(folder, names, mark(plan.method, plan.format))
    with staged(folder, names) as partial:
        files = write_lines_of(partial, trajectories, plan)
        _check_not_empty(plan)
        about = card(plan, files=files, command=command, licence=licence)
        for name, text in {**plan.format.beside(files), CARD: about}.items():
            (partial / name).write_text(text, encoding="utf-8", newline="\n")
        written = {path.name for path in partial.iterdir()}
    return _report(plan, folder, written)


def _report(plan: Making, folder: Path, written: set[str]) -> ExportReport:
    survey = plan.survey
    files = [name for name in plan.format.files(plan.method).values() if name in written]
    return ExportReport(
        method=plan.method.name,
        format=plan.format.name,
        rows=survey.rows,
        path=str(folder / files[0]),
        card_path=str(folder / CARD),
        files={name: survey.files[name] for name in files},
        beside=tuple(sorted(written - {*files, CARD})),
        trajectories=survey.trajectories,
        groups=survey.groups,
        privileged=survey.privileged,
        longest=survey.longest,
        label_sources=dict(sorted(survey.labels.items())),
        left_out=dict(sorted(survey.left_out.items())),
        missing=survey.missing(),
    )


def _names(format: Format, method: Method) -> list[str]:
    """All files that an export may write."""
    files = format.files(method)
    beside = [meta_file(name) for name in files.values()] if format.apart else []
    return [*files.values(), *beside, *format.beside(files), CARD]


def write_lines_of(folder: Path, trajectories: Log, plan: Making) -> dict[str, str]:
    """Write every line to the file of its part, opened with its first line; gives the files by part."""
    names, keys = plan.format.files(plan.method), dict[str, frozenset[str]]()
    with ExitStack() as stack:
        writers = dict[str, Callable[[Line], None]]()
        for part, line in placed_lines_of(trajectories, plan):
            if part not in writers:
                writers[part] = stack.enter_context(plan.format.open(folder / names[part]))
                keys[part] = frozenset(line)
            if keys[part] != frozenset(line):
                raise UnsupportedExport(
                    f"the rows of {plan.method.name} become lines of several shapes in format "
                    f"{plan.format.name}, which no trainer reads from one file; use --format tokens"
                )
            writers[part](line)
            plan.survey.files[names[part]] += 1
    return {part: name for part, name in names.items() if part in writers}


def _check(plan: Making) -> None:
    plan.format.check(plan.method)
    plan.filters.check(plan.method, plan.format)
    if plan.with_grader_data and plan.format.name != "verl":
        raise BadInput(f"format {plan.format.name} has no column for grader data; leave it out, or use verl")


def _check_not_empty(plan: Making) -> None:
    survey, name = plan.survey, plan.method.name
    if not survey.trajectories:
        raise BadInput(f"no rows for {name}: the log holds no finished trajectory; run the agent first")
    idle = survey.even > 0 and not survey.uneven and not survey.supervised
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
