"""Whether two texts say the same: the content of a text, and what merely repeats another.

What is compared is words, so that a changed number, name or negation is another lesson however near
two vectors are; the embedder only finds what is worth comparing. Two ways of saying one thing in
different words stay two corrections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from agentloop.memories.words import FUNCTION_WORDS, words

_NEGATION_WORDS = "not no never none without cannot don doesn isn shouldn won except unless"
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_FILLER_WORDS = """
please remember note recall know keep mind sure make will just simply really very also here again
important reminder hint tip next time future lesson learned learnt
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
_ORDER_WORDS = "before after than instead rather from to into then first last over under"
_ORDERED = frozenset(_ORDER_WORDS.split())
_FIGURES = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: str(figure) for figure, word in enumerate(_FIGURES.split())}


@lru_cache(maxsize=20_000)
def content(text: str) -> tuple[str, ...]:
    """The words of a text that carry what it says, in order, in one form: figures, names, negations."""
    found = []
    for word in words(text):
        if word in _NEGATIONS:
            found.append("not")
        elif word in _NUMBERS:
            found.append(_NUMBERS[word])
        elif word not in FUNCTION_WORDS and word not in _FILLERS and len(word) > (0 if word.isdigit() else 1):
            found.append(_stem(word))
    return tuple(found)


def says_the_same(first: str, second: str) -> bool:
    """Whether two texts have the same content; where the order of words may matter, in the same order."""
    one, other = content(first), content(second)
    if one == other:
        return bool(one) or words(first) == words(second)
    if sorted(set(one)) != sorted(set(other)) or not one:
        return False
    return not _ORDERED & {*words(first), *words(second)} or _one_phrase(one, other)


def restated(text: str, told: Iterable[str]) -> bool:
    """Whether everything in ``text`` stands in one of the texts that were told, mostly in its order."""
    said = content(text)
    return bool(said) and any(_holds(content(each), said) for each in told)


def numbers(said: Sequence[str]) -> set[str]:
    """The figures of a content."""
    return {word for word in said if word.isdigit()}


def _holds(source: Sequence[str], said: Sequence[str]) -> bool:
    if not set(said) <= set(source):
        return False
    pairs, known = list(pairwise(said)), set(pairwise(source))
    return not pairs or sum(pair in known for pair in pairs) >= 0.7 * len(pairs)


def _one_phrase(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one content is the other with a single word moved: "at acme, hefty" and "hefty at acme"."""
    if len(one) != len(other):
        return False
    for place, word in enumerate(one):
        rest = [*one[:place], *one[place + 1 :]]
        if any([*other[:at], *other[at + 1 :]] == rest for at, each in enumerate(other) if each == word):
            return len(one) > 3
    return False


def _stem(word: str) -> str:
    """A word without its commonest endings."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word
