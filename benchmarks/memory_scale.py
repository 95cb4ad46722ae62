"""How the memory's search holds up at 1,000, 10,000 and 100,000 real sentences.

    python benchmarks/memory_scale.py search [--minilm FOLDER] [--sizes 1000,10000]
    python benchmarks/memory_scale.py settings [--size 10000]
    python benchmarks/memory_scale.py recall
    python benchmarks/memory_scale.py twins

`search`: recall@10 against the exact order, and processor time a query: of the memory's own search, and of
Chroma by the settings that `settings` compares. `recall`: `CorrectionMemory.recall` from task to corrections,
opened from its folder. `twins`: whether Chroma finds keys that differ in one number.
Set OPENBLAS_NUM_THREADS=1. Results go to benchmarks/RESULTS.md; vectors are kept in --kept.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from code_tables import between
from memory_texts import TorchMiniLM, sentences, vectors

from agentloop.memories import CorrectionMemory, Embedder, HashingEmbedder
from agentloop.memories.embedding import Vectors, identify
from agentloop.memories.exact import ExactVectors
from agentloop.memories.vector import SETTINGS, VectorIndex
from agentloop.types import Correction, Source, Task

RESULTS = Path(__file__).parent / "RESULTS.md"
QUERIES, MOST = 200, 100_000
CHROMAS: Mapping[str, Mapping[str, int]] = {
    "Chroma's own": {"max_neighbors": 16, "ef_construction": 100, "ef_search": 100, "sync_threshold": 1000},
    "M 32, 200, ef 200": {"max_neighbors": 32, "ef_construction": 200, "ef_search": 200},
    "M 64, 200, ef 400": {"max_neighbors": 64, "ef_construction": 200, "ef_search": 400},
    "M 100, 100, ef 400": {"max_neighbors": 100, "ef_construction": 100, "ef_search": 400},
    "M 200, 200, ef 400": {"max_neighbors": 200, "ef_construction": 200, "ef_search": 400},
    "M 100, 100, ef 400, sync 10,000": {
        "max_neighbors": 100,
        "ef_construction": 100,
        "ef_search": 400,
        "sync_threshold": 10_000,
    },
}


class Row(NamedTuple):
    """One engine's figures: seconds of processor to fill it, recall@10 (mean, worst), ms a query."""

    engine: str
    size: int
    built: float
    recall: float
    worst: float
    median: float
    p95: float


class Sentences(NamedTuple):
    """Texts with their vectors, and queries that are not among them."""

    embedder: str
    texts: Sequence[str]
    rows: Vectors
    queries: Vectors


def gathered(embedder: Embedder, options: argparse.Namespace) -> Sentences:
    """100,000 sentences and 200 more as queries."""
    texts = sentences(MOST + 1000, data=Path(os.environ["AGENTLOOP_DATA"]))
    rows = vectors(texts, embedder, kept=options.kept)
    return Sentences(identify(embedder).name, texts, rows[:MOST], rows[MOST : MOST + QUERIES])


def measured(engine: str, made: Sentences, size: int, search: Callable[[Vectors], Any], built: float) -> Row:
    """Ask every query; a hit counts as right when it is at least as near as the tenth."""
    shares, spent = [], []
    for query in made.queries:
        exact = np.einsum("ij,j->i", made.rows[:size], query)
        tenth = np.partition(exact, -10)[-10]
        before = time.process_time()
        found = list(itertools.islice(search(query), 64))[:10]
        spent.append(1000 * (time.process_time() - before))
        shares.append(sum(score >= tenth - 2e-6 for score in found) / 10)
    return Row(
        engine,
        size,
        built,
        float(np.mean(shares)),
        min(shares),
        float(np.median(spent)),
        float(np.percentile(spent, 95)),
    )


def own(made: Sentences, size: int) -> Row:
    """The memory's own search over vectors in memory."""
    held = ExactVectors()
    before = time.process_time()
    held.add([f"c{number}" for number in range(size)], made.rows[:size])
    next(held.search(made.queries[0]))
    built = time.process_time() - before
    return measured("ours, in memory", made, size, lambda q: (score for _, score in held.search(q)), built)


