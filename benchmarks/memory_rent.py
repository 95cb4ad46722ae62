"""How soon rent finds out corrections that harm, and how seldom it sends away one that does not.

    PYTHONPATH=. python benchmarks/memory_rent.py --seeds 20 --write

Every task recalls one poison and the lessons it needs. With ``--write`` the tables go into RESULTS.md,
between the marks "memory rent".
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

from code_tables import between
from memory_poisons import LESSONS, NEEDED, POISONS, Poison, chance, puzzle

from agentloop.intervals import wilson
from agentloop.memories.betting import Counts, Uses, interval
from agentloop.memories.collecting import Collecting
from agentloop.memories.confidence import confidence
from agentloop.memories.keeping import Keeping
from agentloop.memories.ledger import Event, Ledger
from agentloop.memories.rent import Rent
from agentloop.memories.tally import added
from agentloop.types import Correction

WITHIN = 300
"""Uses within which a poison is to be quarantined."""
RENT = Rent(useless_after=None)


class Kept:
    """What Collecting asks of an open memory, without a folder and without vectors."""

    read_only = False

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.ledger = Ledger()

    def follow(self) -> None:
        """There are no other logs."""

    def write(self, event: Event | None) -> None:
        """Count an event."""
        if event is not None:
            self.ledger.apply({**event, "at": "2026-01-01T00:00:00+00:00"})

    def mark(self, id: str, status: str) -> None:
        """Give a correction another status."""
        self.write({"event": "marked", "id": id, "status": status})


class World:
    """A memory with the honest lessons and perhaps a poison, and the agent that is shown what it recalls."""

    def __init__(self, poison: Poison | None, *, seed: int, rent: Rent = RENT) -> None:
        self.poison, self.draw = poison, random.Random(f"rent {seed} {poison and poison.name}")
        self.kept: Any = Kept()
        self.rent = rent
        self.collecting = Collecting(cast(Keeping, self.kept), rent)
        self.number, self.seed = 0, seed
        texts = [f"Lesson {number}." for number in range(LESSONS)] + ([poison.text] if poison else [])
        for number, text in enumerate(texts):
            each = Correction(id=str(number), text=text)
            self.kept.write(self.kept.ledger.recorded(each))

    def active(self, id: str) -> bool:
        """Whether a correction is still recalled."""
        return bool(self.kept.ledger.corrections[id].status == "active")

    def lessons(self) -> list[Correction]:
        """The honest ones, with their counts."""
        return [self.kept.ledger.corrections[str(id)] for id in range(LESSONS)]

    def after(self, tasks: int) -> list[Uses]:
        """The uses of each lesson after so many tasks."""
        for _ in range(tasks):
            self.step()
        return [self.kept.ledger.tally.uses(each.id) for each in self.lessons()]

    def step(self) -> tuple[bool, bool]:
        """One task: whether it passed, and whether the poison was shown."""
        task = puzzle(self.number, self.draw)
        name = f"{self.seed}/{self.number}"
        self.number += 1
        asked = [str(each) for each in task.needs] + ([POISON] if self.poison else [])
        found = [id for id in asked if self.active(id)]
        withheld = self.collecting.withhold(found, name)
        shown = [id for id in found if id not in withheld]
        poison = self.poison if POISON in shown else None
        passed = self.draw.random() < chance(task, [int(id) for id in shown if id != POISON], poison)
        for id in found:
            self.kept.write(self.kept.ledger.settled(id, name, passed, shown=id in shown))
            ruling = self.collecting.ruling(id)
            if ruling is not None:
                self.kept.mark(id, ruling.status)
        return passed, POISON in shown


POISON = str(LESSONS)
WEAK = [
    Poison("a little wrong", "Round to fives.", lambda task: 0.25),
    Poison("hardly wrong", "Round to twos.", lambda task: 0.12),
]
"""Poisons beside the twenty, to tell how long weak ones take."""
LOOKS = 50


class Found(NamedTuple):
    """What became of a memory: uses until its poison went, lessons that went, and would by a plain rule."""

    uses: int | None
    shown: int
    honest_gone: int
    plainly_gone: int


def poisoned(poison: Poison, seed: int, *, tasks: int, rent: Rent = RENT) -> Found:
    """One memory with a poison in it, through so many tasks."""
    world = World(poison, seed=seed, rent=rent)
    uses, shown, plain = None, 0, set()
    for number in range(tasks):
        before = world.active(POISON)
        shown += world.step()[1]
        if before and not world.active(POISON):
            uses = number + 1
        plain |= {each.id for each in world.lessons() if each.hurt > each.helped >= 0 and each.hurt > 9}
    gone = sum(each.status != "active" for each in world.lessons())
    return Found(uses, shown, gone, len(plain))


def effect(poison: Poison, *, tasks: int = 4000) -> float:
    """What showing the poison changes, in pass rate, over tasks with all their lessons."""
    draw = random.Random("effect")
    every = [puzzle(100 + number, draw) for number in range(tasks)]
    return sum(chance(each, each.needs, poison) - chance(each, each.needs, None) for each in every) / tasks


def useless_gone(rate: float, seed: int, *, uses: int, rent: Rent = RENT) -> bool:
    """Whether a correction that changes nothing is ever quarantined, the hardest case of an honest one."""
    draw = random.Random(f"useless {rate} {seed}")
    counts: dict[float, Counts] = {}
    for _ in range(uses):
        share = rent.share(counts, others=0.6)
        place = (2 if draw.random() < share else 0) + (draw.random() >= rate)
        cells = list(counts.get(share, Counts()))
        cells[place] += 1
        counts[share] = Counts(*cells)
        ruling = rent.ruling(counts)
        if ruling is not None:
            return True
    return False


def missed(shown: float, withheld: float, seed: int, *, uses: int, share: float, alpha: float) -> bool:
    """Whether the interval ever misses the value, at the looks."""
    draw, cells = random.Random(f"missed {shown} {withheld} {seed}"), [0, 0, 0, 0]
    looks = {round(uses ** (look / LOOKS)) for look in range(1, LOOKS + 1)} | set(range(1, 12))
    for number in range(1, uses + 1):
        back = draw.random() < share
        cells[2 * back + (draw.random() >= (withheld if back else shown))] += 1
        if number in looks:
            low, high = interval({share: Counts(*cells)}, alpha=alpha)
            if not low <= shown - withheld <= high:
                return True
    return False


def brier(seed: int, *, corrections: int) -> list[tuple[float, bool]]:
    """Confidence in corrections of which it is known whether they help, and whether they do."""
    draw, said = random.Random(f"brier {seed}"), []
    for _ in range(corrections):
        without = draw.uniform(0.2, 0.8)
        change = draw.choice([-0.4, -0.2, -0.1, 0.1, 0.2, 0.4])
        rate = min(1.0, max(0.0, without + change))
        cells = [0, 0, 0, 0]
        for _ in range(draw.randrange(4, 200)):
            back = draw.random() < RENT.hold_out
            cells[2 * back + (draw.random() >= (without if back else rate))] += 1
        said.append((confidence(Counts(*cells)), change > 0))
    return said


def table(seeds: Sequence[int], *, tasks: int) -> tuple[str, list[Found]]:
    """The poisons, a line each, and everything that was found."""
    lines = [
        f"| poison | changes the pass rate by | gone within {WITHIN} uses | uses: median | 9 of 10 | most |",
        "|---|---|---|---|---|---|",
    ]
    every: list[Found] = []
    for poison in POISONS:
        found = [poisoned(poison, seed, tasks=tasks) for seed in seeds]
        every += found
        lines.append(row(poison, found, tasks=tasks))
        sys.stderr.write(lines[-1] + "\n")
    return "\n".join(lines), every


def row(poison: Poison, found: Sequence[Found], *, tasks: int) -> str:
    """One poison's line of the table."""
    uses = sorted(each.uses if each.uses is not None else tasks + 1 for each in found)
    told = [median(uses), uses[int(0.9 * (len(uses) - 1))], uses[-1]]
    cells = " | ".join(f"{each:.0f}" if each <= tasks else f"over {tasks}" for each in told)
    soon = sum(each <= WITHIN for each in uses)
    return f"| {poison.name} | {effect(poison):+.2f} | {soon} of {len(uses)} | {cells} |"


