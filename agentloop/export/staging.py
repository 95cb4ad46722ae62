"""Writes the files of an export all or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agentloop.errors import BadInput

CARD = "README.md"


@contextmanager
def staged(folder: Path, names: Sequence[str]) -> Iterator[list[Path]]:
    """Paths to write to; at the end they take the places of ``names`` in ``folder``.

    When the block raises, what it wrote is removed, and so are the folders that were made for it.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    partial = [folder / f".{name}.{os.getpid()}.partial" for name in names]
    try:
        yield partial
        for path in partial:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for path, name in zip(partial, names, strict=True):
            path.replace(folder / name)
    except BaseException:
        for path in partial:
            path.unlink(missing_ok=True)
        for each in made:
            if not any(each.iterdir()):
                each.rmdir()
        raise


def claim(folder: Path, file: str, mark: str) -> None:
    """Refuse a folder that holds anything this export would overwrite, unless it is the same export."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; give a folder to export to")
    card = folder / CARD
    if card.exists() and mark not in card.read_text(encoding="utf-8", errors="replace").splitlines():
        raise BadInput(f"{card} was not written by an export of this method and format; give another folder")
    if (folder / file).exists() and not card.exists():
        raise BadInput(f"{folder / file} exists and was not written by an export; give another folder")
