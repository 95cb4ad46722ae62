"""Rows and fields on a terminal: one line a row, whatever stands in a text."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from agentloop.commands.telling import out

_WIDEST = 100


def write_json(value: Any) -> None:
    """Print one JSON object for programs."""
    text = json.dumps(value, ensure_ascii=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        text = json.dumps(value)  # half a character cannot be printed but as an escape
    sys.stdout.write(text + os.linesep)


def columns(*names: str) -> Table:
    """A table without lines. ``+name`` is a number, ``*name`` is cut where the line ends."""
    table = Table(box=None, pad_edge=False, expand=True)
    for name in names:
        plain = name.lstrip("+*")
        justify = "right" if name.startswith("+") else "left"
        cut = name.startswith("*")
        table.add_column(
            plain,
            justify=justify,  # type: ignore[arg-type]
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if cut else None,
            min_width=None if cut else len(plain),
        )
    return table


def print_rows(table: Table) -> None:
    """Print a table in the width of the terminal, 80 columns where there is none."""
    out.print(table, soft_wrap=False)


def one_line(text: object) -> Text:
    """A text as a single line: no markup of ours, no line ends, nothing that a terminal would obey."""
    return Text(plain(" ".join(str(text).split())))


def shortened(text: str, most: int) -> str:
    """``text`` in at most so many characters, the cut shown."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plain(text: str) -> str:
    """``text`` without what a terminal would obey: each such character shows as a replacement character."""
    text = text.expandtabs(4)
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def told(fields: Mapping[str, str]) -> None:
    """Print names with their values, long ones on further lines; empty ones are left out."""
    width = max((len(name) for name in fields), default=0)
    room = max(40, min(out.width, _WIDEST) - width - 2)
    for name, value in fields.items():
        lines = [part for line in plain(value).split("\n") for part in textwrap.wrap(line, room) or [""]]
        for number, line in enumerate(lines if value else []):
            out.print(Text(f"{name if number == 0 else '':>{width}}  {line}"))


def shorter(ids: Iterable[str]) -> int:
    """How many characters tell the ids apart: 8, or more where 8 do not."""
    distinct = sorted(set(ids))
    width = 8
    for one, other in zip(distinct, distinct[1:], strict=False):
        same = 0
        while same < min(len(one), len(other)) and one[same] == other[same]:
            same += 1
        width = max(width, same + 1)
    return width
