"""The page as it was last seen: lines with marks, how they are written, and which mark was meant."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

TEXT = "StaticText"
MOST_NEAR = 3
LEAST_ALIKE = 0.5


class Line(NamedTuple):
    """One element or text of a page. ``mark`` is 0 for what has none; the ``name`` of a row is its cells'."""

    depth: int
    mark: int
    role: str
    name: str | Sequence[str]
    extras: Sequence[tuple[str, Any]]
    in_view: bool

    @property
    def words(self) -> str:
        """What it is called, in one text."""
        return self.name if isinstance(self.name, str) else " | ".join(self.name)


class Seen(NamedTuple):
    """A page at one moment. ``cut``: it has more lines than were read; ``loading``: more may be to come.

    ``view`` is how far it is scrolled, how much is shown, and how much there is, in pixels.
    """

    url: str = ""
    title: str = ""
    lines: Sequence[Line] = ()
    cut: bool = False
    view: tuple[int, int, int] = (0, 0, 0)
    loading: bool = False

    def find(self, mark: int) -> Line | None:
        """The line with this mark."""
        return next((line for line in self.lines if line.mark == mark), None)


def seen_in(told: str) -> Seen:
    """A page from what our script in it told."""
    data = json.loads(told)
    data["lines"] = [Line(*line) for line in data["lines"]]
    data["view"] = tuple(data["view"])
    return Seen(**data)


def printable(text: str) -> str:
    """A text of the page on one line, without characters that cannot be seen or that turn what is written."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each.isspace() else "" for each in text)


def quoted(text: str) -> str:
    r"""A text of the page between quotes; quotes, backslashes and line ends in it are escaped (``\n``)."""
    text = text.replace("\\", "\\\\").replace("'", "\\'").replace("\r", "").replace("\n", "\\n")
    return f"'{printable(text)}'"


def described(line: Line) -> str:
    """Mark, role and name: ``[15] button 'OK'``."""
    mark = f"[{line.mark}] " if line.mark else ""
    name = f" {quoted(line.words)}" if line.words else ""
    return f"{mark}{line.role}{name}"


def near(seen: Seen, mark: str) -> list[str]:
    """The marked elements that were perhaps meant: those with similar words, or the nearest numbers."""
    marked = [line for line in seen.lines if line.mark]
    if mark.isdigit():
        ranked = sorted(marked, key=lambda line: (abs(line.mark - int(mark)), line.mark))
    else:
        alike = {line.mark: _alike(mark, line.words) for line in marked[:500]}
        ranked = [line for line in marked[:500] if alike[line.mark] >= LEAST_ALIKE]
        ranked.sort(key=lambda line: -alike[line.mark])
    return [described(line) for line in ranked[:MOST_NEAR]]


def _alike(wanted: str, words: str) -> float:
    wanted, words = wanted.lower(), words.lower()[:100]
    if words and re.search(rf"\b{re.escape(words)}\b", wanted):
        return 1.0
    return SequenceMatcher(None, wanted, words).ratio()
