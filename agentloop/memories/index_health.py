"""Whether the files of a memory are whole: its logs to the last line, and its index row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agentloop.memories.embedding import Identity
from agentloop.memories.folder import locked
from agentloop.memories.ledger import Ledger
from agentloop.memories.local import newest_index
from agentloop.memories.scope import key_text
from agentloop.memories.vector import IndexDamaged, VectorIndex


def torn_logs(folder: Path) -> Iterator[str]:
    """Logs whose last line has no end, told in words; one that is being written may look so for a moment."""
    for path in sorted(folder.glob("corrections*.jsonl")):
        data = path.read_bytes()
        left = len(data) - (data.rfind(b"\n") + 1)
        if left:
            yield f"{path.name} ends in half a line of {left} bytes"


def index_damage(folder: Path, ledger: Ledger) -> str:
    """What is wrong with the index, empty when nothing is; MemoryLocked while another process writes.

    Rows that it lacks are no damage: they wait for the next batch. A row of other words than the log has,
    one that cannot be read and one of no correction are.
    """
    path = newest_index(folder)
    if not (path / "chroma.sqlite3").is_file():
        return ""
    held = ledger.embedder or {"name": "", "version": "", "dimension": None}
    lock = locked(folder, shared=False)
    try:
        index = VectorIndex.local(path, Identity(held["name"], held["version"], held["dimension"]))
        try:
            return _damage(index, ledger)
        finally:
            index.close()
    except IndexDamaged as error:
        return str(error)
    finally:
        os.close(lock)


def _damage(index: VectorIndex, ledger: Ledger) -> str:
    kept = ledger.corrections
    ids, rows = index.vectors()
    strange = sorted(set(ids) - kept.keys())
    if strange:
        return f"{len(strange)} rows are of no correction that is kept, such as {strange[0]}"
    if len(rows) and not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
        return "there are vectors whose length is not 1"
    stale = [each.id for each in index.get() if key_text(each) != key_text(kept[each.id])]
    return f"{len(stale)} rows are of earlier words, such as {stale[0]}" if stale else ""
