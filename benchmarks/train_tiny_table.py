"""The tables of train_tiny.py, written into RESULTS.md between two marks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from train_tiny import (
    ANSWERS,
    CONTROLS,
    HOUSE,
    LOCKED,
    OFFLINE,
    ONLINE,
    RATES,
    SEEDS,
    SPARSE,
    Job,
    best_rates,
    final_jobs,
    second_jobs,
    sweep_jobs,
)

from agentloop.comparing import Comparison, compare_results

BEGIN, END = "<!-- train_tiny: begin -->", "<!-- train_tiny: end -->"
_READ = """
The agent of one house ({house}) is trained; its words have readings that only feedback tells. First tries, greedy,
without feedback or memory, on locked tasks (test split, draw {draw}, looked at once): {tasks} known, half as many of
held-out families and of other houses; seeds {seeds}, all of them here. A training stops before the step that, going by
the last, would pass {whole:,} sampled answers, {sparse:,} on the sparse tasks. Differences in points,
paired by task, seeds averaged within a task, bootstrap 95 % intervals over tasks. Learning rates were swept alike on
the development split (below). Settings are the recipes `TINY` of agentloop/training/recipes.py; where they depart from
the papers, they say so. **Privileged**: the critic knew the intended query, so part of the gain is built in.
Rates were first chosen by known development tasks at half the answers alone, which took 2e-3 for RLTF-SD and
Critique-GRPO: on locked draw 2 that gave RLTF-SD 86.5 on known tasks but no gain on held-out families (51.8), and
Critique-GRPO 74.5 (one seed). So a second round was added, and the tables stand on a draw that nothing was chosen by.
"""  # noqa: E501
_SWEPT = """
The sweep: pass rates on the development split on known tasks (600) / held-out families (300) / other houses (300);
a first round with seed 1, on the whole tasks with half the answers, then the two best rates of each online method
with all of them (seed 11). The rate with the best mean of the three in its last round was taken; where one figure stands, that
first round was measured on known tasks alone.
"""  # noqa: E501
_SEEDS = ", ".join(map(str, SEEDS))
COMMAND = "OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/train_tiny.py --out /tmp/train-tiny --jobs 2"
Results = Mapping[str, Sequence[float]]


class Measured:
    """What the trainings gave: results by method, split, control and set of tasks, over all seeds."""

    def __init__(self, out: Path) -> None:
        self.out, self.rates = out, best_rates(out)
        self.base = {split: json.loads((out / f"base-{split}.json").read_text()) for split in ANSWERS}
        paths = {job: out / f"{job.name}.json" for job in final_jobs(self.rates)}
        told = {job: json.loads(path.read_text()) for job, path in paths.items() if path.is_file()}
        self.finals = [(job, result) for job, result in told.items() if result.get("draw") == job.draw]
        self.lacking = [job.name for job in paths if job not in dict(self.finals)]

    def of(self, method: str, split: str, tasks: str, *, control: str = "none", seed: int = 0) -> Results:
        """Passes of each task, one for each seed; of one seed only when it is given."""
        if method == "base":
            count = 1 if seed else len(SEEDS)
            found = self.base[split]["results"][tasks]
            return {task: list(passed) * count for task, passed in found.items()}
        together: dict[str, list[float]] = {}
        for job, result in self.finals:
            wanted = (job.method, job.split, job.control) == (method, split, control)
            if wanted and seed in (0, job.seed):
                for task, passed in result["results"][tasks].items():
                    together.setdefault(task, []).extend(passed)
        return together

    def answers(self, method: str, split: str, control: str = "none") -> str:
        """Completions sampled, the least and the most of the seeds."""
        counts = [
            result["completions"]
            for job, result in self.finals
            if (job.method, job.split, job.control) == (method, split, control)
        ]
        return f"{min(counts):,} to {max(counts):,}" if min(counts) != max(counts) else f"{counts[0]:,}"


def write_tables(out: Path, results: Path) -> None:
    """Put the section into RESULTS.md, in place of the one that stands there."""
    text = results.read_text(encoding="utf-8")
    section = f"{BEGIN}\n{_section(Measured(out), out)}\n{END}"
    if BEGIN in text:
        before, rest = text.split(BEGIN)
        text = before + section + rest.split(END)[1]
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    results.write_text(text, encoding="utf-8")


def _section(found: Measured, out: Path) -> str:
    tasks = len(found.of("base", "whole", "known"))
    lines = [
        "## What training on words is worth: the embedded model",
        "",
        "```",
        COMMAND,
        "```",
        "",
        fill(_READ.format(house=HOUSE, tasks=tasks, draw=LOCKED, seeds=_SEEDS, **ANSWERS).strip(), 120),
        "",
        *_main(found),
        "",
        *_each_seed(found),
        "",
        *_controls(found),
        "",
        *_sparse(found),
        "",
        *_sweep(found, out),
        *(["", f"Not done: {', '.join(found.lacking)}."] if found.lacking else []),
    ]
    return "\n".join(lines)


def _main(found: Measured) -> list[str]:
    lines = [
        "| method | answers | known | over base | over GRPO | over RAFT | held-out families, over base | "
        "other houses, over base |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in ("base", *ONLINE, *OFFLINE):
        known = found.of(method, "whole", "known")
        cells = [method, "" if method == "base" else found.answers(method, "whole"), _rate(known)]
        cells += [_over(found, method, other, "whole", "known") for other in ("base", "grpo", "raft")]
        for name in ("held_out", "out_of_scope"):
            rate = _rate(found.of(method, "whole", name))
            cells.append(
                f"{rate}, {_over(found, method, 'base', 'whole', name)}" if method != "base" else rate
            )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _each_seed(found: Measured) -> list[str]:
    lines = [
        "Known tasks, each seed, and its gain over the base:",
        "",
        f"| method | {' | '.join(f'seed {seed}' for seed in SEEDS)} |",
        f"|---|{'---|' * len(SEEDS)}",
    ]
    for method in (*ONLINE, *OFFLINE):
        cells = []
        for seed in SEEDS:
            passed = found.of(method, "whole", "known", seed=seed)
            base = found.of("base", "whole", "known", seed=seed)
            cells.append(f"{_rate(passed)}, {_told(compare_results(base, passed))}" if passed else "")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _controls(found: Measured) -> list[str]:
    lines = [
        'Controls: the same training, told another task\'s words of the house, or only "try again" (blank):',
        "",
        "| method | words | answers | known | over base | true words over it |",
        "|---|---|---|---|---|---|",
    ]
    for method, control in CONTROLS:
        passed = found.of(method, "whole", "known", control=control)
        true = compare_results(passed, found.of(method, "whole", "known"))
        base = compare_results(found.of("base", "whole", "known"), passed)
        answers = found.answers(method, "whole", control)
        lines.append(
            f"| {method} | {control} | {answers} | {_rate(passed)} | {_told(base)} | {_told(true)} |"
        )
    return lines


def _sparse(found: Measured) -> list[str]:
    eight = found.base["sparse"]["pass_at_8"]
    lines = [
        f"Sparse tasks: words that luck seldom reads rightly; the untrained model solves {eight:.1%} of the",
        "known ones with eight blind tries. A quarter of the answers.",
        "",
        "| method | answers | known | over base | over GRPO | over RAFT | held-out families, over base | "
        "other houses, over base |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in ("base", *SPARSE):
        cells = [method, "" if method == "base" else found.answers(method, "sparse")]
        cells.append(_rate(found.of(method, "sparse", "known")))
        cells += [_over(found, method, other, "sparse", "known") for other in ("base", "grpo", "raft")]
        for name in ("held_out", "out_of_scope"):
            rate = _rate(found.of(method, "sparse", name))
            cells.append(
                f"{rate}, {_over(found, method, 'base', 'sparse', name)}" if method != "base" else rate
            )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _sweep(found: Measured, out: Path) -> list[str]:
    lines = [
        fill(_SWEPT.strip(), 120),
        "",
        f"| method | tasks | {' | '.join(f'{rate:g}' for rate in RATES)} | taken |",
        f"|---|---|{'---|' * len(RATES)}---|",
    ]
    for name, jobs in (("", sweep_jobs()), (", second round", second_jobs(out))):
        for method, split in dict.fromkeys((job.method, job.split) for job in jobs):
            told = {job.rate: job for job in jobs if (job.method, job.split) == (method, split)}
            cells = [_sets(out, told.get(rate)) for rate in RATES]
            lines.append(
                f"| {method} | {split}{name} | {' | '.join(cells)} | {found.rates[method, split]:g} |"
            )
    return lines


def _sets(out: Path, job: Job | None) -> str:
    if job is None:
        return ""
    results = json.loads((out / f"{job.name}.json").read_text())["results"]
    return " / ".join(_rate(each) for each in results.values())


def _over(found: Measured, method: str, other: str, split: str, tasks: str) -> str:
    if method in ("base", other):
        return ""
    return _told(compare_results(found.of(other, split, tasks), found.of(method, split, tasks)))


def _rate(results: Results) -> str:
    means = [sum(passed) / len(passed) for passed in results.values()]
    return f"{100 * sum(means) / len(means):.1f}"


def _told(gain: Comparison) -> str:
    return f"{gain.difference * 100:+.1f} [{gain.low * 100:.1f}, {gain.high * 100:.1f}]"
