"""A correction memory whose writer is killed with SIGKILL at random instants, many times over.

``python -m tests.killed_memory`` is the nursery: it has the imports done and forks a writer for each line
that it reads. A writer tells what was acknowledged through a pipe, which outlives it.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from agentloop.memories import CorrectionMemory
from agentloop.types import Correction, Task

ROOT = Path(__file__).parent.parent
SPILLED_FROM = 40
"""In every second folder Chroma answers from so many corrections on, and memory in the others."""


class Told(NamedTuple):
    """What came of it: kills, acknowledged changes by kind, changes that were not acknowledged and are there
    all the same, and how often the log said what."""

    kills: int
    acknowledged: Counter[str]
    unasked: int
    said: Counter[str]


def text_of(number: int) -> str:
    return f"at house{number}, a few means {number} rows"


def kill_often(folder: Path, *, kills: int, a_folder: int = 20, seed: int = 0) -> Told:
    """Kill writers ``kills`` times; AssertionError when anything acknowledged is missing or changed."""
    draw, command = random.Random(seed), [sys.executable, "-m", "tests.killed_memory"]
    acknowledged: Counter[str] = Counter()
    said: Counter[str] = Counter()
    unasked = 0
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        try:
            for number in range(0, kills, a_folder):
                place = folder / f"memory {number}"
                wanted: dict[str, str] = {}
                for kill in range(min(a_folder, kills - number)):
                    if kill % 5 == 4:
                        damage(place, draw)
                    told = one_kill(nursery, place, draw, first=1000 * kill)
                    acknowledged.update(kind for kind, _ in told)
                    unasked += take(wanted, told, place)
                finish(nursery, place, wanted)
                said.update(messages(place))
        finally:
            nursery.kill()
    return Told(kills, acknowledged, unasked, said)


def one_kill(nursery: Any, place: Path, draw: random.Random, *, first: int) -> list[tuple[str, str]]:
    """Let a writer work until a random instant: while it opens, or so many changes later."""
    changes = draw.choice([0, draw.randrange(1, 70), draw.randrange(60, 200)])
    pipe = start(nursery, place, first, seed=draw.randrange(1 << 30))
    told = b""
    deadline = time.monotonic() + 60
    while told.count(b"\n") < changes and time.monotonic() < deadline:
        part = os.read(pipe.file, 65536)
        if not part:
            break
        told += part
    time.sleep(draw.random() * (0.01 if changes else 0.5))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pipe.process, signal.SIGKILL)
    while part := os.read(pipe.file, 65536):
        told += part
    os.close(pipe.file)
    assert int(nursery.stdout.readline()) == -signal.SIGKILL, "the writer ended by itself; see its log"
    return [(kind, id) for kind, _, id in (line.partition(" ") for line in told.decode().splitlines())]


class Pipe(NamedTuple):
    process: int
    file: int


def start(nursery: Any, place: Path, first: int, *, seed: int) -> Pipe:
    place.mkdir(parents=True, exist_ok=True)
    fifo = place / "told"
    if not fifo.exists():
        os.mkfifo(fifo)
    file = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    nursery.stdin.write(json.dumps([str(place), first, seed]) + "\n")
    nursery.stdin.flush()
    process = int(nursery.stdout.readline())
    select.select([file], [], [], 60)
    os.set_blocking(file, True)
    return Pipe(process, file)


def take(wanted: dict[str, str], told: list[tuple[str, str]], place: Path) -> int:
    """Hold what is kept against what was acknowledged; how many changes came without that."""
    for kind, id in told:
        if kind in ("active", "quarantined", "forgotten"):
            wanted[id] = kind
    with CorrectionMemory(place, read_only=True) as memory:
        held = {each.id: each for each in memory.list()}
    unasked = 0
    for id in {*wanted, *held}:
        found = str(held[id].status) if id in held else "forgotten"
        if wanted.get(id, "forgotten") != found:
            unasked += 1
            wanted[id] = found
        assert id not in held or held[id].text == text_of(int(id[1:]))
    assert unasked <= 1, "one change may be under way when the process ends, no more"
    return unasked


def damage(place: Path, draw: random.Random) -> None:
    """Overwrite the beginning of the index's tables, and leave half a line in the log."""
    with (place / "corrections.jsonl").open("ab") as log:
        log.write(b'{"event": "recorded", "corr')
    for path in place.glob("index-*/chroma.sqlite3"):
        with path.open("r+b") as file:
            file.write(draw.randbytes(4096))


