"""The SEARCH/REPLACE blocks of a model's reply: found, carried out on a text, or told why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple, TypeAlias

from agentloop.record import Record

Why: TypeAlias = Literal["not found", "several places", "nothing to search for", "not closed"]

_OPEN = re.compile(r"\s*(<{5,16}) ?SEARCH\b.*")
_HINT_LINES, _HINT_WIDTH, _HINT_TEXT = 12, 200, 2_000
"""A hint looks at so many lines of a block, characters of a line and lines of the text, to stay cheap."""


class Block(NamedTuple):
    """Lines to search for, those to put in their place, and the two lines ``above`` the first mark."""

    search: list[str]
    replace: list[str]
    closed: bool
    above: list[str]


class Unmatched(Record):
    """A block that was left out: what it searched for, why, and the lines of the text most like it.

    ``line`` counts from 1 and is 0 where no line of the text is like the block.
    """

    search: str
    why: Why
    near: str = ""
    line: int = 0


class Edited(Record):
    """A text after its edits. ``applied`` counts the blocks carried out; the others are ``unmatched``."""

    text: str
    applied: int = 0
    unmatched: tuple[Unmatched, ...] = ()

    def told(self) -> str:
        """The blocks that were left out, in words for the model; empty when there are none."""
        return "\n\n".join(_told(block) for block in self.unmatched)


def apply_edits(text: str, reply: str) -> Edited:
    """Carry out the blocks of ``reply`` in order, each on the text that those before it left."""
    applied, unmatched = 0, []
    for block in blocks_in(reply):
        changed = apply_block(text, block)
        if isinstance(changed, Unmatched):
            unmatched.append(changed)
        else:
            text, applied = changed, applied + 1
    return Edited(text=text, applied=applied, unmatched=tuple(unmatched))


def blocks_in(reply: str) -> Iterator[Block]:
    """The blocks of a reply, in order.

        <<<<<<< SEARCH
        whole lines as they stand
        =======
        the lines to put in their place
        >>>>>>> REPLACE

    Longer marks serve for a text that holds such lines itself: the marks of one block have one length.
    """
    lines = iter(reply.replace("\r\n", "\n").split("\n"))
    above: list[str] = []
    for line in lines:
        opened = _OPEN.fullmatch(line)
        if opened is None:
            above = [*above[-1:], line]
            continue
        width = len(opened.group(1))
        search, divided = _until(lines, re.compile(rf"\s*={{{width}}}\s*"))
        replace, closed = _until(lines, re.compile(rf"\s*>{{{width}}} ?REPLACE\b.*"))
        yield Block(search, replace, divided and closed, above)
        above = []


def _until(lines: Iterator[str], mark: re.Pattern[str]) -> tuple[list[str], bool]:
    """The lines before ``mark``, and whether it came at all."""
    before: list[str] = []
    for line in lines:
        if mark.fullmatch(line):
            return before, True
        before.append(line)
    return before, False


def apply_block(text: str, block: Block) -> str | Unmatched:
    """The text with the block carried out, or why it was not.

    A block must stand for exactly one place; lines that differ only in blanks at their ends are taken
    where none are equal. A search without words fills an empty text, and no other. A block that was cut
    off must not delete what it had no room to write.
    """
    windows = text.count("\r\n") == text.count("\n") > 0
    lines = (text.replace("\r\n", "\n") if windows else text).split("\n")
    if not block.closed:
        return Unmatched(search="\n".join(block.search), why="not closed")
    if not any(line.strip() for line in block.search):
        filled = "\n".join([*block.replace, ""])
        return Unmatched(search="", why="nothing to search for") if text else filled
    places = _places(lines, block.search)
    if len(places) != 1:
        return _unmatched(lines, block.search, "several places" if places else "not found")
    lines[places[0] : places[0] + len(block.search)] = block.replace
    return ("\r\n" if windows else "\n").join(lines)


def _places(lines: Sequence[str], search: Sequence[str]) -> list[int]:
    equal = _starts(lines, search)
    return equal or _starts([line.rstrip() for line in lines], [line.rstrip() for line in search])


def _starts(lines: Sequence[str], search: Sequence[str]) -> list[int]:
    wanted, last = list(search), len(lines) - len(search)
    return [at for at in range(last + 1) if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted]


def _unmatched(lines: Sequence[str], search: Sequence[str], why: Why) -> Unmatched:
    near, line = _nearest(lines, search) if why == "not found" else ("", 0)
    return Unmatched(search="\n".join(search), why=why, near=near, line=line)


def _nearest(lines: Sequence[str], search: Sequence[str]) -> tuple[str, int]:
    """The lines of the text that are most like the searched ones, and the number of the first of them."""
    wanted, within = search[:_HINT_LINES], lines[:_HINT_TEXT]
    best, found = 0.5 * len(wanted), -1
    for start in range(max(1, len(within) - len(wanted) + 1)):
        pairs = zip(wanted, within[start : start + len(wanted)], strict=False)
        alike = sum(_alike(one, other) for one, other in pairs)
        if alike > best:
            best, found = alike, start
    return ("\n".join(lines[found : found + len(search)]), found + 1) if found >= 0 else ("", 0)


def _alike(one: str, other: str) -> float:
    one, other = one.strip()[:_HINT_WIDTH], other.strip()[:_HINT_WIDTH]
    return 1.0 if one == other else SequenceMatcher(None, one, other, autojunk=False).quick_ratio()


def _told(block: Unmatched) -> str:
    said = f"A block was left out ({block.why}). It searched for:\n{block.search}"
    return f"{said}\nNearest lines, from line {block.line}:\n{block.near}" if block.line else said
