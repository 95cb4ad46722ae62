"""The words of a text, as the hashing embedder and the overlap of rare words take them."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_FUNCTION_WORDS = """
a an and are as at be but by do does for from has have if in into is it its means mean not of on or
should so than that the their them then there these they this to was were when where which with you
your use instead rather always never
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say little of what a text is about; ``means`` is in every other correction."""


def words(text: str) -> list[str]:
    """The words of ``text`` in order, in lower case; a name such as ``unit_price`` is two words."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())
