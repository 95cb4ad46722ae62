"""CIPHER beside its controls, with simulated people and a scripted writer, over 200 rounds.

    python benchmarks/cipher.py ours|kinds [--seeds 5] [--rounds 200] [--page benchmarks/RESULTS.md]
    AGENTLOOP_DATA=.../data python benchmarks/cipher.py real

Every arm writes the same texts for the same person; what differs is what is learnt. ``ours`` takes texts
and preferences of our own, ``real`` texts of five real data sets and PRELUDE's preferences; ``kinds``
varies how well the kinds of texts can be told apart. Each writes its section of the page.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cipher_controls import (
    Alike,
    InferFromEdits,
    KeepEdits,
    Known,
    PassOn,
    Recent,
    Scrambled,
    WriteLike,
)
from cipher_tables import Arm, separability, tables
from cipher_texts import preferences, real_tasks
from code_tables import between

from agentloop import improve
from agentloop.memories import PreferenceMemory
from agentloop.nodes import Judge
from agentloop.people import Editor, scripted_writer, writing_tasks
from agentloop.people.writing_model import Reads
from agentloop.people.writing_styles import named
from agentloop.prompts import Prompts
from agentloop.reading import corrections
from agentloop.recipes import cipher_agent, edit_costs
from agentloop.recipes.cipher import Edited, Generate, Retrieve, context_of, wired
from agentloop.types import Memory, Model, Task

K = 5


class World(NamedTuple):
    """What is to be written for whom, and how well the writer reads edits."""

    tasks: Sequence[Task]
    user: Editor
    reads: Reads = "whole"
    seed: int = 0
    overlooks: float = 0.0

    def writer(self) -> Model:
        """The one that writes, infers and aggregates."""
        return scripted_writer(self.reads, overlooks=self.overlooks)


def cipher(k: int, embedder: Callable[[World], Any] = lambda world: None) -> Callable[[World, Path], Any]:
    """CIPHER, with an embedder if not the default one."""

    def build(world: World, folder: Path) -> Any:
        memory = PreferenceMemory(folder, embedder=embedder(world))
        return cipher_agent(model=world.writer(), user=world.user, memory=memory, k=k)

    return build


def without(world: World, folder: Path) -> Any:
    return cipher_agent(model=world.writer(), user=world.user, memory=None)


def oracle(world: World, folder: Path) -> Any:
    wanted = {context_of(task): world.user.preference(task.public["label"]) for task in world.tasks}
    return cipher_agent(model=world.writer(), user=world.user, memory=Known(wanted), k=1)


def agnostic(first: bool) -> Callable[[World, Path], Any]:
    """One preference for all contexts: from the last five rounds, or once from the first five."""

    def build(world: World, folder: Path) -> Any:
        infer = InferFromEdits(world.writer(), once=first)
        return control(world, Recent(first=first), aggregate=infer)

    return build


def raw_edits(k: int, *, accepted: bool = True) -> Callable[[World, Path], Any]:
    """The ``k`` closest edits themselves are shown."""

    def build(world: World, folder: Path) -> Any:
        act = WriteLike(world.writer())
        memory = PreferenceMemory(folder)
        return control(world, memory, k=k, aggregate=PassOn(), act=act, accepted=accepted)

    return build


def control(world: World, memory: Memory, *, k: int = K, accepted: bool = True, **nodes: Any) -> Any:
    """An agent that keeps edits, with nodes of its own."""
    model, prompts = world.writer(), Prompts()
    usual = {"act": Generate(model, prompts=prompts), "edit": Judge(Edited(world.user))}
    learn = KeepEdits(memory, model, prompts=prompts, accepted=accepted)
    return wired(retrieve=Retrieve(memory, k=k), learn=learn, **{**usual, **nodes}).compile(name="control")


def scrambled(world: World) -> Scrambled:
    contexts = sorted({context_of(task) for task in world.tasks})
    others = random.Random(f"scrambled {world.seed}").sample(contexts, len(contexts))
    return Scrambled(dict(zip(contexts, others, strict=True)))


ARMS: Mapping[str, Callable[[World, Path], Any]] = {
    "no learning": without,
    "oracle preference": oracle,
    "explore, then exploit": agnostic(first=True),
    "continual, last 5": agnostic(first=False),
    "CIPHER blind to contexts": cipher(1, lambda world: Alike()),
    "raw edits, 5": raw_edits(K),
    "raw edits, 5, edited only": raw_edits(K, accepted=False),
    "raw edits, 1": raw_edits(1),
    "CIPHER k=1": cipher(1),
    "CIPHER k=5": cipher(K),
    "CIPHER k=1, scrambled": cipher(1, scrambled),
    "CIPHER k=5, scrambled": cipher(K, scrambled),
}
"""Every arm, as a function of the world and a folder for its memory."""

READERS: Mapping[str, tuple[Reads, float]] = {
    "whole": ("whole", 0.0),
    "one": ("one", 0.0),
    "changed": ("changed", 0.0),
    "fallible": ("whole", 0.1),
}
"""What the writer sees in an edit, and the chance that it overlooks a style there."""


def measure(name: str, world: World, *, late: int = 30) -> Arm:
    """Run one arm; ``late`` is the round after which its later cost is counted."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        agent = ARMS[name](world, folder / "memory")
        run = improve(agent, world.tasks, folder=folder / "run", concurrency=1)
        found = edit_costs(run.folder)
        accuracy = accuracy_of(run.folder / "journal.jsonl", world)
    return Arm(
        cost=found.total,
        late=sum(found.costs[late:]),
        accepted=found.accepted / len(found.costs),
        purity=found.purity,
        accuracy=accuracy,
        tokens=found.tokens,
    )


