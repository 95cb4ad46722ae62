"""Whether two texts resemble each other, for products and goals that were written by people."""

from __future__ import annotations

from difflib import SequenceMatcher

from agentloop.environments.shop.catalogue import words

ALIKE = 0.85
"""WebShop takes two texts for the same when their token set ratio is above this."""
EXACT_OPTIONS = ("size",)
FREQUENT = frozenset(
    words("a an and at by for from in into is it its of on or our pack set the to with your")
)


def resembles(one: str, other: str) -> bool:
    """Whether the token set ratio of the texts is above 0.85."""
    return token_set_ratio(one, other) > ALIKE


def option_resembles(name: str, chosen: str, wanted: str) -> bool:
    """Whether a chosen option is the wanted one: sizes have to be equal, others alike."""
    if name.lower() in EXACT_OPTIONS:
        return chosen.strip().lower() == wanted.strip().lower()
    return resembles(chosen, wanted)


def title_share(wanted: str, title: str) -> float:
    """The share of the wanted title's words that the title has; 0.2 when there are none to share.

    Frequent words are left out.
    """
    asked = set(words(wanted)) - FREQUENT
    return len(asked & set(words(title))) / len(asked) if asked else 0.2


def token_set_ratio(one: str, other: str) -> float:
    """How alike the sets of words of two texts are, from 0 to 1; 1 when one set holds the other.

    The shared words, and the shared words followed by what each text has beyond them, all sorted, are
    compared by twos, and the greatest ratio counts (2 * matching characters / all characters).
    """
    first, second = set(one.lower().split()), set(other.lower().split())
    if not first or not second:
        return 0.0
    shared = " ".join(sorted(first & second))
    more = [f"{shared} {' '.join(sorted(each - (first & second)))}".strip() for each in (first, second)]
    pairs = [(more[0], more[1])]
    if shared:
        pairs += [(shared, more[0]), (shared, more[1])]
    return max(SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in pairs)
