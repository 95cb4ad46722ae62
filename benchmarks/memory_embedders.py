"""Which embedder finds the correction again when the same thing is said in other words.

    python benchmarks/memory_embedders.py [--minilm FOLDER]

Real texts only, of the data sets that AGENTLOOP_DATA names. What was said first on a task is kept as a
correction; what was said later on the same task (in other words, by the same critic or agent) is the query,
or the task itself is. Asked is `CorrectionMemory.recall`, so its ordering by rare words takes part. A share
is of queries whose own correction comes first (and among the first five).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from code_tables import between

from agentloop.memories import CorrectionMemory, Embedder, HashingEmbedder, MiniLMEmbedder
from agentloop.memories.embedding import Vectors
from agentloop.types import Correction, Task


class Pair(NamedTuple):
    """What is asked, and the words that should be found."""

    query: str
    wanted: str


class Both:
    """Two embedders side by side: the cosine is the mean of theirs."""

    name, version = "minilm and hashing", "1"

    def __init__(self, *parts: Embedder) -> None:
        self._parts = parts

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """The two vectors of each text, one after the other."""
        return np.concatenate([np.asarray(part(texts)) for part in self._parts], axis=1)


def sets(data: Path) -> dict[str, list[Pair]]:
    """The retrieval sets by name; see the words of each in ``TOLD``."""
    critiques = list(_critiques(data))
    code = [row["reflections"] for row in _rows(data, "runlogs-code/reflexion-*") if row["reflections"]]
    tasks = [
        Pair(row["prompt"], row["reflections"][-1])
        for row in _rows(data, "runlogs-code/reflexion-*")
        if row["reflections"]
    ]
    household: dict[str, list[str]] = {}
    for row in _rows(data, "runlogs-alfworld/*"):
        known = household.setdefault(row["name"], [])
        known += [text for text in row["memory"] if text not in known]
    return {
        "critiques": _first_and_next(critiques),
        "reflections on code": _first_and_next(code),
        "task of a reflection": tasks,
        "reflections of a household agent": _first_and_next(list(household.values())),
    }


TOLD: Mapping[str, str] = {
    "critiques": "GPT-4's second critique of a run (mint) finds its first one of that run",
    "reflections on code": "an agent's second reflection on a task (runlogs-code) finds the first",
    "task of a reflection": "a programming task finds the last reflection on it (runlogs-code)",
    "reflections of a household agent": "the second reflection on a room (runlogs-alfworld) finds the first",
}


def _first_and_next(said: Sequence[Sequence[str]]) -> list[Pair]:
    return [Pair(texts[1], texts[0]) for texts in said if len(texts) > 1 and texts[0] != texts[1]]


def _critiques(data: Path) -> Iterator[list[str]]:
    for row in _rows(data, "mint/*critic*"):
        said = [turn["content"] for turn in row["state"]["history"] if turn["role"] == "user"]
        found = [re.search(r"Expert feedback:\s*(.*)", text, re.S) for text in said[1:]]
        yield [each.group(1).strip() for each in found if each]


def _rows(data: Path, pattern: str) -> Iterator[Any]:
    for path in sorted(data.glob(f"{pattern}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


async def shares(pairs: Sequence[Pair], embedder: Embedder) -> tuple[float, float, float]:
    """How often the wanted words come first, among the first five; milliseconds of processor a query."""
    texts = list(dict.fromkeys(pair.wanted for pair in pairs))
    first = five = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        CorrectionMemory(folder, embedder=embedder, floor=-1) as memory,
    ):
        for number, text in enumerate(texts):
            await memory.record(Correction(id=f"c{number}", text=text))
        await memory.recall(Task(id="t", prompt=pairs[0].query))
        before = time.process_time()
        for pair in pairs:
            found = [each.text for each in await memory.recall(Task(id="t", prompt=pair.query), limit=5)]
            first += found[:1] == [pair.wanted]
            five += pair.wanted in found
        spent = 1000 * (time.process_time() - before) / len(pairs)
    return first / len(pairs), five / len(pairs), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minilm", help="a folder with MiniLM, to be compared as well")
    options = parser.parse_args()
    embedders: dict[str, Embedder] = {f"hashing, {size}": HashingEmbedder(size) for size in (384, 1024, 4096)}
    if options.minilm:
        minilm = MiniLMEmbedder(options.minilm)
        embedders |= {"MiniLM": minilm, "MiniLM and hashing 1024": Both(minilm, HashingEmbedder())}
    pairs = sets(Path(os.environ["AGENTLOOP_DATA"]))
    lines = [
        "| embedder | "
        + " | ".join(f"{name} ({len(each)})" for name, each in pairs.items())
        + " | ms a query |",
        "|---|" + "---|" * (len(pairs) + 1),
    ]
    for name, embedder in embedders.items():
        found = [asyncio.run(shares(each, embedder)) for each in pairs.values()]
        cells = [f"{first:.2f} ({five:.2f})" for first, five, _ in found]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.mean([spent for *_, spent in found]):.1f} |")
    lines += ["", *(f"- *{name}*: {told}." for name, told in TOLD.items())]
    text = "\n".join(lines)
    print(text)
    between(Path(__file__).parent / "RESULTS.md", "memory embedders", text)


if __name__ == "__main__":
    main()
