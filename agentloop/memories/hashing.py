"""An embedder of words and their pieces, hashed: no download, the same on every machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt

from agentloop.errors import BadInput
from agentloop.memories.words import FUNCTION_WORDS, words

_WORD_WEIGHT, _PAIR_WEIGHT, _PIECES_WEIGHT, _FUNCTION_WEIGHT = 1.0, 0.5, 1.0, 0.1


class HashingEmbedder:
    """Words, pairs of neighbouring words, and pieces of 3 to 5 characters, in ``dimension`` numbers.

    It finds texts that share words or parts of words, and nothing else: it knows no synonyms.
    Function words count a tenth. A feature's place and sign come from its CRC-32, so vectors may be
    stored and compared between machines and Python versions.
    """

    name = "agentloop-hashing"
    version = "1"
    instant = True

    def __init__(self, dimension: int = 1024) -> None:
        if dimension < 64:
            raise BadInput(f"dimension must be at least 64, got {dimension}; 1024 is the usual size")
        self.dimension = dimension

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One row of length 1 for each text."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in _features(text).items():
                row[(feature >> 1) % self.dimension] += weight if feature & 1 else -weight
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows[norms == 0.0, 0] = 1.0  # a text without words, or whose features cancel, still has a direction
        norms[norms == 0.0] = 1.0
        return np.asarray(rows / norms[:, None], dtype=np.float32)


def _features(text: str) -> dict[int, float]:
    """Hashed features with their weights; a repeated word counts with the root of its number."""
    found = words(text)
    squares: defaultdict[int, float] = defaultdict(float)
    for word in found:
        for feature, weight in _word_features(word):
            squares[feature] += weight * weight
    for first, second in pairwise(found):
        if first in FUNCTION_WORDS and second in FUNCTION_WORDS:
            continue
        squares[_hash(f"2 {first} {second}")] += _PAIR_WEIGHT * _PAIR_WEIGHT
    return {feature: square**0.5 for feature, square in squares.items()}


@lru_cache(maxsize=65536)
def _word_features(word: str) -> tuple[tuple[int, float], ...]:
    """The features of one word by itself: the word and its pieces, which share one weight."""
    share = _FUNCTION_WEIGHT if word in FUNCTION_WORDS else 1.0
    found = [(_hash(f"1 {word}"), _WORD_WEIGHT * share)]
    marked = f"<{word[:64]}>"
    pieces = [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    if pieces:
        weight = _PIECES_WEIGHT * share / len(pieces) ** 0.5
        found += [(_hash(f"3 {piece}"), weight) for piece in pieces]
    return tuple(found)


def _hash(feature: str) -> int:
    return crc32(feature.encode("utf-8", "surrogatepass"))
