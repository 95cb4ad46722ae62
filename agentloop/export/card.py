"""The data set card: what the rows are, where they come from, and what they must not be taken for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from agentloop.export.formats import Format
from agentloop.export.formats.lines import meta_file
from agentloop.export.making import Making
from agentloop.export.methods import Method
from agentloop.export.survey import Survey
from agentloop.version import __version__

_LABELS = {
    "grader": "the run's grader",
    "feedback": "the critic's feedback, since the log holds no grader's score",
    "feedback+grader": "partly the run's grader, partly the critic's feedback",
}


def mark(method: Method, format: Format) -> str:
    """The line by which an export knows its own folder again."""
    return f"<!-- agentloop export: {method.name} {format.name} -->"


def card(plan: Making, *, files: Mapping[str, str], command: str, licence: str) -> str:
    """The card as Markdown with the header that dataset hubs read. It holds no date: same log, same card.

    ``files`` are those that were written, by their part; each is a configuration of its own.
    """
    method, survey = plan.method, plan.survey
    head = {
        "license": licence,
        "tags": ["agentloop", method.name],
        "configs": [
            {"config_name": part if len(files) > 1 else "default", "data_files": file}
            for part, file in files.items()
        ],
    }
    lines = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()),
        "---",
        mark(method, plan.format),
        f"# Rows for {method.name}",
        "",
        f"{method.about[0].upper()}{method.about[1:]} ({method.source}).",
        "",
        "| what | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in _facts(plan, files)),
        f"| licence | {_cell(licence)} |",
        f"| written by | agentloop-toolkit {__version__} |",
    ]
    if command:
        lines += ["", "Made by:", "", *(f"    {line}" for line in command.splitlines())]
    lines += ["", "## Labels", "", _labels(survey, plan.with_grader_data), ""]
    lines += ["## Training", "", *_training(plan.format, files), ""]
    lines += ["## Left out", "", *(_left_out(survey) or ["Nothing."])]
    return "\n".join(lines) + "\n"


def _facts(plan: Making, files: Mapping[str, str]) -> list[tuple[str, str]]:
    survey = plan.survey
    facts = [
        ("method", plan.method.name),
        ("format", f"{plan.format.name}: {plan.format.about}"),
        *(("file", f"{file} ({survey.files[file]:,} rows)") for file in files.values()),
        ("rows", f"{survey.rows:,} ({_counted(survey.roles)})"),
        ("from", f"{survey.trajectories:,} trajectories in {survey.groups:,} groups"),
        ("runs (rows)", _counted(survey.runs)),
        ("splits (rows)", _counted(survey.splits)),
        ("models (rows)", _counted(survey.models)),
        ("policies (rows)", _counted(survey.policies)),
        ("privileged", f"{survey.privileged:,} rows" if survey.privileged else "no"),
        ("filters", plan.filters.told() or "none"),
    ]
    if plan.method.weigh is not None:
        facts.append(("groups of one", f"{survey.singles:,}, whose first answers weigh nothing"))
        facts.append(("groups without a difference", f"{survey.even:,}, whose weights are all zero"))
    return facts


def _training(format: Format, files: Mapping[str, str]) -> Iterator[str]:
    for part, file in files.items():
        told = format.training[part]
        for name, value in (("{file}", file), ("{part}", part)):
            told = told.replace(name, value)
        yield f"- `{file}`: {told}"
        if format.apart:
            yield f"  Line by line, where its rows come from: `{meta_file(file)}`."


def _labels(survey: Survey, with_grader_data: bool) -> str:
    parts = [
        f"{count:,} rows: score and pass come from {_LABELS.get(source, 'nobody')}."
        for source, count in sorted(survey.labels.items())
    ]
    if survey.privileged:
        parts.append(
            f"{survey.privileged:,} rows are **privileged**: their label, or a prompt on the way to them, "
            "rests on words of a critic that saw hidden data."
        )
    parts.append(
        "The rows hold **grader data** (`ground_truth` is hidden data of the tasks): no student may see it."
        if with_grader_data
        else "No hidden data of a task stands in the rows."
    )
    return " ".join(parts)


def _left_out(survey: Survey) -> list[str]:
    lines = [
        f"- the log lacks {each.field} in {each.trajectories:,} trajectories; recorded by {each.recorded_by}"
        for each in survey.missing()
    ]
    lines += [f"- {count:,}: {reason}" for reason, count in sorted(survey.left_out.items())]
    if survey.longest:
        lines.append(f"- the longest row that was left out has {survey.longest:,} tokens")
    return lines


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name or 'no name'}: {count:,}" for name, count in sorted(counter.items()))


def _cell(value: str) -> str:
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
