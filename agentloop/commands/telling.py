"""How results are shown to a person: tables, bars and one-line summaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from agentloop.comparing import Comparison
    from agentloop.evaluation import Evaluation
    from agentloop.loop import Progress as Told
    from agentloop.run import Figures
    from agentloop.training import Step

out = Console(highlight=False, soft_wrap=True)
talk = Console(stderr=True, highlight=False)

SAID = {
    "first": "one attempt",
    "blind": "told: try again",
    "binary": "told: that is wrong",
    "verbal": "told in words what is wrong",
    "other_task": "told another task's words",
    "best_of_n": "told nothing, best of {n}",
    "without": "first attempt, no memory",
    "with": "first attempt, with memory",
}


@contextmanager
def bar(what: str) -> Iterator[Callable[[Told], None]]:
    """A progress bar on standard error; gives the callback for ``progress``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[passed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=talk, transient=True) as progress:
        shown = progress.add_task(what, total=None, passed="")

        def tell(told: Told) -> None:
            passed = f"{told.passed} passed, {told.calls} calls"
            progress.update(shown, completed=told.done, total=told.total, passed=passed)

        yield tell


@contextmanager
def steps(what: str) -> Iterator[Callable[[Step], None]]:
    """A training's bar on standard error: its loss, and how many first attempts pass meanwhile."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=talk, transient=True) as progress:
        shown = progress.add_task(what, total=None, told="measuring first tries")

        def tell(step: Step) -> None:
            passed = "" if step.first_passed is None else f", {step.first_passed:.0%} pass at once"
            told = f"loss {step.loss:.3g}{passed}"
            progress.update(shown, completed=step.step, total=step.steps, told=told)

        yield tell


def conditions(evaluation: Evaluation) -> Table:
    """The conditions with intervals, drawn as well as written."""
    mark = "*" if evaluation.privileged else ""
    table = Table(box=None, pad_edge=False)
    table.add_column("condition", no_wrap=True)
    for name in ("passed", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("calls", "tokens", "distinct"):
        table.add_column(name, justify="right", no_wrap=True)
    rows: dict[str, Figures] = {**evaluation.conditions, **evaluation.memory}
    for name, figures in rows.items():
        low, high = figures.interval
        table.add_row(
            name.replace("_", " "),
            f"{figures.rate:.1%}{mark}",
            f"{low:.1%} to {high:.1%}",
            picture(figures.rate, low, high),
            f"{sum(figures.calls.values()):,}",
            f"{figures.usage.tokens_in + figures.usage.tokens_out:,}",
            "" if figures.distinct is None else f"{figures.distinct:.0%}",
        )
    return table


def legend(evaluation: Evaluation) -> list[str]:
    """What each condition is, a line each."""
    names = [*evaluation.conditions, *evaluation.memory]
    return [f"{name.replace('_', ' '):>12}: {SAID[name].format(n=evaluation.best_of)}" for name in names]


def picture(rate: float, low: float, high: float, width: int = 16) -> str:
    """A share as a bar, with its interval: ``████▓▒··``; the shaded part is the interval."""
    cells = []
    for cell in range(width):
        middle = (cell + 0.5) / width
        cells.append("█" if middle < low else "▓" if middle < rate else "▒" if middle < high else "·")
    return "".join(cells)


def gains(comparisons: Mapping[str, Comparison]) -> list[str]:
    """What verbal feedback gains over each other condition, a line each."""
    lines = []
    for name, comparison in comparisons.items():
        title = name if " over " in name else f"verbal over {name}"
        lines.append(f"{title.replace('_', ' '):>24}: {comparison.summary()}")
    return lines


def tell_evaluation(evaluation: Evaluation) -> None:
    """Print the whole evaluation."""
    out.print(conditions(evaluation))
    out.print()
    for line in legend(evaluation):
        out.print(line)
    out.print("    distinct: share of retries whose answer was not given before\n")
    for line in gains(evaluation.gains):
        out.print(line)
    if evaluation.memory_gain is not None:
        out.print(f"{'memory over none':>24}: {evaluation.memory_gain.summary()}")
    if evaluation.memory_cost is not None:
        out.print(f"{'cost of the memory':>24}: {evaluation.memory_cost.summary()}")
    out.print()
    if "best_of_n" in evaluation.conditions:
        out.print(
            f"other task's words that fit by chance: {evaluation.fitting} of {evaluation.other_told}; "
            f"best of n: {evaluation.best_of} samples, no fewer calls than any verbal trajectory of a task"
        )
    if evaluation.privileged:
        out.print("* privileged: the critic knew the answer, and the same signal stopped every condition")


def tell(value: Any) -> None:
    """Print a result as it is."""
    out.print(value, markup=False)
