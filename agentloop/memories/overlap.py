"""How much of what is rare among some texts a query shares with each of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from agentloop.memories.words import FUNCTION_WORDS, words


def overlaps(query: str, texts: Sequence[str]) -> list[float]:
    """For each text the share, 0 to 1, of the query's known words that it has, rare words counting more.

    A word's weight is its inverse document frequency among ``texts``; words of the query that no
    text has count nothing. Unlike a cosine, this does not favour short texts.
    """
    bags = [_words(text) for text in texts]
    counts = Counter(word for bag in bags for word in bag)
    weights = {
        word: math.log1p((len(bags) - counts[word] + 0.5) / (counts[word] + 0.5))
        for word in _words(query)
        if counts[word]
    }
    total = math.fsum(weights.values())
    if not total:
        return [0.0] * len(bags)
    return [math.fsum(weights[word] for word in sorted(bag & weights.keys())) / total for bag in bags]


def _words(text: str) -> set[str]:
    return set(words(text)) - FUNCTION_WORDS
