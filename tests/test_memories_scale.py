"""The memory's search over many vectors: what is near is found, and every row in the end."""

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest

from agentloop.memories import HashingEmbedder
from agentloop.memories.embedding import identify
from agentloop.memories.exact import SKETCHED, ExactVectors
from agentloop.memories.vector import VectorIndex
from agentloop.types import Correction

KEY = "When a visitor asks for the opening hours of the north wing on a holiday, say that room {} is open."


def rows(count: int, dimension: int = 256, seed: int = 0) -> np.ndarray:
    """Rows of length 1 in clusters, as texts on some subjects are."""
    draw = np.random.default_rng(seed)
    middles = draw.standard_normal((count // 50, dimension)).astype(np.float32)
    made = middles[draw.integers(0, len(middles), count)] + 0.7 * draw.standard_normal(
        (count, dimension), dtype=np.float32
    )
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def made() -> np.ndarray:
    return rows(SKETCHED + 1100)


def held(made: np.ndarray, count: int = SKETCHED + 1000) -> ExactVectors:
    vectors = ExactVectors()
    vectors.add([f"c{number}" for number in range(count)], made[:count])
    return vectors


def recall(vectors: ExactVectors, made: np.ndarray, alive: np.ndarray, query: np.ndarray) -> float:
    """The share of the ten nearest rows among the first ten found."""
    wanted = {f"c{n}" for n in alive[np.argsort(-(made[alive] @ query))[:10]]}
    return len(wanted & {id for id, _ in itertools.islice(vectors.search(query), 10)}) / 10


def test_ten_nearest_of_many_rows_are_those_of_an_exact_search(made: np.ndarray) -> None:
    vectors, alive = held(made), np.arange(SKETCHED + 1000)
    queries = made[-50:]
    assert np.mean([recall(vectors, made, alive, query) for query in queries]) >= 0.98


def test_every_one_of_many_rows_is_found_once_with_its_exact_cosine(made: np.ndarray) -> None:
    vectors = held(made)
    found = list(vectors.search(made[-1]))
    assert len(found) == len({id for id, _ in found}) == SKETCHED + 1000
    for id, score in (*found[:50], *found[-50:]):
        assert abs(score - float(made[int(id[1:])] @ made[-1])) < 2e-6


def test_rows_added_and_removed_after_a_search_are_found_and_gone(made: np.ndarray) -> None:
    vectors, alive = held(made), np.arange(SKETCHED + 1000)
    next(vectors.search(made[0]))
    vectors.add(["new"], made[-1:])
    assert next(vectors.search(made[-1]))[0] == "new"
    for number in range(0, 900, 3):
        vectors.remove(f"c{number}")
    vectors.remove("new")
    alive = np.asarray([n for n in alive if n >= 900 or n % 3])
    assert all(recall(vectors, made, alive, made[n]) >= 0.9 for n in range(1, 60))
    assert {id for id, _ in vectors.search(made[-1])} == {f"c{n}" for n in alive}


def test_a_row_that_was_not_searched_yet_may_take_the_place_of_a_removed_one(made: np.ndarray) -> None:
    vectors = held(made)
    next(vectors.search(made[0]))
    vectors.add(["new"], made[-1:])
    vectors.remove("c5")
    assert next(vectors.search(made[-1]))[0] == "new"
    assert next(vectors.search(made[5]))[0] != "c5"


def test_only_those_among_some_are_found_however_many_they_are(made: np.ndarray) -> None:
    vectors = held(made)
    for count in (0, 3, 15_000):
        wanted = {f"c{number}" for number in range(count)}
        found = [id for id, _ in vectors.search(made[-1], among=wanted)]
        assert set(found) == wanted and len(found) == count


def test_what_is_read_while_another_thread_removes_rows_keeps_its_cosines(made: np.ndarray) -> None:
    vectors = held(made)
    found = vectors.search(made[-1])
    first = list(itertools.islice(found, 10))

    def remove() -> None:
        for number in range(500):
            vectors.remove(f"c{number}")

    thread = threading.Thread(target=remove)
    thread.start()
    rest = list(found)
    thread.join()
    for id, score in (*first, *rest[::97]):
        assert abs(score - float(made[int(id[1:])] @ made[-1])) < 2e-6


def test_chroma_finds_each_of_many_keys_that_differ_in_one_number(tmp_path: Path) -> None:
    embedder, count = HashingEmbedder(), 120
    made = embedder([KEY.format(number) for number in range(count)])
    index = VectorIndex.local(tmp_path, identify(embedder))
    for start in range(0, count, 40):
        kept = [Correction(id=f"c{n}", text=KEY.format(n)) for n in range(start, start + 40)]
        index.add(kept, made[start : start + 40])
    assert [next(index.search(row, records=False)).id for row in made] == [f"c{n}" for n in range(count)]
    assert len(list(index.search(made[0], records=False))) == count
    index.close()
