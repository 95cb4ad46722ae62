"""The tokenizer for SQL and Python: that of ``local/tiny``, taught lines, brackets and fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiny_tokenizer import train_tokenizer

BEFORE = (
    ("\n    ", " ⏎ "),
    ("['", " ⟦ "),
    ("']", " ⟧ "),
    *((mark, f" {mark} ") for mark in "[]{}"),
)
"""Put before the rules for SQL, whose texts hold none of these."""

AFTER = (
    (" ⏎ ", "\n    "),
    (" ⟦ ", "['"),
    (" ⟧", "']"),
    (" [ : ", "[:"),
    ("each [ ", "each["),
    ("[ ", "["),
    (" ]", "]"),
    (" :", ":"),
)
"""Put behind the rules that turn pieces back into SQL."""


def train_python_tokenizer(texts: Iterable[str]) -> Any:
    """Learn the pieces from texts of both kinds, and wrap them for transformers."""
    from tokenizers import decoders, normalizers

    tokenizer = train_tokenizer(_spaced(text) for text in texts)
    inner = tokenizer.backend_tokenizer
    rules = [normalizers.Replace(old, new) for old, new in BEFORE]
    inner.normalizer = normalizers.Sequence([*rules, inner.normalizer])
    inner.decoder = decoders.Sequence([inner.decoder, *(decoders.Replace(old, new) for old, new in AFTER)])
    return tokenizer


def _spaced(text: str) -> str:
    for old, new in BEFORE:
        text = text.replace(old, new)
    return text
