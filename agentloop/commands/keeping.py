"""``agentloop memory``: list, show and forget what a memory keeps."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from agentloop.commands.building import write_json
from agentloop.commands.telling import out, tell
from agentloop.errors import BadInput
from agentloop.memories import CorrectionMemory
from agentloop.types import Correction


def show_all(folder: Path, *, as_json: bool) -> None:
    """Every correction, a line each."""
    with _opened(folder, read_only=True) as memory:
        kept = memory.list()
    if as_json:
        write_json({"corrections": [correction.to_dict() for correction in kept]})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "status", "recalled", "helped", "hurt", "text"):
        table.add_column(name, no_wrap=name != "text")
    for each in kept:
        table.add_row(each.id, each.status, str(each.recalled), str(each.helped), str(each.hurt), each.text)
    out.print(table)
    tell(f"{len(kept)} corrections in {folder}")


def show(folder: Path, id: str, *, as_json: bool) -> None:
    """One correction in full."""
    with _opened(folder, read_only=True) as memory:
        found = _find(memory, id)
    if as_json:
        write_json(found.to_dict())
        return
    for name, value in found.to_dict().items():
        tell(f"{name:>12}: {value}")


def forget(folder: Path, id: str) -> None:
    """Forget one correction."""
    with _opened(folder, read_only=False) as memory:
        found = _find(memory, id)
        memory.forget(found.id)
    tell(f"forgotten: {found.text}")


def _opened(folder: Path, *, read_only: bool) -> CorrectionMemory:
    if not folder.is_dir():
        raise BadInput(f"no memory at {folder}; give the folder that --memory or CorrectionMemory named")
    return CorrectionMemory(folder, read_only=read_only)


def _find(memory: CorrectionMemory, id: str) -> Correction:
    found = [each for each in memory.list() if each.id.startswith(id)]
    if len(found) == 1:
        return found[0]
    kept = f"{len(found)} corrections begin so" if found else f"none of {len(memory.list())} begins so"
    raise BadInput(f"no single correction with id {id!r}: {kept}; see 'agentloop memory list'")
