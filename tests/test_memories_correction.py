"""The memory of corrections: what is recalled, what is counted, what survives."""

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from agentloop.errors import BadInput, MemoryLocked, MemoryMismatch, SchemaVersionError
from agentloop.memories import CorrectionMemory, HashingEmbedder, check_memory
from agentloop.types import Correction, Source, Task

SENTINEL = "XYZZY-SENTINEL-5567"
ROOT = Path(__file__).parent.parent


def correction(number: int = 1, **fields: object) -> Correction:
    words = {"text": f"at house{number}, a few means {number} rows"}
    return Correction(**{"id": f"c{number}", **words, **fields})  # type: ignore[arg-type]


def task(number: int = 1, **fields: object) -> Task:
    return Task(**{"id": f"t{number}", "prompt": f"house{number}: list a few boats", **fields})  # type: ignore[arg-type]


def fill(memory: CorrectionMemory, *corrections: Correction) -> None:
    async def record() -> None:
        await asyncio.gather(*(memory.record(each) for each in corrections))

    asyncio.run(record())


def recall(memory: CorrectionMemory, asked: Task | None = None, limit: int = 5) -> list[str]:
    return [each.id for each in asyncio.run(memory.recall(asked or task(), limit=limit))]


def writer(folder: Path, first: int, count: int, *url: str) -> subprocess.Popen[str]:
    program = [
        sys.executable,
        str(ROOT / "tests" / "memory_writer.py"),
        str(folder),
        str(first),
        str(count),
        *url,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_keeps_the_contract_of_a_memory(tmp_path: Path) -> None:
    numbers = iter(range(99))
    asyncio.run(check_memory(lambda: CorrectionMemory(tmp_path / str(next(numbers)))))
    asyncio.run(check_memory(lambda: CorrectionMemory(tmp_path / str(next(numbers)), exact_below=1)))


def test_the_right_reading_is_found_among_hundreds_of_other_corrections(tmp_path: Path) -> None:
    """Five houses give nineteen vague words readings of their own; 300 other corrections stand by."""
    draw = random.Random(2024)
    houses = ["acme", "globex", "initech", "umbrella", "hooli"]
    vague = {
        **dict.fromkeys(["a few", "several", "a handful of", "a couple of", "some", "a bunch of"], "{} rows"),
        **dict.fromkeys(["typical", "headline", "overall", "representative"], "the total, not the average"),
        **dict.fromkeys(["notable", "standout", "leading"], "the highest first"),
        **dict.fromkeys(["hefty", "modest", "steep", "tiny", "generous", "lean"], "above {}"),
    }
    asks = ["list the name of {} boats with speed above 30", "what is the {} price of the wines"]
    memory = CorrectionMemory(tmp_path)
    readings = [
        correction(id=f"{house}/{word}", text=f"at {house}, {word} means {means.format(draw.randint(2, 90))}")
        for house in houses
        for word, means in vague.items()
    ]
    things, ways = ["dates", "names", "codes", "prices"], ["written twice", "sorted last", "shown in lists"]
    others = [
        correction(
            id=f"other {n}",
            text=f"at {draw.choice(houses)}, {draw.choice(things)} are {draw.choice(ways)} {n}",
        )
        for n in range(300)
    ]
    fill(memory, *draw.sample([*readings, *others], len(readings) + len(others)))
    found = []
    for house in houses:
        for word in vague:
            for ask in asks:
                asked = Task(id="t", prompt=f"{house}: {ask.format(word)}", public={"house": house})
                found.append(f"{house}/{word}" in recall(memory, asked, limit=3))
    assert len(found) == 190
    assert np.mean(found) >= 0.95


def test_only_active_corrections_come_back_unless_others_are_asked_for(tmp_path: Path) -> None:
    statuses = ["active", "candidate", "quarantined", "retired"]
    with CorrectionMemory(tmp_path) as memory:
        fill(
            memory,
            *(
                correction(n, text=f"{correction().text}{'.' * n}", status=status)
                for n, status in enumerate(statuses)
            ),
        )
        assert recall(memory) == ["c0"]
    with CorrectionMemory(tmp_path, recalls=("active", "candidate")) as memory:
        assert recall(memory) == ["c0", "c1"]
        memory.mark("c0", "quarantined")
        memory.mark("c3", "active")
        assert recall(memory) == ["c1", "c3"]
    with CorrectionMemory(tmp_path) as memory:
        assert memory.get("c0").status == "quarantined"
        assert recall(memory) == ["c3"]


def test_a_correction_stays_within_its_scope(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path)
    words = "a few means 4 rows"
    fill(
        memory,
        correction(1, text=words, applies_when="house=acme"),
        correction(2, text=f"{words}.", applies_when="house=globex"),
        correction(3, text=f"{words}!", not_when="house=acme"),
        correction(4, text=f"{words};", applies_when="questions on boats", not_when="questions on wines"),
    )

    def found(prompt: str, **public: str) -> set[str]:
        return set(recall(memory, Task(id="t", prompt=prompt, public=public)))

    assert found("list a few boats", house="acme") == {"c1", "c4"}
    assert found("list a few boats", house="globex") == {"c2", "c3", "c4"}
    assert found("questions on wines: list a few") == {"c3"}


def test_what_has_nothing_to_do_with_the_task_is_not_recalled(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path)
    fill(memory, *(correction(number) for number in range(50)))
    assert recall(memory, Task(id="x", prompt="Write a haiku on winter.")) == []
    assert recall(memory, Task(id="x", prompt="")) == []


def test_corrections_as_near_as_each_other_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path)
    texts = {"d": "a few means 4 rows", "b": "a few means 4 rows.", "a": "a few means 4 rows!"}
    fill(memory, *(correction(id=id, text=text) for id, text in texts.items()))
    assert recall(memory) == ["a", "b", "d"]
    assert recall(memory, limit=2) == ["a", "b"]


