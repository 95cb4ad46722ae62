"""Corrections that DROC needs on the table-top, round by round, beside three agents that lack a part of it.

    PYTHONPATH=. python benchmarks/droc.py --seeds 16 --write

Round 0 teaches, from an empty memory; round 1 is the first one after. With ``--write`` the tables go into
RESULTS.md, between the marks "droc".
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from code_tables import between

from agentloop import improve
from agentloop.environments.tabletop import TabletopEnvironment, tabletop_passes, tabletop_tasks
from agentloop.environments.tabletop.photos import photo_of
from agentloop.environments.tabletop.table import MAKES
from agentloop.intervals import Interval, paired_difference, wilson
from agentloop.knowledge import Knowledge
from agentloop.memories import ColourEmbedder, KnowledgeMemory, PatternEmbedder
from agentloop.models.tabletop import is_beyond, tabletop_robot
from agentloop.people.tabletop import Phrasings, TabletopPerson, phrasings_of
from agentloop.people.tabletop_words import KNOWN, PLAN
from agentloop.recipes import droc_agent
from agentloop.types import Correction

ARMS = {
    "DROC": "text and looks",
    "DROC, bounded": "no skill of what looks too different",
    "no looks": "the same, text keys only",
    "no distillation": "every earlier interaction in the prompts",
    "no memory": "code as policies",
}
WITHIN = 0.65
"""The bound of that arm: photos of one make differ by less, but for a few, and those of two makes by more."""
PHOTOS = 20
"""Photos of each make for which the right skill is looked for."""


class Round(NamedTuple):
    """Corrections of each task of a round, how many were not done in the end, and words in the prompts."""

    corrections: list[int]
    undone: int
    words: int


def rounds_of(arm: str, seed: int, *, rounds: int, phrasings: Phrasings = "all") -> list[Round]:
    """An agent of this arm through the rounds of one house."""
    with tempfile.TemporaryDirectory() as folder, _memory(arm, Path(folder) / "memory") as memory:
        agent = droc_agent(
            model=tabletop_robot(),
            environment=TabletopEnvironment(),
            person=TabletopPerson(seed=seed, phrasings=phrasings),
            memory=memory,
            keeps="history" if arm == "no distillation" else "distilled",
        )
        return [_round(agent, seed, number, Path(folder)) for number in range(rounds)]


def _memory(arm: str, folder: Path) -> Any:
    if arm == "no memory":
        return nullcontext()
    if arm.startswith("DROC"):
        within = WITHIN if arm == "DROC, bounded" else None
        return KnowledgeMemory(folder, looks=PatternEmbedder(), words=ColourEmbedder(), within=within)
    return KnowledgeMemory(folder)


def _round(agent: Any, seed: int, number: int, folder: Path) -> Round:
    tasks = tabletop_tasks(number, seed=seed)
    run = improve(agent, tasks, folder=folder / str(number), grader=tabletop_passes, concurrency=1)
    done = list(run.trajectories())
    corrections = [len(each.attempts) - 1 for each in done]
    return Round(
        corrections, sum(not each.passed for each in done), sum(each.usage.tokens_in for each in done)
    )


def right_skill(seed: int, *, looks: bool) -> tuple[int, int]:
    """How often the skill of the right make is found, among three of one name, of how many times."""

    async def look(memory: KnowledgeMemory, kind: str) -> int:
        draw = random.Random(f"looks {seed} {kind}")
        step = f"use the {kind}"
        for make in draw.sample(MAKES[kind], len(MAKES[kind])):
            words = Correction(id=f"{kind} {make}", text=f"{step}, as it wants to be", level="skill")
            photo = photo_of(make, draw)
            await memory.keep(Knowledge(correction=words, kind="skill", step=step, object=kind, photo=photo))
        right = 0
        for make in MAKES[kind] * PHOTOS:
            found = await memory.skill([step], photo_of(make, draw))
            right += found is not None and found.correction.id == f"{kind} {make}"
        return right

    right = 0
    for kind in MAKES:
        embedder = PatternEmbedder() if looks else None
        with tempfile.TemporaryDirectory() as folder, KnowledgeMemory(folder, looks=embedder) as memory:
            right += asyncio.run(look(memory, kind))
    return right, PHOTOS * sum(len(makes) for makes in MAKES.values())


def router(phrasings: Phrasings) -> tuple[int, int]:
    """How many phrasings the scripted model's router puts at the right level, of how many."""
    words = {"held": "cup", "kind": "cup", "place": "drawer", "wanted": "black cup", "into": "oak drawer"}
    words |= {"angle": "45", "length": "4 cm", "Length": "4 cm"}
    said = [
        (text.format(**words), meaning in PLAN)
        for meaning in KNOWN
        for text in phrasings_of(meaning, phrasings)
    ]
    return sum(is_beyond(text) == plan for text, plan in said), len(said)


