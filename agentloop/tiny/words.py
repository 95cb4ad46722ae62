"""Nonce words: the names and values that tables are filled with."""

from __future__ import annotations

import random
import zlib
from functools import lru_cache
from pathlib import Path

from agentloop.tiny.families import HELD_OUT

_ONSETS = [*"bcdfghjklmnprstvwz", "br", "cr", "dr", "fl", "gr", "kl", "pl", "pr", "sk", "sl", "st", "tr"]
_VOWELS = [*"aeiou", "ai", "ea", "oo", "ou"]
_ENDS = ["", "", "", "n", "r", "l", "s", "t", "m", "k", "nd", "rt", "sh"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

SHARES = ("train", "dev", "test")
"""Each nonce word belongs to one of these, so that tasks of two splits share no value."""

RESERVED = frozenset((Path(__file__).parent / "reserved.txt").read_text(encoding="utf-8").split())
"""Words of SQL and of the questions, which are never names or values."""

_NEVER = RESERVED.union(*(family.own_words for family in HELD_OUT))


@lru_cache(maxsize=1)
def real_words() -> tuple[str, ...]:
    """Some five thousand words as they stand in the comments of Python's standard library."""
    return tuple((Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split())


def share_of(word: str) -> str:
    """The split that ``word`` belongs to as a value."""
    return SHARES[zlib.crc32(word.encode()) % len(SHARES)]


class Words:
    """Draws words, none of them twice: 45 % real ones, 20 % random letters, 35 % syllables."""

    def __init__(
        self, draw: random.Random, *, share: str | None = None, taken: set[str] | None = None
    ) -> None:
        self.draw = draw
        self.share = share
        self.taken = set(taken or ())

    def next(self) -> str:
        """A new word, of this share when one was given."""
        while True:
            word = self._any()
            if word in _NEVER or word in self.taken or (self.share and share_of(word) != self.share):
                continue
            self.taken.add(word)
            return word

    def several(self, count: int) -> tuple[str, ...]:
        """``count`` new words."""
        return tuple(self.next() for _ in range(count))

    def _any(self) -> str:
        draw, kind = self.draw, self.draw.random()
        if kind < 0.45:
            return draw.choice(real_words())
        if kind < 0.65:
            return "".join(draw.choice(_LETTERS) for _ in range(draw.randint(3, 8)))
        parts = (draw.choice(_ONSETS) + draw.choice(_VOWELS) for _ in range(draw.randint(1, 3)))
        return ("".join(parts) + draw.choice(_ENDS))[:10]
