"""The houses: each reads the nineteen vague words in its own way, and the prompt does not tell how."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from agentloop.errors import BadInput

Sense: TypeAlias = Literal["quantity", "aggregate", "direction", "threshold"]
Reading: TypeAlias = "int | str | tuple[str, int]"
"""Rows to show, a function, a direction, or an operator with its bound; which one, the sense tells."""

USUAL: dict[Sense, dict[str, Reading]] = {
    "quantity": {"a couple": 2, "a few": 3, "some": 4, "several": 5, "a handful": 6, "various": 8},
    "aggregate": {"typical": "AVG", "headline": "MAX", "baseline": "MIN", "overall": "SUM"},
    "direction": {"notable": "DESC", "standout": "DESC", "humble": "ASC"},
    "threshold": {
        "hefty": (">", 70),
        "modest": ("<", 40),
        "steep": (">", 80),
        "slim": ("<", 30),
        "serious": (">", 50),
        "fair": ("<", 60),
    },
}
"""The reading that each vague word has most often where the model was trained."""

POSSIBLE: dict[Sense, tuple[Reading, ...]] = {
    "quantity": tuple(range(2, 10)),
    "aggregate": ("AVG", "MAX", "MIN", "SUM"),
    "direction": ("ASC", "DESC"),
    "threshold": tuple((sign, bound) for sign in "<>" for bound in range(20, 81, 10)),
}
"""Every reading that a vague word of a sense can have."""

SENSE: dict[str, Sense] = {word: sense for sense, words in USUAL.items() for word in words}
"""The sense of each of the nineteen vague words."""

AGREE = 3
"""How many of the nineteen words a deployed house reads in the usual way."""


class House(NamedTuple):
    """A company or team with its own reading of each vague word."""

    name: str
    readings: Mapping[str, Reading]


def usual_reading(word: str) -> Reading:
    """What ``word`` means most often."""
    return USUAL[SENSE[word]][word]


def threshold(word: str) -> tuple[str, int]:
    """The usual sign and bound of a threshold word."""
    reading = usual_reading(word)
    assert isinstance(reading, tuple)
    return reading


def _deployed(name: str) -> House:
    draw = random.Random(f"house {name}")
    agreed = set(draw.sample(sorted(SENSE), AGREE))
    readings: dict[str, Reading] = {}
    for word, sense in SENSE.items():
        others = [reading for reading in POSSIBLE[sense] if reading != usual_reading(word)]
        readings[word] = usual_reading(word) if word in agreed else draw.choice(others)
    return House(name, readings)


HOUSES = tuple(_deployed(name) for name in ("acme", "borealis", "cobalt", "delta", "ember", "fjord"))
"""The houses of the tasks. Each differs from the usual reading in all words but three."""

_BY_NAME = {house.name: house for house in HOUSES}


def house(name: str) -> House:
    """The house called ``name``."""
    if name not in _BY_NAME:
        raise BadInput(f"no house named {name!r}; known: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


FUNCTION_WORDS = {"AVG": "average", "MAX": "highest", "MIN": "lowest", "SUM": "total"}
"""How functions are called in questions and in feedback."""

DIRECTION_WORDS = {"DESC": "highest", "ASC": "lowest"}
"""How directions are called in questions and in feedback."""

SIGN_WORDS = {">": "over", "<": "under"}
"""How the signs of bounds are called in questions and in feedback."""


def meaning(word: str, reading: Reading) -> str:
    """What ``word`` means, in words: ``4 rows``, ``the total``, ``the lowest first``, ``over 70``."""
    sense = SENSE[word]
    if isinstance(reading, tuple):
        return f"{SIGN_WORDS[reading[0]]} {reading[1]}"
    if sense == "quantity":
        return f"{reading} rows"
    if sense == "aggregate":
        return f"the {FUNCTION_WORDS[str(reading)]}"
    return f"the {DIRECTION_WORDS[str(reading)]} first"
