"""What a memory buys on later questions in house dialect, and whether it harms houses of another dialect.

    PYTHONPATH=. python benchmarks/memory_sql.py --seeds 5 --write

An agent learns on questions of three houses; then new questions of all six are tried once, with what it
kept and without. With ``--write`` the tables go into RESULTS.md, between the marks "memory sql".
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, Literal, NamedTuple, TypeAlias

from code_tables import between

from agentloop import ChatModel, evaluate, reflect_and_retry, sees_hidden, tiny
from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match
from agentloop.evaluation import Evaluation, MemoryCost
from agentloop.intervals import Interval, paired_difference
from agentloop.memories import CorrectionMemory, EpisodicMemory, PreferenceMemory
from agentloop.tiny.form import form_of
from agentloop.tiny.houses import house, usual_reading
from agentloop.types import Attempt, Correction, Memory, Split, Task

TAUGHT = ("acme", "borealis", "cobalt")
"""The houses whose questions are learnt from; the other three read most of the words otherwise."""
LOCKED = 4
"""The draw of the locked test split that the figures stand on; nothing was chosen by it."""

OTHERS = tuple(each.name for each in tiny.HOUSES if each.name not in TAUGHT)
DRAWN = 20
"""Questions drawn for each that is at risk: about one in sixteen is."""

Group: TypeAlias = Literal["in scope", "near scope", "out of scope", "at risk"]
GROUPS: Mapping[Group, str] = {
    "in scope": "taught houses, with a vague word",
    "near scope": "taught houses, no vague word",
    "out of scope": "houses of another dialect",
    "at risk": "those, words that they read in the usual way",
}
LEARNT: tuple[Group, Group] = ("in scope", "near scope")


def everywhere(attempts: Sequence[Attempt]) -> Sequence[Correction]:
    """The same corrections as if they held at every house: what over-generalising looks like."""
    kept = tiny.house_readings(attempts)
    return [each.replace(applies_when="", text=each.text.partition(", ")[2]) for each in kept]


class Arm(NamedTuple):
    """A memory, and what an agent needs besides to fill it."""

    told: str
    memory: Callable[[Path], Memory]
    options: Mapping[str, Any] = {"distil": tiny.house_readings}


def _own_words(attempt: Attempt) -> str:
    return attempt.feedback.text if attempt.feedback else ""


ARMS: Mapping[str, Arm] = {
    "corrections": Arm("readings, each for its house", CorrectionMemory),
    "preferences": Arm("the same, by the closest questions", PreferenceMemory),
    "reflections": Arm(
        "the words on a question, for that question", lambda folder: EpisodicMemory(), {"reflect": _own_words}
    ),
    "no scope": Arm("control: readings as if for all houses", CorrectionMemory, {"distil": everywhere}),
}


class Result(NamedTuple):
    """First tries of one arm and seed: by group, pairs of without and with; what it cost; what it kept."""

    pairs: Mapping[Group, Sequence[tuple[float, float]]]
    cost: MemoryCost
    kept: int


def at_risk(split: Split, draw: int, count: int) -> list[Task]:
    """Questions of other houses, each with a vague word and all read in the usual way.

    Without memory they are mostly answered right, so that there is something to lose: most other vague
    words of a house that was not taught are misread anyway.
    """
    drawn = tiny.tasks(split, DRAWN * count, seed=draw, houses=OTHERS)
    return [task for task in drawn if _reads_as_usual(task)][:count]


def _reads_as_usual(task: Task) -> bool:
    words, asker = form_of(task.hidden["form"]).words.values(), house(str(task.public["house"]))
    return bool(words) and all(asker.readings[word] == usual_reading(word) for word in words)


def group_of(task: Task) -> Group:
    """Whether a question is of a taught house, and whether there is a word in it to be learnt."""
    if task.public["house"] not in TAUGHT:
        return "out of scope"
    return "in scope" if form_of(task.hidden["form"]).words else "near scope"


def measure(
    arm: str,
    seed: int,
    *,
    lessons: int,
    count: int,
    risky: int,
    split: Split = "test",
    draw: int = LOCKED,
) -> Result:
    """One arm: learn from ``lessons`` questions, then try new ones, others at every seed.

    These are ``count`` of all houses, and at most ``risky`` more that are at risk.
    """
    chosen = ARMS[arm]
    plain = tiny.tasks(split, count * (seed + 1), seed=draw)[count * seed :]
    risks = at_risk(split, 100 * draw + seed, risky)
    with tempfile.TemporaryDirectory() as folder, closing(SQLEnvironment()) as environment:
        memory = chosen.memory(Path(folder) / "memory")
        model = ChatModel("local/tiny", temperature=0.0, max_tokens=48, threads=1)
        found = evaluate(
            partial(reflect_and_retry, model=model, environment=environment, **chosen.options),
            [*plain, *risks],
            critic=sees_hidden(tiny.critic()),
            folder=Path(folder) / "runs",
            memory=memory,
            teach=tiny.tasks("train", lessons, seed=1000 * draw + seed, houses=TAUGHT),
            conditions=["first"],
            grader=result_match,
            seed=seed,
            concurrency=64,
        )
        kept = len(memory.list())  # type: ignore[attr-defined]
        memory.close()  # type: ignore[attr-defined]
    return _result(found, {**{task.id: group_of(task) for task in plain}, **_all(risks)}, kept)


def _all(risks: Sequence[Task]) -> dict[str, Group]:
    return {task.id: "at risk" for task in risks}


def _result(found: Evaluation, groups: Mapping[str, Group], kept: int) -> Result:
    pairs: dict[Group, list[tuple[float, float]]] = {group: [] for group in GROUPS}
    without, taught = (found.memory[name].results for name in ("without", "with"))
    for task, group in groups.items():
        pairs[group].append((without[task][0], taught[task][0]))
    assert found.memory_cost is not None
    return Result(pairs, found.memory_cost, kept)


def gain(results: Sequence[Result], groups: Sequence[Group]) -> tuple[float, float, float, Interval]:
    """Shares that passed without and with, their difference and its interval, over all seeds' tasks."""
    pairs = [pair for each in results for group in groups for pair in each.pairs[group]]
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return mean(first), mean(second), mean(second) - mean(first), paired_difference(first, second)


