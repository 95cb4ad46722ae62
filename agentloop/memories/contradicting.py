"""Pairs of corrections that cannot both hold: for a person to look at, never settled here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agentloop.memories.embedding import Vectors
from agentloop.memories.novelty import content, numbers
from agentloop.memories.rent import Worth
from agentloop.memories.scope import scopes_meet
from agentloop.types import Correction

_OPPOSITES = """
ascending descending, asc desc, first last, before after, include exclude, inclusive exclusive, above below,
more less, most least, maximum minimum, max min, left right, top bottom, up down,
newest oldest, earliest latest, longest shortest, largest smallest, highest lowest, start end, begin end,
open close, true false, upper lower, uppercase lowercase, allow forbid, inner outer,
private public, metric imperial, gross net, buy sell, increase decrease, older younger, longer shorter
"""
_PAIRS = [frozenset(content(pair)) for pair in _OPPOSITES.replace("\n", " ").split(",")]
_IN_COMMON = 0.6
_ROWS = 512


class Contradiction(NamedTuple):
    """Two corrections whose scopes meet and which oppose each other, and by what."""

    first: Correction
    second: Correction
    why: str
    nearness: float


def oppose(first: str, second: str) -> str:
    """By what two texts about the same thing oppose each other; empty where they do not.

    By words alone: one denies what the other says, they name other numbers, or opposites such as
    "ascending" and "descending". It knows no other antonyms, and cannot see that two names for one thing
    exclude each other ("means metres", "means feet").
    """
    one, other = set(content(first)), set(content(second))
    ways = (
        ("one denies what the other says", {"not"} & (one ^ other), {"not"}),
        ("they name other numbers", _numbers(one, other), numbers(tuple(one | other))),
        *(
            (f"{' against '.join(sorted(pair))}", pair if _split(pair, one, other) else set(), pair)
            for pair in _PAIRS
        ),
    )
    for why, differs, aside in ways:
        if differs and _alike(one - aside, other - aside):
            return why
    return ""


def contradictions(
    corrections: Sequence[Correction],
    rows: Vectors,
    *,
    near: float,
    worths: Mapping[str, Worth],
) -> Sequence[Contradiction]:
    """The pairs that oppose each other, nearest first.

    ``rows`` are the vectors of their texts, of length 1; pairs below the cosine ``near`` are not about the
    same thing. Where the words do not tell, outcomes may: one is shown to help and the other to harm.
    """
    found = []
    for one, other, nearness in pairs(rows, near=near):
        first, second = corrections[one], corrections[other]
        if not scopes_meet(first, second):
            continue
        why = oppose(first.text, second.text) or _by_outcome(worths.get(first.id), worths.get(second.id))
        if why:
            found.append(Contradiction(first, second, why, nearness))
    return sorted(found, key=lambda each: (-each.nearness, each.first.id, each.second.id))


def pairs(rows: Vectors, *, near: float) -> Iterator[tuple[int, int, float]]:
    """The places of rows with a cosine of at least ``near``, the first below the second, in order."""
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS] @ rows.T
        for one, other in zip(*np.nonzero(block >= near), strict=True):
            if start + one < other:
                yield int(start + one), int(other), round(float(block[one, other]), 6)


def _alike(one: set[str], other: set[str]) -> bool:
    return len(one & other) >= _IN_COMMON * len(one | other) > 0


def _numbers(one: set[str], other: set[str]) -> set[str]:
    """Numbers that only one of two texts names, where both name some of their own."""
    first, second = numbers(tuple(one)), numbers(tuple(other))
    return first ^ second if first - second and second - first else set()


def _split(pair: frozenset[str], one: set[str], other: set[str]) -> bool:
    """Whether each text has one of two opposites, and not the same."""
    return len(pair) == 2 and len(pair & one) == len(pair & other) == 1 and not pair & one & other


def _by_outcome(first: Worth | None, second: Worth | None) -> str:
    if first is None or second is None:
        return ""
    opposed = (first.pays and second.harms) or (first.harms and second.pays)
    return "one is shown to help and the other to harm" if opposed else ""