def mean(values: Sequence[float]) -> tuple[float, Interval]:
    """The mean over seeds with its interval."""
    return float(np.mean(values)), paired_difference([0.0] * len(values), values)


def ratio(above: Sequence[float], below: Sequence[float], *, draws: int = 10_000) -> tuple[float, Interval]:
    """The ratio of two means over the same seeds, with the interval that drawing seeds gives it."""
    a, b = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    drawn = np.random.default_rng(0).integers(len(a), size=(draws, len(a)))
    low, high = np.quantile(a[drawn].mean(axis=1) / b[drawn].mean(axis=1), [0.025, 0.975])
    return float(a.mean() / b.mean()), Interval(float(low), float(high))


Results = dict[str, list[list[Round]]]
"""By arm, by seed, by round."""


def per_task(results: Results, arm: str, number: int) -> list[float]:
    """Corrections of a task in a round, of each seed."""
    return [float(np.mean(rounds[number].corrections)) for rounds in results[arm]]


def report(results: Results) -> str:
    """All tables, in Markdown."""
    seeds, rounds = len(results["DROC"]), len(results["DROC"][0])
    tasks = len(results["DROC"][0][0].corrections)
    late = [float(np.mean([np.mean(each.corrections) for each in run[3:]])) for run in results["DROC"]]
    first = ratio(per_task(results, "DROC", 1), per_task(results, "no memory", 1))
    learnt = ratio(per_task(results, "DROC", 1), per_task(results, "DROC", 0))
    again = ratio(per_task(results, "DROC", 2), per_task(results, "DROC", 1))
    heads = " | ".join(f"round {number}" for number in range(rounds))
    lines = [
        "## Corrections a task needs, by round: DROC on the table-top",
        "",
        "```",
        f"PYTHONPATH=. python benchmarks/droc.py --seeds {seeds} --rounds {rounds} --write",
        "```",
        "",
        f"{seeds} houses (seeds), {rounds} rounds of {tasks} tasks drawn anew; round 0 teaches, from an "
        "empty memory. The person knows the house (**privileged**), judges lengths by eye to 30 %, and "
        "words each correction in one of six ways, a third of them held out of what the scripted model was "
        "written against. Means over seeds with bootstrap 95 % intervals over seeds. What an agent makes of "
        "words is the scripted model's doing, so that the figures show what is kept and found, not how well "
        "a model reads: without distillation it takes the last like step "
        "from the notes, which a better reader might beat.",
        "",
        f"| agent | | {heads} | given up | prompt words a task |",
        f"|---|---|{'---|' * (rounds + 2)}",
        *(_row(results, arm) for arm in ARMS),
        "",
        f"- Round 1, DROC over no memory: **{_told(first)}**. The bar is 0.5.",
        f"- Round 3 and later, DROC: **{_told(mean(late))}** corrections a task.",
        f"- DROC, round 1 over round 0: {_told(learnt)}; round 2 over round 1: {_told(again)}.",
    ]
    return "\n".join([*lines, *_looked_up(seeds)])


def _row(results: Results, arm: str) -> str:
    runs = results[arm]
    cells = [_told(mean(per_task(results, arm, number))) for number in range(len(runs[0]))]
    undone = sum(each.undone for run in runs for each in run)
    total = sum(len(each.corrections) for run in runs for each in run)
    words = sum(each.words for run in runs for each in run) / total
    return f"| {arm} | {ARMS[arm]} | {' | '.join(cells)} | {undone} of {total} | {words:,.0f} |"


def _looked_up(seeds: int) -> list[str]:
    """What was measured apart from the rounds: skills found by looks, and the router."""
    lines = []
    for looks, words in ((True, "image keys"), (False, "text keys only")):
        found = [right_skill(seed, looks=looks) for seed in range(seeds)]
        right, total = sum(each[0] for each in found), sum(each[1] for each in found)
        lines.append(
            f"- The right one of three skills that have the same name, {words}: {_share(right, total)}."
        )
    for phrasings in ("known", "held_out"):
        right, total = router(phrasings)
        words = "phrasings it was written against" if phrasings == "known" else "phrasings held out"
        lines.append(f"- The scripted router, {words}: {_share(right, total)}.")
    return lines


def _share(right: int, total: int) -> str:
    low, high = wilson(right, total)
    return f"{right:,} of {total:,} ({right / total:.0%}, {low:.0%} to {high:.0%})"


def _told(figure: tuple[float, Interval]) -> str:
    value, (low, high) = figure
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Measure, print, and write where told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    results: Results = {}
    for arm in ARMS:
        began = time.perf_counter()
        results[arm] = [rounds_of(arm, seed, rounds=asked.rounds) for seed in range(asked.seeds)]
        sys.stderr.write(f"{arm}: {time.perf_counter() - began:.0f} s\n")
    text = report(results)
    sys.stdout.write(text + "\n")
    if asked.write:
        between(Path(__file__).parent / "RESULTS.md", "droc", text)


if __name__ == "__main__":
    main()
