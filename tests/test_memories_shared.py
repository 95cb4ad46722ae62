"""A correction memory on a Chroma server, which several processes write."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentloop.errors import BadInput, MemoryLocked, MemoryMismatch
from agentloop.memories import CorrectionMemory, HashingEmbedder
from agentloop.types import Correction, Task
from tests.served_memory import served

ROOT = Path(__file__).parent.parent


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server of this test's own, on loopback."""
    with served(tmp_path / "server") as address:
        yield address


def correction(number: int) -> Correction:
    return Correction(id=f"c{number}", text=f"at house{number}, a few means {number} rows")


def recall(memory: CorrectionMemory, number: int) -> list[str]:
    asked = Task(id="t", prompt=f"house{number}: list a few boats")
    return [each.id for each in asyncio.run(memory.recall(asked, limit=1))]


def test_several_processes_write_one_folder_and_find_each_others_corrections(
    tmp_path: Path, url: str
) -> None:
    folder, count = tmp_path / "memory", 40
    program = [sys.executable, str(ROOT / "tests" / "memory_writer.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    writers = [
        subprocess.Popen(
            [*program, str(1000 * number), str(count), url], env=environment, stdout=subprocess.PIPE
        )
        for number in range(3)
    ]
    said = [writer.communicate(timeout=200)[0].split() for writer in writers]
    assert [len(each) for each in said] == [count] * 3
    with CorrectionMemory(folder, url=url) as memory:
        assert {each.id for each in memory.list()} == {id.decode() for each in said for id in each}
        assert [recall(memory, number) for number in (7, 1007, 2007)] == [["c7"], ["c1007"], ["c2007"]]
        with pytest.raises(MemoryLocked, match="a writer with url= has the memory"):
            CorrectionMemory(folder)
    with CorrectionMemory(folder) as alone:
        assert len(alone.list()) == 3 * count
        assert recall(alone, 2011) == ["c2011"]


def test_machines_with_folders_of_their_own_share_what_was_recorded_marked_and_forgotten(
    tmp_path: Path, url: str
) -> None:
    with CorrectionMemory(tmp_path / "one") as before:
        asyncio.run(before.record(correction(1)))
    with (
        CorrectionMemory(tmp_path / "one", url=url) as one,
        CorrectionMemory(tmp_path / "two", url=url) as two,
    ):
        assert recall(one, 1) == ["c1"]
        assert recall(two, 1) == ["c1"]
        asyncio.run(two.record(correction(2)))
        asyncio.run(two.record(correction(3)))
        assert recall(one, 2) == ["c2"]
        asyncio.run(one.settle("c2", trajectory="t", helped=True))
        one.mark("c2", "quarantined")
        assert recall(two, 2) != ["c2"] and two.get("c2").status == one.get("c2").status == "quarantined"
        two.forget("c1")
        assert recall(one, 1) != ["c1"]
        assert {each.id for each in two.list()} == {"c2", "c3"}
        assert {each.id for each in one.list()} == {"c2", "c3"}
    with CorrectionMemory(tmp_path / "one", url=url) as again:
        assert recall(again, 1) != ["c1"]


def test_a_server_with_vectors_of_another_embedder_is_refused(tmp_path: Path, url: str) -> None:
    with CorrectionMemory(tmp_path / "first", url=url) as memory:
        asyncio.run(memory.record(correction(1)))
    with pytest.raises(MemoryMismatch, match="256 numbers"):  # noqa: SIM117
        with CorrectionMemory(tmp_path / "other", url=url, embedder=HashingEmbedder(256)) as other:
            recall(other, 1)


@pytest.mark.parametrize("wrong", ["localhost:8000", "ftp://x", "", "http://"])
def test_what_is_no_address_is_refused(tmp_path: Path, wrong: str) -> None:
    with (
        CorrectionMemory(tmp_path, url=wrong) as memory,
        pytest.raises(BadInput, match="http://localhost:8000"),
    ):
        memory.list()


def test_a_server_that_does_not_answer_is_named_with_the_remedy(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, url="http://127.0.0.1:9") as memory:  # noqa: SIM117
        with pytest.raises(BadInput, match="no Chroma server answers at http://127.0.0.1:9"):
            memory.list()
