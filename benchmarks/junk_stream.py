"""The write gate under a stream of junk, and the scope guard beside houses that mean something else.

    PYTHONPATH=. python benchmarks/junk_stream.py           # 10,000 items, 95 % of them junk
    PYTHONPATH=. python benchmarks/junk_stream.py scope     # in-scope, near-scope and out-of-scope tasks

``--write`` puts the tables into RESULTS.md. With AGENTLOOP_DATA five of the kinds are real ones.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from code_tables import between
from junk_kinds import REAL, Item, correction, stream
from junk_scope import scope_report
from junk_world import Lesson, Shelf, World, pupil

from agentloop import areplay, scoped
from agentloop.bringing import bring
from agentloop.memories import CorrectionMemory, Gate
from agentloop.types import Correction

EVERY = 1000
"""Items between two sittings at which candidates are replayed."""
TRIES = 2
"""Replays that a candidate gets while the outcome is unclear, the later ones only if it helped anywhere."""
MOST, TOGETHER = 16, 8
"""Tasks that a replay may take, and how many it tries before it looks."""


class Outcome(NamedTuple):
    """What became of a stream."""

    items: Sequence[Item]
    fates: Mapping[int, str]
    memory: Sequence[Correction]
    leaked: Sequence[str]
    replays: Counter[str]
    tried: int
    rates: Mapping[str, float]
    seconds: float


def houses_for(items: int) -> int:
    """Houses that have enough lessons for a twentieth of the items."""
    return max(6, -(-items // 240))


async def lesson(item: Item, number: int) -> Correction:
    """What is distilled from an item, with its scope as far as its evidence says so."""
    distil = scoped(lambda attempts: [correction(item, number)], by=["house"])
    return (await bring(distil, item.attempts))[0]


async def run(world: World, items: Sequence[Item], folder: Path) -> Outcome:
    """Let a stream flow past the gate; replay candidates every EVERY items."""
    began, shelf = time.process_time(), Shelf(world.tasks("replay", each=40))
    fates: dict[int, str] = {}
    replays: Counter[str] = Counter()
    left: dict[str, int] = {}
    tried = 0
    with CorrectionMemory(folder / "memory", gate=Gate()) as memory:
        for number, item in enumerate(items):
            made = await lesson(item, number)
            admission = await memory.admit(made, attempts=item.attempts, recalled=item.recalled)
            fates[number] = admission.refusal.reason if admission.refusal else admission.outcome
            if admission.outcome == "kept":
                left[made.id] = TRIES
            if (number + 1) % EVERY == 0:
                tried += await sitting(memory, world, shelf, left, replays, folder / "runs")
                states = Counter(each.status for each in memory.list())
                told = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
                sys.stderr.write(f"{number + 1:,} items, {time.process_time() - began:.0f} s; {told}\n")
        while left:
            tried += await sitting(memory, world, shelf, left, replays, folder / "runs")
        held = memory.list()
        rates = await first_tries(memory, world)
    planted = {item.planted for item in items if item.planted}
    stored = b"\n".join(path.read_bytes() for path in (folder / "memory").rglob("*") if path.is_file())
    leaked = [secret for secret in planted if any(each in stored for each in _written(secret))]
    return Outcome(items, fates, held, leaked, replays, tried, rates, time.process_time() - began)


async def sitting(
    memory: CorrectionMemory,
    world: World,
    shelf: Shelf,
    left: dict[str, int],
    replays: Counter[str],
    folder: Path,
) -> int:
    """Replay the candidates that have tries left; gives how many tasks were tried both ways."""
    tried, build = 0, pupil(world)
    for id in list(left):
        left[id] -= 1
        # Every try has tasks of its own.
        tasks = shelf.near(memory.get(id), TRIES * (MOST + TOGETHER))[left[id] :: TRIES]
        runs = folder / str(left[id])
        found = await areplay(memory, id, tasks, agent=build, folder=runs, most=MOST, together=TOGETHER)
        replays[found.verdict] += 1
        tried += found.tasks
        if found.verdict in ("helps", "harms") or not found.better or not left[id]:
            del left[id]
    shutil.rmtree(folder, ignore_errors=True)
    return tried


async def first_tries(memory: CorrectionMemory, world: World) -> Mapping[str, float]:
    """The share of fresh tasks that pass without memory, with it, and with all that it was told."""
    tasks = world.tasks("fresh", each=1)
    alone = sum(world.passes(task, ()) for task in tasks)
    shown = 0
    for task in tasks:
        shown += world.passes(task, await memory.preview(task))
    return {"no memory": alone / len(tasks), "with the memory": shown / len(tasks)}


def _written(secret: str) -> Sequence[bytes]:
    """A secret as it would stand in a file, its lines escaped or not."""
    return (secret.encode(), secret.replace("\n", "\\n").encode())


class Figures(NamedTuple):
    """How well the active corrections match the true lessons."""

    active: int
    right: int
    wanted: int
    found: int

    @property
    def precision(self) -> float:
        """The share of active corrections that teach a lesson which no other active one teaches."""
        return self.right / self.active if self.active else 1.0

    @property
    def recall(self) -> float:
        """The share of true lessons that an active correction teaches."""
        return self.found / self.wanted if self.wanted else 1.0


def figures(world: World, outcome: Outcome) -> Figures:
    """Precision and recall, told by what the corrections say, not by where they came from."""
    active = [each for each in outcome.memory if each.status == "active"]
    useful = set(world.lessons)
    right: set[Lesson] = {
        lesson
        for each in active
        if (lesson := world.is_right(each)) in useful and each.applies_when == f"house={lesson.house}"
    }
    wanted = {
        lesson
        for item in outcome.items
        if item.kind == "true" and (lesson := world.is_right(Correction(id="x", text=item.text)))
    }
    return Figures(len(active), len(right), len(wanted), len(right & wanted))


def report(world: World, outcome: Outcome) -> str:
    """The stream in a table."""
    found, status = figures(world, outcome), {each.id: each.status for each in outcome.memory}
    ends: dict[str, Counter[str]] = {}
    for number, item in enumerate(outcome.items):
        fate = outcome.fates[number]
        end = status[f"item-{number}"] if fate == "kept" else fate
        ends.setdefault(item.kind, Counter())[end] += 1
    columns = ["active", "candidate", "quarantined", "reinforced"]
    reasons = ["secret", "hidden", "injected", "no_lesson", "evidence", "restated"]
    active = Counter(kind for kind, counts in ends.items() for _ in range(counts["active"]))
    lines = [
        f"{len(outcome.items):,} items, {found.wanted} of them lessons that are true and new; the rest is "
        "junk. Real kinds, which the gate was not built against: "
        + (", ".join(kind for kind in REAL if kind in ends) or "none (no AGENTLOOP_DATA)")
        + ".",
        "",
        "| kind | items | " + " | ".join((*columns, *(f"refused: {each}" for each in reasons))) + " |",
        "|---" * (2 + len(columns) + len(reasons)) + "|",
        *(
            f"| {kind} | {counts.total():,} | "
            + " | ".join(f"{counts[each]:,}" if counts[each] else "" for each in (*columns, *reasons))
            + " |"
            for kind, counts in sorted(ends.items(), key=lambda each: (each[0] != "true", each[0]))
        ),
        "",
        f"- Precision of active corrections: **{found.precision:.3f}** ({found.right} of "
        f"{found.active}; bar 0.9). A second active one of the same lesson counts as wrong.",
        f"- Recall of the true lessons: **{found.recall:.3f}** ({found.found} of {found.wanted}; bar 0.9).",
        f"- Active with a planted secret or hidden data: {active['secret'] + active['hidden']}"
        f"; planted ones that stand anywhere in the memory's folder: **{len(outcome.leaked)}**.",
        f"- Active injected instructions: **{active['injected'] + active['injected, retold']}**.",
        f"- Replays: {', '.join(f'{count:,} {name}' for name, count in outcome.replays.most_common())}; "
        f"{outcome.tried:,} tasks tried both ways.",
        "- Fresh tasks passed: "
        + ", ".join(f"{rate:.2f} {name}" for name, rate in outcome.rates.items())
        + ".",
        f"- {outcome.seconds:.0f} s of processor time.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the stream or the scope measurement, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("stream", "scope"), default="stream")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    results = Path(__file__).parent / "RESULTS.md"
    command = "```\nPYTHONPATH=. python benchmarks/junk_stream.py"
    if asked.what == "scope":
        title, name = "Scope: in, near and out of it", "scope guard"
        told = f"{command} scope --write\n```\n\n{asyncio.run(scope_report(asked.seed))}"
    else:
        named = os.environ.get("AGENTLOOP_DATA")
        data = Path(named) if named and Path(named).is_dir() else None
        world = World(houses_for(asked.items), seed=asked.seed)
        items = stream(world, asked.items, data=data, seed=asked.seed)
        with tempfile.TemporaryDirectory() as folder:
            outcome = asyncio.run(run(world, items, Path(folder)))
        title, name = "The write gate under a stream of junk", "junk stream"
        told = f"{command} --write\n```\n\n{report(world, outcome)}"
    sys.stdout.write(told + "\n")
    if asked.write:
        between(results, name, f"## {title}\n\n{told}")


if __name__ == "__main__":
    main()
