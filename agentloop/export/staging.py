"""Writes the files of an export all or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentloop.errors import BadInput

CARD = "README.md"


@contextmanager
def staged(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """A folder to write to; at the end its files take their places in ``folder``, the card last.

    ``names`` are all files that the export may write: those that it did not are removed, since they
    are of an earlier one. When the block raises, nothing in ``folder`` has changed, and the folders
    that were made for it are gone again.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder, prefix=".export."))
    try:
        yield partial
        written = sorted(partial.iterdir(), key=lambda each: each.name == CARD)
        for path in written:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for name in set(names) - {path.name for path in written}:
            (folder / name).unlink(missing_ok=True)
        for path in written:
            path.replace(folder / path.name)
        partial.rmdir()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for each in made:
            if not any(each.iterdir()):
                each.rmdir()
        raise


def claim(folder: Path, names: Collection[str], mark: str) -> None:
    """Refuse a folder that holds anything this export would overwrite, unless it is the same export."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; give a folder to export to")
    card = folder / CARD
    if card.exists():
        if mark not in card.read_text(encoding="utf-8", errors="replace").splitlines():
            raise BadInput(
                f"{card} was not written by an export of this method and format; give another folder"
            )
        return
    for name in sorted(names):
        if (folder / name).exists():
            raise BadInput(f"{folder / name} exists and was not written by an export; give another folder")