def finish(nursery: Any, place: Path, wanted: dict[str, str]) -> None:
    """Let a writer open the memory, compare what it holds and finds, and close it."""
    (place / "wanted.json").write_text(json.dumps(wanted))
    pipe = start(nursery, place, -1, seed=0)
    os.close(pipe.file)
    ended = int(nursery.stdout.readline())
    assert ended == 0, f"what was kept is not found again: {(place / 'messages').read_text()[-2000:]}"


def messages(place: Path) -> list[str]:
    """What the log of Python's logging said, by kind."""
    kinds = {
        "made anew": "index made anew",
        "torn last line": "torn line cut off",
        "the index lacks": "rows added to the index",
        "that the log does not know": "rows taken out of the index",
    }
    lines = (place / "messages").read_text().splitlines()
    return [told for line in lines for words, told in kinds.items() if words in line]


async def write(place: Path, first: int, draw: random.Random, pipe: int) -> None:
    """Change the memory for ever, and tell of each change once it is done."""
    memory = opened(place)
    kept: list[str] = []
    for number in range(first, first + 1000):
        correction = Correction(id=f"c{number}", text=text_of(number))
        await memory.record(correction)
        kept.append(correction.id)
        os.write(pipe, f"active {correction.id}\n".encode())
        chance = draw.random()
        if chance < 0.05:
            id = kept.pop(draw.randrange(len(kept)))
            memory.forget(id)
            os.write(pipe, f"forgotten {id}\n".encode())
        elif chance < 0.1:
            id = draw.choice(kept)
            memory.mark(id, "quarantined")
            os.write(pipe, f"quarantined {id}\n".encode())
        elif chance < 0.2:
            await memory.recall(Task(id="t", prompt=text_of(number)))
            os.write(pipe, b"recalled\n")


async def check(place: Path) -> None:
    """What was acknowledged is kept, and found by its own words; the closed index is whole."""
    from agentloop.memories.index_health import index_damage, torn_logs

    wanted = json.loads((place / "wanted.json").read_text())
    with opened(place) as memory:
        held = {each.id: str(each.status) for each in memory.list()}
        assert held == {id: status for id, status in wanted.items() if status != "forgotten"}
        active = [id for id, status in held.items() if status == "active"]
        for id in active[:: max(1, len(active) // 40)]:
            found = await memory.recall(Task(id="t", prompt=text_of(int(id[1:]))))
            assert id in [each.id for each in found], f"{id} is kept and not found"
        ledger = memory._kept.ledger
    assert not list(torn_logs(place))
    assert index_damage(place, ledger) == ""


def opened(place: Path) -> CorrectionMemory:
    number = int(place.name.rpartition(" ")[2])
    return CorrectionMemory(place, exact_below=SPILLED_FROM if number % 40 else 200_000)


def born(place: Path, first: int, seed: int) -> int:
    """The life of a forked writer."""
    logging.basicConfig(filename=place / "messages", level=logging.INFO, force=True)
    pipe = os.open(place / "told", os.O_WRONLY)
    try:
        if first < 0:
            asyncio.run(check(place))
        else:
            asyncio.run(write(place, first, random.Random(seed), pipe))
    except BaseException:
        logging.exception("the writer failed")
        return 1
    return 0


def nursery() -> None:
    import chromadb  # noqa: F401  loaded once, before the forks

    for line in sys.stdin:
        place, first, seed = json.loads(line)
        child = os.fork()
        if not child:
            os._exit(born(Path(place), first, seed))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    nursery()
