"""The hashing embedder, and how well corrections are found by it."""

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.memories import HashingEmbedder
from agentloop.memories.overlap import overlaps


def cosine(first: str, second: str) -> float:
    one, two = HashingEmbedder()([first, second])
    return float(one @ two)


@given(st.lists(st.text(), max_size=4))
def test_every_text_has_a_direction_of_length_one(texts: list[str]) -> None:
    rows = HashingEmbedder()(texts)
    assert rows.shape == (len(texts), 1024) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


@given(st.text(), st.text())
def test_a_vector_does_not_depend_on_its_neighbours(first: str, second: str) -> None:
    assert np.array_equal(HashingEmbedder()([first, second])[0], HashingEmbedder()([first])[0])


def test_a_vector_is_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "from agentloop.memories import HashingEmbedder as H;"
        "import hashlib; print(hashlib.sha256(H()(['at acme, a few means 4 rows']).tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and len(runs[0].strip()) == 64


def test_shared_words_and_shared_pieces_bring_texts_near_and_function_words_do_not() -> None:
    assert cosine("hefty salary", "a hefty salary for boats") > 0.5
    assert cosine("boat", "boats") > 0.2 > cosine("boat", "wines")
    assert cosine("it is in the", "the boats of acme") < 0.2
    assert cosine("Ｕnit_PRICE", "unit price") == pytest.approx(1.0, abs=1e-5)


def test_texts_with_nothing_in_common_are_far_apart() -> None:
    rows = HashingEmbedder()(
        ["a haiku on the sea", "determinants of a matrix", "refunds were asked for", "zzz"]
    )
    others = np.abs(rows @ rows.T)[~np.eye(4, dtype=bool)]
    assert others.max() < 0.15


def test_a_dimension_too_small_to_tell_texts_apart_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 64"):
        HashingEmbedder(8)


def test_overlap_counts_rare_words_more_and_ignores_words_that_no_text_has() -> None:
    texts = ["acme few", "acme hefty", "globex few", "acme modest"]
    shares = overlaps("acme unknown few the", texts)
    assert shares[0] == pytest.approx(1.0)
    assert shares[0] > shares[2] > shares[1] == shares[3] > 0
    assert overlaps("nothing", texts) == [0.0] * 4
    assert overlaps("acme", []) == []


@given(st.text(), st.lists(st.text(), max_size=5))
def test_an_overlap_is_a_share(query: str, texts: list[str]) -> None:
    assert all(0.0 <= share <= 1.0 for share in overlaps(query, texts))


def test_the_weights_are_not_a_matter_of_order() -> None:
    words = [f"w{number}" for number in range(30)]
    shuffled = random.Random(1).sample(words, 30)
    texts = [" ".join(words), "w1"]
    assert overlaps(" ".join(words), texts) == overlaps(" ".join(shuffled), texts)