def test_the_same_words_learnt_twice_are_recalled_once(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path)
    fill(memory, *(correction(id=id, text="a few means 4 rows") for id in ["d", "b", "a", "c"]))
    assert recall(memory) == ["a"]


def test_hidden_data_never_enters_the_memory_nor_decides_a_recall(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, *(correction(number) for number in range(9)))
        plain = recall(memory, task(3))
        assert (
            recall(memory, task(3, hidden={"rows": SENTINEL, "query": "house5 a few means 5 rows"})) == plain
        )
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SENTINEL.encode() not in path.read_bytes()


def test_counts_are_kept_over_openings_and_count_nothing_twice(tmp_path: Path) -> None:
    for _ in range(2):
        with CorrectionMemory(tmp_path) as memory:
            fill(memory, correction(), correction())
            asyncio.run(memory.settle("c1", trajectory="a", helped=True))
            asyncio.run(memory.settle("c1", trajectory="b", helped=False))
            recall(memory)
    with CorrectionMemory(tmp_path, read_only=True) as memory:
        recall(memory)
        (held,) = memory.list()
        assert (held.recalled, held.helped, held.hurt) == (2, 1, 1)
        assert held.created


def test_settling_what_was_never_recorded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no correction with id 'x'"):
        asyncio.run(CorrectionMemory(tmp_path).settle("x", trajectory="t", helped=True))


def test_a_forgotten_correction_is_gone_from_list_recall_and_index_for_good(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, correction(1), correction(2))
        recall(memory)
    with CorrectionMemory(tmp_path) as memory:
        memory.forget("c1")
        fill(memory, correction(1))
        asyncio.run(memory.settle("c1", trajectory="late", helped=True))
        assert [each.id for each in memory.list()] == ["c2"]
        assert "c1" not in recall(memory)
        with pytest.raises(BadInput, match="no correction with id 'c1'"):
            memory.get("c1")
    assert index_ids(tmp_path) == {"c2"}


def test_provenance_and_odd_words_come_back_as_they_were(tmp_path: Path) -> None:
    source = Source(run="r", trajectory="t#1", attempt=2, quote="said \u2028 so")
    odd = correction(text="Ünïcode 日本\n\x00 a few", source=source, not_when="never", level="skill")
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, odd)
        recall(memory, Task(id="t", prompt="Ünïcode 日本 a few"))
    with CorrectionMemory(tmp_path) as memory:
        (held,) = asyncio.run(memory.recall(Task(id="t", prompt="Ünïcode 日本 a few")))
        assert held.replace(created="", recalled=0) == odd


def test_opening_an_old_memory_reads_the_log_and_nothing_else(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, *(correction(number) for number in range(5)))
    program = (
        "import sys; from agentloop.memories import CorrectionMemory as M;"
        f"m = M({str(tmp_path)!r}); print(len(m.list()), 'chromadb' in sys.modules); m.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["5", "False"]


def index_ids(folder: Path) -> set[str]:
    """The ids in the Chroma index of a closed memory."""
    import chromadb
    from chromadb.config import Settings

    (path,) = folder.glob("index-*")
    client = chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))
    collection = client.get_collection("corrections", embedding_function=None)
    ids = set(collection.get(include=[])["ids"])
    assert collection.configuration["hnsw"]["space"] == "cosine"
    client.close()
    return ids


