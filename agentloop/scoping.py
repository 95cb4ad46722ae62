"""``scoped``: a distiller that writes down where a correction applies, as far as its evidence says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.bringing import bring
from agentloop.learning import Distiller
from agentloop.types import Attempt, Correction

_WORD = re.compile(r"[^\W_]+")
_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+")
_BUT = re.compile(
    r"\b(?:except|unless|unlike|not|other than|apart from)(?: (?:at|in|for|on|with|by|from|of|the))*$"
)


def scoped(distil: Distiller, *, by: Sequence[str]) -> Distiller:
    """``distil`` whose corrections are scoped by the public values of their task named in ``by``.

    A condition such as ``house=acme`` is written only where the evidence has the value: in the correction's
    text, or in the sentence of its quote that taught it. "Except at acme" becomes a ``not_when``. What the
    evidence does not say is not guessed: such a correction stays without the condition, and its replay
    shows what it does elsewhere. A scope that the distiller wrote itself stays as it is.
    """
    names = tuple(by)

    async def within(attempts: Sequence[Attempt]) -> Sequence[Correction]:
        found = await bring(distil, attempts)
        public = attempts[-1].task.public if attempts else {}
        return tuple(
            _scoped(each, {name: public[name] for name in names if name in public}) for each in found
        )

    return within


def _scoped(correction: Correction, values: Mapping[str, Any]) -> Correction:
    if correction.applies_when or correction.not_when:
        return correction
    said = [_row(correction.text), *(_row(each) for each in _sources(correction))]
    inside: list[str] = []
    outside: list[str] = []
    for name, value in values.items():
        wanted = _row(str(value)).strip() if isinstance(value, str | int | float) else ""
        where = [each for each in said if f" {wanted} " in each] if wanted else []
        if where and re.search(r"[,;=]", str(value)) is None:
            spared = _BUT.search(where[0].partition(f" {wanted} ")[0].strip())
            (outside if spared else inside).append(f"{name}={value}")
    return correction.replace(applies_when=", ".join(inside), not_when=", ".join(outside))


def _sources(correction: Correction) -> Sequence[str]:
    """The sentences of the quote that hold at least half of the words of the text."""
    wanted = set(_row(correction.text).split())
    parts = _SENTENCES.split(correction.source.quote)
    return [each for each in parts if 2 * len(wanted & set(_row(each).split())) >= len(wanted)]


def _row(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.lower()))} "
