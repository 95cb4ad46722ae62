"""Find the JSON object in a model's words: bare, fenced, among prose, or slightly wrong."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_DECODER = json.JSONDecoder(strict=False)
_TRAILING_COMMA = re.compile(r",\s*([}\]])")
_TRIES = 64
"""Opening brackets that are tried, the last ones first; a reply of brackets alone stays cheap."""


def read_object(text: str, *, key: str) -> dict[str, Any] | None:
    """The last JSON object in ``text`` that has ``key``, or None.

    The last one counts because a model that thinks aloud ends with its answer. Trailing commas,
    single quotes and Python's True, False and None are taken too.
    """
    for start in [each.start() for each in re.finditer(r"\{", text)][: -_TRIES - 1 : -1]:
        found = _object_at(text, start)
        if found is not None and key in found:
            return found
    return None


def _object_at(text: str, start: int) -> dict[str, Any] | None:
    try:
        found, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        found = _mended(text[start : text.rfind("}") + 1])
    return found if isinstance(found, dict) else None


def _mended(text: str) -> Any:
    """The object after mild repair, or None; a text that still cannot be read is left alone."""
    for attempt in (_TRAILING_COMMA.sub(r"\1", text), text):
        for read in (_DECODER.decode, ast.literal_eval):
            try:
                return read(attempt)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue
    return None