def withheld(seeds: Sequence[int], *, tasks: int) -> str:
    """How many recalls of honest lessons are withheld, without a poison and beside one."""
    told = []
    for poison in (None, POISONS[-1]):
        uses = [added(each) for seed in seeds for each in World(poison, seed=seed).after(tasks)]
        share = sum(each.withheld for each in uses) / sum(map(sum, uses))
        told.append(f"{share:.1%} {'beside' if poison else 'without'} a poison")
    return f"- Uses of honest lessons that were withheld: {', '.join(told)}."


def harmless(seeds: Sequence[int]) -> list[str]:
    """How many of those that change nothing are quarantined."""
    lines = []
    for rate in (0.2, 0.5, 0.9):
        gone = [useless_gone(rate, seed, uses=600) for seed in seeds]
        lines.append(
            f"- Quarantined of those that change nothing where {rate:.0%} pass, in 600 uses: {_share(gone)}; "
            f"at most {RENT.alpha / 2:.1%} should be."
        )
    return lines


def covered(seeds: Sequence[int], *, alpha: float = 0.1) -> list[str]:
    """How often intervals of a value that is known miss it at any of many looks."""
    lines = []
    for shown, withheld in [(0.5, 0.5), (0.9, 0.9), (0.8, 0.6), (0.3, 0.7)]:
        for share in (0.1, 0.5):
            out = [missed(shown, withheld, seed, uses=1000, share=share, alpha=alpha) for seed in seeds]
            lines.append(
                f"- The {1 - alpha:.0%} interval ever missed, {shown:.0%} pass where shown, {withheld:.0%} "
                f"where not, {share} withheld, 1,000 uses, looked at again and again: {_share(out)}."
            )
    return lines


