"""kill -9 at any instant, start again: nothing finished is repeated, nothing stored is asked for again."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import IO, Any, cast

import pytest

from agentloop.journal import read
from agentloop.reading import trajectories
from agentloop.types import digest
from tests.killed_run import CONCURRENCY, TASKS

KILLS = 200
RUNS = 10


@pytest.fixture
def server() -> Any:
    command = [sys.executable, "-m", "agentloop.models.faults", "--delay-seconds", "0.002"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield cast(IO[str], process.stdout).readline().strip()
        process.kill()


@pytest.fixture
def nursery(server: str) -> Any:
    command = [sys.executable, "-m", "tests.killed_run", server]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def seeds_asked(server: str) -> Counter[int]:
    with urllib.request.urlopen(server.removesuffix("/v1") + "/requests") as answer:
        return Counter(request["body"]["seed"] for request in json.load(answer)["requests"])


def seeds_stored(folder: Path) -> set[int]:
    """The seeds of the calls in a journal. A call's seed depends on its place, and names it here."""
    journal = folder / "journal.jsonl"
    if not journal.exists():
        return set()
    return {int(digest("0", e["place"])[:7], 16) for e in read(journal) if e.get("kind") == "call"}


def run_until(nursery: Any, folder: Path, size: int) -> bool:
    """Start the run and kill it once its journal has grown to ``size``; True when it ended before."""
    nursery.stdin.write(f"{folder}\n")
    nursery.stdin.flush()
    child = int(nursery.stdout.readline())
    journal = folder / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.stat().st_size >= size:
            break
        if has_ended(child):
            break
        time.sleep(0.0005)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return int(nursery.stdout.readline()) == 0


def has_ended(child: int) -> bool:
    """Whether the process is gone, or waits to be asked for its end."""
    try:
        return Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def whole_run_size(nursery: Any, folder: Path) -> int:
    folder.mkdir()
    assert run_until(nursery, folder, 1 << 40)
    return (folder / "journal.jsonl").stat().st_size


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_two_hundred_kills_lose_nothing_and_repeat_nothing_stored(
    server: str, nursery: Any, tmp_path: Path
) -> None:
    draw = random.Random(1)
    size = whole_run_size(nursery, tmp_path / "whole")
    kills, repeated, most = 0, 0, 0
    for number in range(RUNS * 3):
        if kills >= KILLS:
            break
        folder = tmp_path / f"run {number}"
        folder.mkdir()
        points = sorted(draw.uniform(0.01, 0.99) * size for _ in range(KILLS // RUNS))
        before = seeds_asked(server)
        for point in [*points, 1 << 40]:
            stored, asked = seeds_stored(folder), seeds_asked(server)
            ended = run_until(nursery, folder, int(point))
            kills += not ended
            again = seeds_asked(server) - asked
            assert not set(again) & stored, "a stored reply was asked for again"
            twice = sum(count for seed, count in again.items() if asked[seed] > before[seed])
            assert twice <= CONCURRENCY
            repeated, most = repeated + twice, max(most, twice)
        check_whole(folder)
    sys.stdout.write(f"{kills} kills, {repeated} calls repeated, at most {most} a kill\n")
    assert kills >= KILLS


def check_whole(folder: Path) -> None:
    """Every trajectory once, every attempt with its one reply, step, feedback and score."""
    found = list(trajectories(folder / "journal.jsonl"))
    assert sorted(each.task.id for each in found) == sorted(task.id for task in TASKS)
    ends = Counter(entry["end"] for entry in read(folder / "journal.jsonl") if "end" in entry)
    assert set(ends.values()) == {1}
    places = Counter(e["place"] for e in read(folder / "journal.jsonl") if "place" in e)
    assert set(places.values()) == {1}, "an effect was recorded twice"
    for trajectory in found:
        wanted = (int(trajectory.task.id.split()[1]) % 4) or 3
        assert len(trajectory.attempts) == wanted
        assert trajectory.passed is (int(trajectory.task.id.split()[1]) % 4 != 0)
        for attempt in trajectory.attempts:
            assert len(attempt.steps) == 1
            assert attempt.feedback is not None
            assert attempt.score is not None