def test_the_index_holds_every_correction_with_its_scope(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, *(correction(number) for number in range(100)))
    assert index_ids(tmp_path) == {f"c{number}" for number in range(100)}


def delete_index(path: Path) -> None:
    import shutil

    shutil.rmtree(path)


def overwrite(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        for file in path.rglob(name):
            file.write_bytes(random.Random(1).randbytes(file.stat().st_size))

    return damage


def empty_database(path: Path) -> None:
    (path / "chroma.sqlite3").write_bytes(b"")


def remove_vectors(path: Path) -> None:
    for file in path.rglob("*.bin"):
        file.unlink()


def half_database(path: Path) -> None:
    os.truncate(path / "chroma.sqlite3", 20_000)


DAMAGES = [
    delete_index,
    overwrite("chroma.sqlite3"),
    overwrite("*.bin"),
    empty_database,
    half_database,
    remove_vectors,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("exact_below", [20_000, 50])
def test_a_damaged_index_is_made_anew_from_the_log(
    tmp_path: Path, damage: Callable[[Path], None], exact_below: int
) -> None:
    with CorrectionMemory(tmp_path, exact_below=exact_below) as memory:
        fill(memory, *(correction(number) for number in range(120)))
        before = [recall(memory, task(number)) for number in range(0, 120, 10)]
    (path,) = tmp_path.glob("index-*")
    damage(path)
    with CorrectionMemory(tmp_path, exact_below=exact_below) as memory:
        assert [recall(memory, task(number)) for number in range(0, 120, 10)] == before
        assert memory.get("c10").text == correction(10).text
    assert index_ids(tmp_path) == {f"c{number}" for number in range(120)}


def test_rows_of_the_index_that_the_log_does_not_know_are_removed_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, correction(1), correction(2))
    log = tmp_path / "corrections.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if '"id":"c1"' not in line))
    with CorrectionMemory(tmp_path) as memory, caplog.at_level(logging.WARNING):
        assert recall(memory) == ["c2"]
    assert "1 rows that the log does not know" in caplog.text
    assert index_ids(tmp_path) == {"c2"}


def test_chroma_finds_what_exact_search_finds(tmp_path: Path) -> None:
    corrections = [correction(number) for number in range(300)]
    with (
        CorrectionMemory(tmp_path / "exact") as exact,
        CorrectionMemory(tmp_path / "c", exact_below=1) as chroma,
    ):
        fill(exact, *corrections)
        fill(chroma, *corrections)
        asked = [task(number) for number in range(0, 300, 7)]
        first = [recall(exact, each, limit=1) for each in asked]
        assert first == [recall(chroma, each, limit=1) for each in asked]
        assert first == [[f"c{number}"] for number in range(0, 300, 7)]
        chroma.mark("c7", "retired")
        chroma.forget("c14")
        fill(chroma, correction(900))
        assert not {"c7", "c14"} & {*recall(chroma, task(7)), *recall(chroma, task(14))}
        assert recall(chroma, task(900), limit=1) == ["c900"]


class Slow:
    """An async embedder that counts what it was asked for."""

    name = "slow"

    def __init__(self, version: str = "1", dimension: int = 128) -> None:
        self.version = version
        self.asked: list[str] = []
        self._hashing = HashingEmbedder(dimension)

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        await asyncio.sleep(0.001)
        return self._hashing(texts).tolist()  # type: ignore[no-any-return]


def test_a_slow_embedder_is_asked_once_for_each_correction_over_openings(tmp_path: Path) -> None:
    first, second = Slow(), Slow()
    with CorrectionMemory(tmp_path, embedder=first) as memory:
        fill(memory, *(correction(number) for number in range(70)))

        async def together() -> None:
            await asyncio.gather(*(memory.recall(task(number)) for number in range(8)))

        asyncio.run(together())
    assert len(first.asked) == 70 + 8
    with CorrectionMemory(tmp_path, embedder=second) as memory:
        assert recall(memory, task(5), limit=1) == ["c5"]
    assert second.asked == [task(5).prompt]


def test_another_embedder_is_refused_until_the_memory_is_rebuilt(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, *(correction(number) for number in range(9)))
    for other in (Slow(), HashingEmbedder(256)):
        with pytest.raises(MemoryMismatch, match=r"agentloop-hashing \(version 1, 1024 numbers\).*rebuild"):
            CorrectionMemory(tmp_path, embedder=other)
    asyncio.run(CorrectionMemory.rebuild(tmp_path, embedder=Slow()))
    with pytest.raises(MemoryMismatch, match="slow"):
        CorrectionMemory(tmp_path)
    with pytest.raises(MemoryMismatch, match="version 2"):
        CorrectionMemory(tmp_path, embedder=Slow("2"))
    with CorrectionMemory(tmp_path, embedder=Slow()) as memory:
        assert recall(memory, task(4), limit=1) == ["c4"]
    assert index_ids(tmp_path) == {f"c{number}" for number in range(9)}


def test_an_embedder_whose_vectors_change_their_size_is_refused(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, embedder=Slow()) as memory:
        fill(memory, correction(1))
        recall(memory)
    with pytest.raises(MemoryMismatch, match="128 numbers.*256 numbers"):  # noqa: SIM117
        with CorrectionMemory(tmp_path, embedder=Slow(dimension=256)) as memory:
            fill(memory, correction(2))
            recall(memory)


def test_an_embedder_that_cannot_be_known_again_or_answers_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="embedder.name"):
        CorrectionMemory(tmp_path, embedder=lambda texts: [[1.0] for _ in texts])

    def short(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, float("nan")]] * len(texts)

    with (
        CorrectionMemory(tmp_path, embedder=short) as memory,
        pytest.raises(BadInput, match="finite numbers"),
    ):
        recall(memory)


