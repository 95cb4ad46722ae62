"""The houses and how they read the nineteen vague words."""

import pytest

from agentloop.errors import BadInput
from agentloop.tiny import HOUSES
from agentloop.tiny.houses import AGREE, POSSIBLE, SENSE, USUAL, house, meaning, threshold, usual_reading

ACME = {"a few": 3, "typical": "MIN", "notable": "ASC", "hefty": (">", 40)}


def test_there_are_nineteen_vague_words_and_every_house_reads_each_in_a_possible_way() -> None:
    assert len(SENSE) == 19
    for each in HOUSES:
        assert set(each.readings) == set(SENSE)
        assert all(each.readings[word] in POSSIBLE[sense] for word, sense in SENSE.items())


def test_every_house_mostly_differs_from_the_usual_reading_and_from_the_other_houses() -> None:
    assert len(HOUSES) >= 4
    for each in HOUSES:
        assert sum(each.readings[word] == usual_reading(word) for word in SENSE) == AGREE
        for other in HOUSES:
            same = sum(each.readings[word] == other.readings[word] for word in SENSE)
            assert each is other or same < 12


def test_the_readings_of_a_house_never_change() -> None:
    assert {word: house("acme").readings[word] for word in ("a few", "typical", "notable", "hefty")} == ACME


def test_a_meaning_is_told_in_words() -> None:
    assert meaning("a few", 4) == "4 rows"
    assert meaning("typical", "SUM") == "the total"
    assert meaning("notable", "ASC") == "the lowest first"
    assert meaning("hefty", (">", 70)) == "over 70"


def test_every_usual_reading_is_a_possible_one() -> None:
    for sense, words in USUAL.items():
        assert set(words.values()) <= set(POSSIBLE[sense])
    assert threshold("hefty") == (">", 70)


def test_an_unknown_house_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no house named 'Acme'; known: acme, borealis"):
        house("Acme")
