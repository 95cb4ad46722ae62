"""The families of tables: which words are whose."""

import sys
from pathlib import Path

import pytest

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.tiny import FAMILIES, HELD_OUT
from agentloop.tiny.families import family
from agentloop.tiny.words import RESERVED, real_words

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_no_word_of_a_held_out_family_stands_in_a_training_family_or_in_the_word_list() -> None:
    held_out = set().union(*(each.own_words for each in HELD_OUT))
    trained = set().union(*(each.own_words | {each.key} for each in FAMILIES))
    assert not held_out & trained
    assert not held_out & set(real_words())


def test_no_name_of_a_family_is_a_word_of_sql() -> None:
    for each in (*FAMILIES, *HELD_OUT):
        assert not (each.own_words | {each.key}) & RESERVED


def test_no_word_of_a_held_out_family_occurs_in_the_conversations_of_training() -> None:
    if not BENCHMARKS.is_dir():
        pytest.skip("the training script is part of the repository, not of the package")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from tiny_data import Conversations
    finally:
        sys.path.remove(str(BENCHMARKS))
    held_out = set().union(*(each.own_words for each in HELD_OUT))
    source = Conversations(3, Prompts())
    for _ in range(1500):
        text = " ".join(said.text for said in source.next())
        words = set("".join(letter if letter.isalpha() else " " for letter in text).split())
        assert not words & held_out, text


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no table family named 'ships'; known: staff, .*boats"):
        family("ships")