def test_a_second_writer_is_refused_with_the_remedy_and_readers_are_let_in(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        fill(memory, correction(1))
        second = writer(tmp_path, 50, 1)
        said, error = second.communicate(timeout=60)
        assert second.returncode != 0 and said == ""
        assert "MemoryLocked" in error and f"process {os.getpid()} has the memory" in error
        for remedy in ("close()", "read_only=True", "chroma run", "url="):
            assert remedy in error
        with pytest.raises(MemoryLocked, match="this process has the memory"):
            CorrectionMemory(tmp_path)
        reader = CorrectionMemory(tmp_path, read_only=True)
        fill(memory, correction(2))
        assert recall(reader, task(2), limit=1) == ["c2"]
        memory.forget("c2")
        assert "c2" not in recall(reader, task(2))
        with pytest.raises(BadInput, match="read_only"):
            asyncio.run(reader.record(correction(3)))
    done = writer(tmp_path, 50, 1)
    assert done.communicate(timeout=60)[0] == "c50\n"


def test_a_reader_of_no_memory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no memory in"):
        CorrectionMemory(tmp_path / "nowhere", read_only=True)


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    draw, acknowledged = random.Random(7), []
    for kill in range(10):
        process = writer(tmp_path, 1000 * kill, 500)
        assert process.stdout is not None
        for _ in range(draw.randint(1, 200)):
            acknowledged.append(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split("\n")[:-1]
        process.wait()
    assert len(acknowledged) >= 10 and "" not in acknowledged
    with CorrectionMemory(tmp_path) as memory:
        kept = {each.id for each in memory.list()}
        assert set(acknowledged) <= kept
        assert len(kept) <= len(acknowledged) + 10
        for id in draw.sample(acknowledged, 20):
            assert recall(memory, task(int(id[1:])), limit=1) == [id]
    assert index_ids(tmp_path) == kept


def test_threads_with_loops_of_their_own_share_one_memory(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path, exact_below=100)
    failures: list[BaseException] = []

    async def work(worker: int) -> None:
        for number in range(worker * 100, worker * 100 + 30):
            await memory.record(correction(number))
            found, _ = await asyncio.gather(
                memory.recall(task(number), limit=1),
                memory.settle(f"c{number}", trajectory=f"{number % 3}", helped=True),
            )
            assert [each.id for each in found] == [f"c{number}"]

    def run(worker: int) -> None:
        try:
            asyncio.run(work(worker))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    memory.close()
    with CorrectionMemory(tmp_path) as again:
        held = again.list()
        assert len(held) == 180
        assert all((each.recalled, each.helped) == (1, 1) for each in held)
    assert len(index_ids(tmp_path)) == 180


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corrections.jsonl").write_text(json.dumps({"event": "dreamt"}) + "\n")
    with pytest.raises(SchemaVersionError, match="'dreamt'"):
        CorrectionMemory(tmp_path)
    (tmp_path / "corrections.jsonl").write_text(json.dumps({"event": "embedder", "schema": 99}) + "\n")
    with pytest.raises(SchemaVersionError, match="99"):
        CorrectionMemory(tmp_path)
    (tmp_path / "corrections.jsonl").write_text("")
    CorrectionMemory(tmp_path).close()


def test_a_closed_memory_says_so_and_closes_twice(tmp_path: Path) -> None:
    memory = CorrectionMemory(tmp_path)
    memory.close()
    memory.close()
    with pytest.raises(BadInput, match="closed"):
        fill(memory, correction())
