"""What the agent is shown of a page: a bounded text in which nothing of the page can pass for ours.

What the environment says stands at the beginning of a line. What the page says is indented, on one line,
and between quotes (or escaped), so that no page can write a mark, a heading or a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.environments.web.marks import TEXT, Line, Seen, described, printable, quoted

Mode: TypeAlias = Literal["axtree", "dom", "text", "screenshot"]
MODES: tuple[Mode, ...] = ("axtree", "dom", "text", "screenshot")
LONGEST_ADDRESS = 300


class Notes(NamedTuple):
    """What is said besides the page: tabs, its picture, what went wrong, what was stopped, how it stands."""

    tabs: Sequence[str] = ()
    screenshot: str = ""
    error: str = ""
    said: Sequence[str] = ()


def observation(seen: Seen, mode: Mode, characters: int, notes: Notes = Notes()) -> str:  # noqa: B008
    """The page in at most ``characters`` characters, and what was left out of it in words."""
    above = [f"[screenshot {notes.screenshot}]"] if notes.screenshot else []
    above += [*notes.tabs, _head(seen)]
    below = [f"Error: {printable(notes.error)}"] if notes.error else []
    below += notes.said
    if seen.loading:
        below.append("The page is still loading; noop() waits.")
    room = characters - sum(len(line) + 1 for line in (*above, *below))
    lines = told(seen.lines, mode)
    # What holds others is in view as long as any of them is; only those without are a place to begin at.
    deeper = [*(after.depth > line.depth for line, after in pairwise(lines)), False]
    views = [line.in_view and not holds for line, holds in zip(lines, deeper, strict=False)]
    shown, cut = fitting(
        [(_written(line, mode), view) for line, view in zip(lines, views, strict=True)], room
    )
    if seen.cut:
        cut = f"{cut} The page is longer still; its further lines were not read.".strip()
    return "\n".join([*above, *shown, *below, *([cut] if cut else [])])[:characters]


def told(lines: Sequence[Line], mode: Mode) -> list[Line]:
    """The lines that a mode tells: a picture needs its marks alone, a text no structure without words."""
    if mode == "screenshot":
        return [line for line in lines if line.mark and line.in_view]
    if mode == "text":
        return [line for line in lines if line.mark or line.name]
    return list(lines)


def fitting(lines: Sequence[tuple[str, bool]], room: int) -> tuple[list[str], str]:
    """As many lines as fit, from the first one in view on, and a sentence on the others."""
    if sum(len(text) + 1 for text, _ in lines) <= room:
        return [text for text, _ in lines], ""
    room = max(room - len(_left_out(len(lines), len(lines))) - 1, 0)
    first = next((number for number, (_, in_view) in enumerate(lines) if in_view), 0)
    last = first
    while last < len(lines) and len(lines[last][0]) < room:
        room -= len(lines[last][0]) + 1
        last += 1
    while last == len(lines) and first and len(lines[first - 1][0]) < room:
        first -= 1
        room -= len(lines[first][0]) + 1
    return [text for text, _ in lines[first:last]], _left_out(first, len(lines) - last)


def _left_out(above: int, below: int) -> str:
    parts = [f"{count} lines {where}" for count, where in ((above, "above"), (below, "below")) if count]
    return f"... {' and '.join(parts)} left out; scroll to see them." if parts else ""


def _head(seen: Seen) -> str:
    top, shown, whole = seen.view
    scrolled = f", scrolled={top}/{whole - shown}" if whole > shown + 1 else ""
    return f"RootWebArea {quoted(seen.title)}, url={quoted(shortened(seen.url))}{scrolled}"


def shortened(url: str) -> str:
    """An address, or its beginning."""
    return url if len(url) <= LONGEST_ADDRESS else f"{url[:LONGEST_ADDRESS]}..."


def _written(line: Line, mode: Mode) -> str:
    if mode == "dom":
        return f"{'  ' * line.depth}{_markup(line)}"
    if mode == "text":
        return f"  {described(line) + _extras(line)}" if line.mark else f"  {_plain(line.words)}"
    return f"{'  ' * (line.depth if mode == 'axtree' else 1)}{_node(line)}"


def _node(line: Line) -> str:
    if isinstance(line.name, str):
        return described(line) + _extras(line)
    return f"{line.role} {' | '.join(quoted(cell) for cell in line.name)}{_extras(line)}"


def _plain(text: str) -> str:
    return re.sub(r"\[(?=\s*\d)", r"\\[", printable(text))


def _extras(line: Line) -> str:
    return "".join(_extra(name, value) for name, value in line.extras)


def _extra(name: str, value: Any) -> str:
    if name == "value":
        return f" value={quoted(value)}"
    if name == "at":
        return f", at ({value[0]}, {value[1]}) size {value[2]}x{value[3]}"
    if name == "further":
        return f", {value} more options"
    if value is None:
        return f", {name}"
    if isinstance(value, list):
        return f", {name}=[{', '.join(quoted(each) for each in value)}]"
    return f", {name}={quoted(value) if isinstance(value, str) else value}"


def _markup(line: Line) -> str:
    text = escape(printable(line.words), quote=False)
    if line.role == TEXT:
        return text
    mark = f' mark="{line.mark}"' if line.mark else ""
    attributes = "".join(_attribute(name, value) for name, value in line.extras)
    return f"<{line.role}{mark}{attributes}>{text}" + (f"</{line.role}>" if text else "")


def _attribute(name: str, value: Any) -> str:
    if value is None:
        return f" {name}"
    if isinstance(value, list):
        value = (" " if name == "at" else " | ").join(str(each) for each in value)
    shown = escape(printable(str(value).replace("\n", "\\n")))
    return f' {name}="{shown}"'


def content(line: Line) -> str:
    """What a line says, apart from its mark, its place and the focus: for telling what changed."""
    if line.role == TEXT:
        return printable(line.words)
    kept = [(name, value) for name, value in line.extras if name not in PASSING]
    return _node(line._replace(mark=0, extras=kept))


PASSING = frozenset({"at", "ends", "focused", "scrolled"})