def accuracy_of(journal: Path, world: World) -> float | None:
    """The share of kept preferences nearer, by their styles, to their own person's than to any other."""
    labels = {f"{task.id}#0": task.public["label"] for task in world.tasks}
    wanted = {label: named(words) for label, words in world.user.wants.items()}
    right = []
    for each in corrections(journal):
        if each.kind == "preference" and "<before>" not in each.text:
            near = {label: _alike(named(each.text), styles) for label, styles in wanted.items()}
            own = near.pop(labels[each.source.trajectory])
            right.append(own > max(near.values(), default=0.0))
    return mean(right) if right else None


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def ours(rounds: int, seed: int, *, own: int = 3, reads: Reads = "whole", overlooks: float = 0.0) -> World:
    """A world of our own texts and preferences."""
    return World(writing_tasks(rounds, seed=seed, own=own), Editor(), reads, seed, overlooks)


def real(rounds: int, seed: int, *, reads: Reads = "whole", overlooks: float = 0.0) -> World:
    """A world of real texts and PRELUDE's preferences."""
    named_by = os.environ.get("AGENTLOOP_DATA")
    if not named_by:
        raise SystemExit("set AGENTLOOP_DATA to the folder of the real data sets")
    data = Path(named_by)
    return World(real_tasks(data, rounds, seed=seed), Editor(preferences(data)), reads, seed, overlooks)


def compare(make: Callable[..., World], rounds: int, seeds: int) -> str:
    """Every arm on every seed, for each way of reading edits."""
    parts = []
    for name, (reads, overlooks) in READERS.items():
        worlds = [make(rounds, seed, reads=reads, overlooks=overlooks) for seed in range(seeds)]
        found = {arm: [measure(arm, world) for world in worlds] for arm in ARMS}
        parts.append(tables(found, rounds=rounds, reads=name))
        print(parts[-1], flush=True)
    return "\n\n".join(parts)


def kinds(rounds: int, seeds: int) -> str:
    """CIPHER against no learning, the easier and the harder the kinds can be told apart."""
    rows: dict[tuple[str, int], Mapping[str, Sequence[Arm]]] = {}
    for reads in ("whole", "one"):
        for own in (0, 1, 2, 3, 6):
            worlds = [ours(rounds, seed, own=own, reads=reads) for seed in range(seeds)]
            names = ("no learning", "CIPHER k=1", "CIPHER k=5")
            rows[reads, own] = {name: [measure(name, world) for world in worlds] for name in names}
            print(reads, own, flush=True)
    return separability(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["ours", "real", "kinds"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--page", type=Path, default=Path(__file__).parent / "RESULTS.md")
    asked = parser.parse_args(arguments)
    if asked.what == "kinds":
        text = kinds(asked.rounds, asked.seeds)
    else:
        text = compare({"ours": ours, "real": real}[asked.what], asked.rounds, asked.seeds)
    drawn = f"{asked.rounds} rounds, {asked.seeds} seeds."
    between(asked.page, f"cipher {asked.what}", f"{HEADS[asked.what]} {drawn}\n\n{text}")


HEADS = {
    "ours": """## CIPHER beside its controls

```
python benchmarks/cipher.py ours
```

Texts and preferences of our own (`agentloop/people`), three of six sentences of a text in its kind's wording,
the default hashing embedder, the scripted writer. Costs are edits in tokens, differences are paired by seed
with Student's 95 % intervals. Purity: the share of what was recalled that was learnt on a text of the same
kind. Accuracy: the share of kept preferences nearest, by their styles, to those of their own kind's person.
Tokens: the agent's calls, in and out. Raw edits are shown to a writer that reads each of them as well as it
infers; at the same number of contexts it then writes as with CIPHER wherever an accepted text shows all that
was wanted (`whole`, `one`), and what CIPHER saves there is tokens; where an edit shows only what is new
(`changed`), an accepted text shows nothing, and CIPHER's rule to keep the preference used is what counts. A
reader that now and then overlooks a style (`fallible`) reads raw edits anew, and errs anew, at every text; a
preference was read once, and was kept because a text written to it was accepted. That what is stated is never
overlooked is an assumption of the simulation. Scrambled: every context has the vector of another one.""",
    "real": """### The same on real texts with PRELUDE's preferences

```
AGENTLOOP_DATA=... python benchmarks/cipher.py real
```

Reflections, dialogues, puzzles, descriptions of programs and critiques from five data sets, cut to 120
words; each kind has one of PRELUDE's preferences, as far as its words name a style of ours.""",
    "kinds": """### The easier the kinds are told apart, the more is gained

```
python benchmarks/cipher.py kinds
```

How many of the six sentences of a text are in its kind's wording; cost after round 30, no learning = 1.""",
}


if __name__ == "__main__":
    main()