def chroma(name: str, made: Sentences, size: int, settings: Mapping[str, int]) -> Row:
    """A Chroma index in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        index = VectorIndex.local(Path(folder), _identity(made), settings=settings)
        before = time.process_time()
        index.add(_corrections(made.texts[:size]), made.rows[:size])
        next(index.search(made.queries[0], records=False))
        built = time.process_time() - before
        row = measured(
            name, made, size, lambda q: (hit.score for hit in index.search(q, records=False)), built
        )
        index.close()
    return row


def twins(settings: Mapping[str, int], *, count: int) -> tuple[int, int]:
    """Of ``count`` keys that differ in one number: how many are not found by themselves first, or never."""
    embedder = HashingEmbedder()
    told = "When a visitor asks for the opening hours of the north wing on a holiday, say that room {} is"
    texts = [f"{told.format(number)} open until six, and name the guard." for number in range(count)]
    rows = embedder(texts)
    with tempfile.TemporaryDirectory() as folder:
        index = VectorIndex.local(Path(folder), identify(embedder), settings=settings)
        for start in range(0, count, 64):
            index.add(
                [
                    Correction(id=f"c{start + n}", text=each)
                    for n, each in enumerate(texts[start : start + 64])
                ],
                rows[start : start + 64],
            )
        first = [next(index.search(row, records=False)).id for row in rows[:: max(1, count // 120)]]
        wrong = sum(id != f"c{n * max(1, count // 120)}" for n, id in enumerate(first))
        reached = len({hit.id for hit in index.search(rows[0], records=False)})
        index.close()
    return wrong, count - reached


def recalls(made: Sentences, sizes: Sequence[int]) -> Iterator[str]:
    """``CorrectionMemory.recall`` at each size: processor time of recording, opening and recalling."""
    yield "| corrections | recorded, ms each | opened, s | recall p50, ms | p95 | p50 and p95 after a write |"
    yield "|---|---|---|---|---|---|"
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            yield asyncio.run(_recalled(made, size, folder))


async def _recalled(made: Sentences, size: int, folder: str) -> str:
    texts = list(made.texts[:size])
    questions = [Task(id=f"t{n}", prompt=text) for n, text in enumerate(made.texts[MOST : MOST + QUERIES])]
    started = time.process_time()
    memory = CorrectionMemory(folder)
    for start in range(0, size, 1000):
        for each in _corrections(texts[start : start + 1000], first=start):
            memory._kept.record(each)
        await memory._kept.catch_up()
    memory.close()
    written = 1000 * (time.process_time() - started) / size
    started = time.process_time()
    memory = CorrectionMemory(folder)
    await memory.recall(questions[0])
    opened = time.process_time() - started
    spent: list[float] = []
    after: list[float] = []
    for number, question in enumerate(questions):
        if number % 2:
            await memory.record(Correction(id=f"new{number}", text=f"{question.prompt} and {number} more"))
        before = time.process_time()
        await memory.recall(question)
        (after if number % 2 else spent).append(1000 * (time.process_time() - before))
    memory.close()
    return (
        f"| {size:,} | {written:.2f} | {opened:.1f} | {np.median(spent):.1f} "
        f"| {np.percentile(spent, 95):.1f} | {np.median(after):.1f}, {np.percentile(after, 95):.1f} |"
    )


def _corrections(texts: Sequence[str], first: int = 0) -> list[Correction]:
    source = Source(run="r", trajectory="t", quote="as it was said")
    return [Correction(id=f"c{first + n}", text=text, source=source) for n, text in enumerate(texts)]


def _identity(made: Sentences) -> Any:
    from agentloop.memories.embedding import Identity

    return Identity(made.embedder, "1", made.rows.shape[1])


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| engine | sentences | filled, s | recall@10 (worst query) | ms a query, p50 | p95 |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.engine} | {row.size:,} | {row.built:.1f} | {row.recall:.4f} ({row.worst:.1f}) "
            f"| {row.median:.2f} | {row.p95:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["search", "settings", "recall", "twins"])
    parser.add_argument("--minilm", help="a folder with MiniLM; else the default embedder")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--chroma", action="store_true", help="search: Chroma's two settings as well")
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "agentloop-vectors")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.what == "twins":
        write("twins", twins_table())
        return
    embedder: Embedder = TorchMiniLM(options.minilm) if options.minilm else HashingEmbedder()
    made = gathered(embedder, options)
    if options.what == "recall":
        write("recall", "\n".join(recalls(made, sizes)))
    elif options.what == "settings":
        rows = [own(made, options.size), *(chroma(n, made, options.size, s) for n, s in CHROMAS.items())]
        write(f"settings {made.embedder}", table(rows))
    else:
        rows = []
        for size in sizes:
            rows.append(own(made, size))
            if options.chroma:
                rows.append(chroma("Chroma, our settings", made, size, SETTINGS))
        write(f"search {made.embedder}", table(rows))


def twins_table() -> str:
    lines = ["| settings | keys | another first, of 120 asked | never found |", "|---|---|---|---|"]
    for name, settings in CHROMAS.items():
        for count in (120, 1000):
            wrong, never = twins(settings, count=count)
            lines.append(f"| {name} | {count} | {wrong} | {never} |")
    return "\n".join(lines)


def write(name: str, text: str) -> None:
    print(text)
    between(RESULTS, f"memory scale {name}", text)


if __name__ == "__main__":
    main()
