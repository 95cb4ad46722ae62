"""Exact search over vectors in memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentloop.memories.exact import ExactVectors

NUMBERS = st.lists(st.integers(-3, 3), min_size=2, max_size=2)


def row(numbers: list[int]) -> np.ndarray:
    return np.asarray(numbers, dtype=np.float32)


@given(st.dictionaries(st.text(max_size=3), NUMBERS, max_size=90), NUMBERS, st.data())
def test_every_row_is_found_in_the_order_of_its_product_and_then_of_its_id(
    held: dict[str, list[int]], query: list[int], data: st.DataObject
) -> None:
    vectors = ExactVectors()
    for id, numbers in held.items():
        vectors.add([id], row(numbers)[None])
    for id in data.draw(st.sets(st.sampled_from(sorted(held)))) if held else ():
        vectors.remove(id)
        del held[id]
    wanted = sorted((-float(row(numbers) @ row(query)), id) for id, numbers in held.items())
    assert list(vectors.search(row(query))) == [(id, -score) for score, id in wanted]
    assert len(vectors) == len(held)
    assert all((vectors.rows([id])[0] == row(numbers)).all() for id, numbers in held.items())


def test_an_id_that_is_held_keeps_its_row_and_a_removed_one_may_come_again() -> None:
    vectors = ExactVectors()
    vectors.add(["a", "b"], np.eye(2, dtype=np.float32))
    vectors.add(["a"], row([0, 9])[None])
    assert list(vectors.search(row([1, 0]))) == [("a", 1.0), ("b", 0.0)]
    vectors.remove("a")
    vectors.remove("a")
    vectors.add(["a"], row([0, 9])[None])
    assert list(vectors.search(row([0, 1]))) == [("a", 9.0), ("b", 1.0)]


def test_what_is_removed_while_a_result_is_read_does_not_change_it() -> None:
    vectors = ExactVectors()
    vectors.add(["a", "b", "c"], np.eye(3, dtype=np.float32))
    found = vectors.search(row([3, 2, 1]))
    next(found)
    vectors.remove("b")
    assert [id for id, _ in found] == ["b", "c"]
