"""Processor time to write and search 1,000 texts: ours beside Mem0's, with the same embedder.

    python -m venv /tmp/mem0 && /tmp/mem0/bin/pip install mem0ai chromadb
    python benchmarks/memory_peers.py --mem0 /tmp/mem0/bin/python [--rounds 3]

Each side runs in a process of its own, by turns. Both get the sentences one by one, as an agent learns them:
Mem0 with ``infer=False`` (no model call), on its default vector store and on Chroma, its telemetry off; ours
with ``record``, then ``close``, so that the index is written. Both then answer 200 queries. The embedder is
the default one of this package on both sides. Processor time is that of the whole process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
SIDES = ("ours", "mem0 qdrant", "mem0 chroma")
QUERIES = 200


def ours(texts: Sequence[str], queries: Sequence[str], folder: str) -> dict[str, float]:
    """``CorrectionMemory``: milliseconds of processor a text and a query, and queries answered."""
    import chromadb  # noqa: F401  what starting up costs is not counted, on either side

    from agentloop.memories import CorrectionMemory
    from agentloop.types import Correction, Task

    async def work() -> dict[str, float]:
        memory = CorrectionMemory(Path(folder) / "memory")
        before = time.process_time()
        for number, text in enumerate(texts):
            await memory.record(Correction(id=f"c{number}", text=text))
        memory.close()
        written = time.process_time() - before
        memory = CorrectionMemory(Path(folder) / "memory")
        await memory.recall(Task(id="first", prompt=queries[0]))
        before, first = time.process_time(), 0
        for number, query in enumerate(queries):
            found = await memory.recall(Task(id=f"t{number}", prompt=query), limit=10)
            first += bool(found) and found[0].text == texts[number]
        searched = time.process_time() - before
        memory.close()
        return told(written, searched, len(texts), len(queries), first)

    return asyncio.run(work())


def mem0(texts: Sequence[str], queries: Sequence[str], folder: str, *, store: str) -> dict[str, float]:
    """Mem0's ``Memory``, its embedding model replaced by ours."""
    os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=folder, ANONYMIZED_TELEMETRY="False")
    from mem0 import Memory  # type: ignore[import-not-found]

    from agentloop.memories.hashing import HashingEmbedder

    hashing = HashingEmbedder()

    class Embedding:
        def embed(self, text: str, memory_action: str | None = None) -> list[float]:
            return [float(number) for number in hashing([text])[0]]

        def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
            return [self.embed(text) for text in texts]

    about: dict[str, Any] = {"collection_name": "texts", "path": f"{folder}/vectors"}
    if store == "qdrant":
        about |= {"embedding_model_dims": hashing.dimension, "on_disk": True}
    unused = {"provider": "openai", "config": {"api_key": "never called"}}
    memory = Memory.from_config(
        {
            "vector_store": {"provider": store, "config": about},
            "embedder": unused,
            "llm": unused,
            "history_db_path": f"{folder}/history.db",
        }
    )
    memory.embedding_model = Embedding()
    before = time.process_time()
    for text in texts:
        memory.add(text, user_id="agent", infer=False)
    written = time.process_time() - before
    memory.search(queries[0], filters={"user_id": "agent"}, top_k=10)
    before, first = time.process_time(), 0
    for number, query in enumerate(queries):
        found = memory.search(query, filters={"user_id": "agent"}, top_k=10)["results"]
        first += bool(found) and found[0]["memory"] == texts[number]
    return told(written, time.process_time() - before, len(texts), len(queries), first)


def told(written: float, searched: float, texts: int, queries: int, first: int) -> dict[str, float]:
    return {"write": 1000 * written / texts, "search": 1000 * searched / queries, "first": first / queries}


def one_side(side: str) -> None:
    """The child's part: read the texts, print the figures."""
    texts, queries = json.loads(sys.stdin.read())
    with tempfile.TemporaryDirectory() as folder:
        if side == "ours":
            figures = ours(texts, queries, folder)
        else:
            figures = mem0(texts, queries, folder, store=side.removeprefix("mem0 "))
    print(json.dumps(figures))


def asked(side: str, python: str, given: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, str(HERE / "memory_peers.py"), "--side", side],
        input=given,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(side, figures, flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mem0", help="the Python of the environment that has mem0ai")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="what a child process does")
    options = parser.parse_args()
    if options.side:
        one_side(options.side)
        return
    if not options.mem0:
        parser.error("--mem0 is needed")
    from code_tables import between
    from memory_texts import sentences

    texts = sentences(1000, data=Path(os.environ["AGENTLOOP_DATA"]))
    given = json.dumps([texts, [text.rstrip(".") for text in texts[:QUERIES]]])
    rounds = [
        {side: asked(side, sys.executable if side == "ours" else options.mem0, given) for side in SIDES}
        for _ in range(options.rounds)
    ]
    text = table(rounds)
    print(text)
    between(HERE / "RESULTS.md", "memory peers", text)


def table(rounds: Sequence[dict[str, dict[str, float]]]) -> str:
    lines = [
        f"1,000 real sentences, {QUERIES} queries, {len(rounds)} rounds by turns; the default embedder on "
        "all sides. Milliseconds of processor, median (least to most).",
        "",
        "| | a write | a search | the right text first |",
        "|---|---|---|---|",
    ]
    for side in SIDES:
        cells = []
        for what in ("write", "search"):
            values = [each[side][what] for each in rounds]
            cells.append(f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
        cells.append(f"{median(each[side]['first'] for each in rounds):.0%}")
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