def calibrated(seeds: Sequence[int]) -> str:
    """The Brier score of confidence, and what was said beside what was true."""
    said = [each for seed in seeds for each in brier(seed, corrections=200)]
    score = sum((told - true) ** 2 for told, true in said) / len(said)
    return (
        f"- Confidence, {len(said)} corrections with 4 to 200 uses, a tenth withheld: Brier score "
        f"**{score:.3f}** (0.25 knows nothing). Said, and came true: {'; '.join(_fifths(said))}."
    )


def text(seeds: Sequence[int], *, tasks: int) -> str:
    """The whole section."""
    began = time.perf_counter()
    rows, every = table(seeds, tasks=tasks)
    soon = sum(each.uses is not None and each.uses <= WITHIN for each in every)
    gone, plainly = sum(each.honest_gone for each in every), sum(each.plainly_gone for each in every)
    lessons, many = LESSONS * len(every), range(10 * len(seeds))
    weak = [row(each, [poisoned(each, s, tasks=2000) for s in seeds], tasks=2000) for each in WEAK]
    lines = [
        "## What corrections are worth: poisons found out, honest ones kept",
        "",
        "```",
        f"PYTHONPATH=. python benchmarks/memory_rent.py --seeds {len(seeds)} --tasks {tasks} --write",
        "```",
        "",
        f"Simulated: {len(POISONS)} kinds of poison, each in {len(seeds)} memories with {LESSONS} "
        f"honest lessons; each of {tasks} tasks recalls the poison and the {NEEDED} lessons that it needs, "
        "so that a use of the poison, shown or withheld, is a task. `Rent()` with its own values: 0.1 "
        "withheld, a suspect 0.5, alpha 0.05; without retirement.",
        "",
        rows,
        *weak,
        "",
        f"- Quarantined within {WITHIN} uses: **{soon} of {len(every)}** poisons; the last {len(WEAK)} of "
        "the table, weak ones, are not counted and had 2,000 tasks.",
        f"- Honest lessons quarantined beside them: **{gone} of {lessons}** ({_span(gone, lessons)}). By the "
        f"plain rule 'it hurt more often than it helped, at least ten times': {plainly} of {lessons}.",
        withheld(seeds, tasks=tasks),
        *harmless(many),
        *covered(many),
        calibrated(seeds),
        "",
        f"{time.perf_counter() - began:.0f} s on one core.",
    ]
    return "\n".join(lines)


def _share(happened: Sequence[bool]) -> str:
    count, total = sum(happened), len(happened)
    return f"{count} of {total} ({_span(count, total)})"


def _fifths(said: Sequence[tuple[float, bool]]) -> list[str]:
    told = []
    for fifth in range(5):
        here = [each for each in said if fifth / 5 <= each[0] < (fifth + 1) / 5 + 1e-9]
        if here:
            mean, true = sum(each[0] for each in here) / len(here), sum(each[1] for each in here) / len(here)
            told.append(f"{mean:.2f}, {true:.2f} (of {len(here)})")
    return told


def _span(count: int, total: int) -> str:
    low, high = wilson(count, total)
    return f"{low:.1%} to {high:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    told = text(range(asked.seeds), tasks=asked.tasks)
    sys.stdout.write(told + "\n")
    if asked.write:
        between(Path(__file__).parent / "RESULTS.md", "memory rent", told)


if __name__ == "__main__":
    main()
