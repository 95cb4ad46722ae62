"""Which tasks a correction is for."""

import pytest

from agentloop.memories.scope import conditions, fits, key_text, task_text
from agentloop.types import Correction, Task

SENTINEL = "XYZZY-SENTINEL-9001"


def correction(**fields: str) -> Correction:
    return Correction(id="c", text="a few means 4 rows", **fields)


def task(**public: object) -> Task:
    return Task(id="t", prompt="List a few boats.", public=public, hidden={"rows": SENTINEL})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("house=acme", {"house": "acme"}),
        (" house = Acme Ltd , table=boats;x=1", {"house": "Acme Ltd", "table": "boats", "x": "1"}),
        ("", {}),
        ("at acme", {}),
        ("house=acme, when it rains", {}),
        ("a == b", {}),
        ("house=", {}),
    ],
)
def test_exact_conditions_are_told_from_prose(text: str, found: dict[str, str]) -> None:
    assert conditions(text) == found


@pytest.mark.parametrize(
    ("applies_when", "not_when", "public", "fit"),
    [
        ("house=acme", "", {"house": "ACME"}, True),
        ("house=acme", "", {"house": "globex"}, False),
        ("house=acme", "", {}, False),
        ("house=acme, table=boats", "", {"house": "acme", "table": "wines"}, False),
        ("", "house=acme", {"house": "acme"}, False),
        ("", "house=acme, table=boats", {"house": "acme", "table": "wines"}, True),
        ("", "house=acme", {}, True),
        ("when at acme", "when at globex", {"house": "globex"}, True),
        ("year=2024", "", {"year": 2024}, True),
    ],
)
def test_a_scope_in_exact_conditions_lets_in_and_keeps_out(
    applies_when: str, not_when: str, public: dict[str, object], fit: bool
) -> None:
    assert fits(correction(applies_when=applies_when, not_when=not_when), task(**public)) is fit


def test_a_task_is_searched_by_its_prompt_and_short_public_values() -> None:
    shown = task(
        house="acme", year=7, script="CREATE TABLE x(y);\n" * 9, database="/tmp/x/shop.sqlite", more={}
    )
    assert task_text(shown) == "List a few boats. acme 7"


def test_hidden_data_is_no_part_of_a_search() -> None:
    assert SENTINEL not in task_text(task(house="acme"))


def test_a_correction_is_found_by_its_key_or_else_by_its_scope_and_words() -> None:
    assert key_text(correction(key="the key", applies_when="at acme")) == "the key"
    assert key_text(correction(applies_when="at acme")) == "at acme a few means 4 rows"
    assert key_text(correction(applies_when="house=acme")) == "a few means 4 rows"