def report(
    results: Mapping[str, Sequence[Result]], *, lessons: int, count: int, risky: int, seconds: float
) -> str:
    """The tables, in Markdown."""
    seeds = len(next(iter(results.values())))
    groups = " | ".join(f"{name}: {told}" for name, told in GROUPS.items())
    command = f"--seeds {seeds} --lessons {lessons} --count {count} --risky {risky} --write"
    lines = [
        "## What a memory buys: later questions in house dialect",
        "",
        "```",
        f"PYTHONPATH=. python benchmarks/memory_sql.py {command}",
        "```",
        "",
        f"The embedded model, greedy. For each of {seeds} seeds the agent learns from {lessons} training "
        f"questions of three houses ({', '.join(TAUGHT)}), at most three attempts each, and then tries "
        f"{count} new questions of all six houses once; both are drawn anew for every seed, the latter "
        f"from draw {LOCKED} of the locked test split, which nothing was chosen by. A gain is the share of "
        "first tries that pass with the memory less that without, in points, with the paired bootstrap "
        "95 % interval over the tasks of all seeds. Most vague words of a house that was not taught are "
        "misread with or without a memory; the questions at risk, drawn besides, are those where the usual "
        "reading is right, so that there is something to lose. **Privileged**: the critic that taught knew "
        "the intended query; trying asks nobody. A part of the gain is built in: the critic says what the "
        "prompt does not tell. Swapping the memory is one argument; the runs differ in nothing else.",
        "",
        f"| memory | | taught houses, all | {groups} |",
        "|---|---|" + "---|" * (len(GROUPS) + 1),
        *(_row(arm, found) for arm, found in results.items()),
        "",
        "| memory | kept | calls to learn | tokens to learn | more tokens a first try | taught, by seed |",
        "|---|---|---|---|---|---|",
        *(_cost(arm, found) for arm, found in results.items()),
        "",
        f"{_size(results)} {seconds:.0f} s on one processor thread, beside other work.",
    ]
    return "\n".join(lines)


def _size(results: Mapping[str, Sequence[Result]]) -> str:
    found = next(iter(results.values()))
    sizes = ", ".join(f"{sum(len(each.pairs[group]) for each in found)} {group}" for group in GROUPS)
    return f"Questions tried by each: {sizes}."


def _row(arm: str, found: Sequence[Result]) -> str:
    groups: list[Sequence[Group]] = [LEARNT, *((group,) for group in GROUPS)]
    cells = [_told(gain(found, each)) for each in groups]
    return f"| {arm} | {ARMS[arm].told} | {' | '.join(cells)} |"


def _told(figures: tuple[float, float, float, Interval]) -> str:
    first, second, more, (low, high) = figures
    return f"{first:.1%} -> {second:.1%}: **{100 * more:+.1f}** [{100 * low:+.1f}, {100 * high:+.1f}]"


def _cost(arm: str, found: Sequence[Result]) -> str:
    costs = [each.cost for each in found]
    cells = [
        arm,
        f"{mean(each.kept for each in found):.0f}",
        f"{mean(each.calls for each in costs):,.0f}",
        f"{mean(each.tokens for each in costs):,.0f}",
        f"{mean(each.tokens_a_task for each in costs):+.1f}",
        ", ".join(f"{100 * gain([each], LEARNT)[2]:+.1f}" for each in found),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure, print, and write where told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lessons", type=int, default=300)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--risky", type=int, default=60, help="more questions that are at risk")
    parser.add_argument("--split", choices=["test", "dev"], default="test")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    results: dict[str, list[Result]] = {}
    began = time.perf_counter()
    for arm in asked.arms.split(","):
        results[arm] = []
        for seed in range(asked.seeds):
            sizes = {"lessons": asked.lessons, "count": asked.count, "risky": asked.risky}
            found = measure(arm, seed, **sizes, split=asked.split)
            results[arm].append(found)
            sys.stderr.write(f"{arm} {seed}: {time.perf_counter() - began:.0f} s\n")
    seconds = time.perf_counter() - began
    text = report(results, lessons=asked.lessons, count=asked.count, risky=asked.risky, seconds=seconds)
    sys.stdout.write(text + "\n")
    if asked.write:
        between(Path(__file__).parent / "RESULTS.md", "memory sql", text)


if __name__ == "__main__":
    main()
