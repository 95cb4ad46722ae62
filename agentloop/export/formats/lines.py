"""Writes JSON Lines, one line at a time; the same lines give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def open_lines(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes each line with all its keys."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda line: _write(file, line)


@contextmanager
def open_lines_apart(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """The same without the key ``meta``, which goes to the line of the same number in a file beside."""
    with (
        path.open("w", encoding="utf-8", newline="\n") as file,
        path.with_name(meta_file(path.name)).open("w", encoding="utf-8", newline="\n") as beside,
    ):

        def write(line: dict[str, Any]) -> None:
            _write(file, {key: value for key, value in line.items() if key != "meta"})
            _write(beside, line["meta"])

        yield write


def meta_file(name: str) -> str:
    """The file beside the one of that name."""
    return f"{Path(name).stem}.meta.jsonl"


def _write(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")
