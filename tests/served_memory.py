"""A Chroma server of one's own, and writers in processes of their own that share a memory through it."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np

from agentloop.memories import CorrectionMemory, HashingEmbedder
from agentloop.memories.embedding import identify
from agentloop.memories.vector import VectorIndex
from agentloop.types import Task

ROOT = Path(__file__).parent.parent
DIMENSION = 256


@contextlib.contextmanager
def served(path: Path) -> Iterator[str]:
    """A server on loopback, with its files in ``path``; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [str(Path(sys.executable).parent / "chroma"), "run", "--path", str(path)]
    server = subprocess.Popen(
        [*program, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urlopen(f"{address}/api/v2/heartbeat", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


class Written(NamedTuple):
    """What came of some writers: acknowledged, kept by the logs, readable on the server, found by their words
    first of all that the server holds, of so many asked; seconds it took to write."""

    acknowledged: int
    kept: int
    readable: int
    found: int
    asked: int
    seconds: float


def write_together(folder: Path, url: str, *, writers: int, each: int) -> Written:
    """Let ``writers`` processes record ``each`` corrections at once; AssertionError when one is lost."""
    program = [sys.executable, str(ROOT / "tests" / "memory_writer.py"), str(folder / "memory")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    started = time.monotonic()
    with contextlib.ExitStack() as files:
        told = [
            files.enter_context((folder / f"told {number}").open("w+b", buffering=0))
            for number in range(writers)
        ]
        running = [
            subprocess.Popen(
                [*program, str(100_000 * number), str(each), url, str(DIMENSION)],
                env=environment,
                stdout=file,
            )
            for number, file in enumerate(told)
        ]
        assert [process.wait() for process in running] == [0] * writers
    seconds = time.monotonic() - started
    acknowledged = {id for number in range(writers) for id in (folder / f"told {number}").read_text().split()}
    assert len(acknowledged) == writers * each
    return compare(folder, url, acknowledged, seconds)


def compare(folder: Path, url: str, acknowledged: set[str], seconds: float) -> Written:
    """Hold the logs and the server's rows against what was acknowledged."""
    embedder = HashingEmbedder(DIMENSION)
    index = VectorIndex.server(url, identify(embedder))
    texts = {each.id: each.text for each in index.get()}
    assert texts.keys() == acknowledged
    rows: dict[str, np.ndarray] = {}
    ids = sorted(acknowledged)
    for start in range(0, len(ids), 1000):
        found, vectors = index.vectors(ids[start : start + 1000])
        rows.update(zip(found, vectors, strict=True))
    for id, vector in zip(ids, embedder([texts[id] for id in ids]), strict=True):
        assert np.allclose(rows[id], vector, atol=1e-5), f"the vector of {id} is not that of its words"
    asked = ids[:: max(1, len(ids) // 100)]
    with CorrectionMemory(folder / "memory", url=url, embedder=embedder) as memory:
        kept = {each.id for each in memory.list()}
        assert kept == acknowledged
        first = [
            asyncio.run(memory.recall(Task(id="t", prompt=texts[id]), limit=1))[0].id == id for id in asked
        ]
    with CorrectionMemory(folder / "memory", read_only=True, embedder=embedder) as reader:
        assert {each.id for each in reader.list()} == acknowledged
    return Written(len(acknowledged), len(kept), len(rows), sum(first), len(asked), seconds)
