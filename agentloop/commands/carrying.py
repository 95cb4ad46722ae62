"""``agentloop memory merge | import | export | rebuild``: corrections carried in, out and over."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agentloop.commands.embedders import embedder as embedder_named
from agentloop.commands.keeping import find, opened, who_holds
from agentloop.commands.listing import one_line, write_json
from agentloop.commands.telling import talk, tell
from agentloop.errors import BadInput
from agentloop.memories import CorrectionMemory
from agentloop.memories.carrying import Brought, import_into, lines, merge_folder, merge_one
from agentloop.memories.dumps import read_dump
from agentloop.memories.embedding import embed
from agentloop.memories.history import History

_PROBE = "a text, to see that the embedder answers"


def export(folder: Path, *, out: Path | None, status: str | None) -> None:
    """Write the corrections as JSON Lines: to a file, whole or not at all, or to standard output."""
    kept = [each for each in History(folder).ledger.corrections.values() if status in (None, each.status)]
    if out is None:
        sys.stdout.writelines(f"{line}\n" for line in lines(kept))
        return
    _write_whole(out, "".join(f"{line}\n" for line in lines(kept)))
    talk.print(f"{len(kept)} corrections written to {out}", markup=False)


def import_file(folder: Path, file: Path, *, form: str, as_exported: bool, as_json: bool) -> None:
    """Take corrections in from a file: as candidates, unless an export is restored as it was."""
    dump = read_dump(file, form)
    if as_exported and dump.form != "own":
        raise BadInput(f"--as-exported restores an export of ours; {file} is one of {dump.form}")
    folder.mkdir(parents=True, exist_ok=True)
    with opened(folder) as memory:
        brought = import_into(memory, dump.corrections, status=None if as_exported else "candidate")
    brought.refused |= dump.left_out
    _tell(brought, f"from {file} ({dump.form})", as_json=as_json)
    if brought.added and not as_exported and not as_json:
        tell("they are candidates and are not recalled yet; to use one: edit FOLDER ID --status active")


def merge(folder: Path, what: Sequence[str], *, into: str | None, as_json: bool) -> None:
    """Take in whole folders, or put corrections together into one."""
    if into is not None:
        _merge_ids(folder, what, into, as_json=as_json)
        return
    missing = [each for each in what if not Path(each).is_dir()]
    if missing:
        raise BadInput(f"no folder {missing[0]}; to merge corrections give their ids and --into ID")
    with opened(folder) as memory:
        for other in what:
            _tell(merge_folder(memory, other), f"from {other}", as_json=as_json)


def _merge_ids(folder: Path, ids: Sequence[str], into: str, *, as_json: bool) -> None:
    kept = History(folder).ledger.corrections
    target, others = find(kept, into), [find(kept, id) for id in ids]
    with opened(folder) as memory:
        for other in others:
            merged = merge_one(memory, other.id, into=target.id)
    if as_json:
        write_json(merged.to_dict())
        return
    tell(f"merged into {target.id}: {one_line(merged.text)}")
    tell(f"recalled {merged.recalled}, helped {merged.helped}, hurt {merged.hurt}")


def rebuild(folder: Path, *, embedder: str, as_json: bool) -> None:
    """Make every vector anew, by another embedder if one is named, after it was seen to answer."""
    History(folder)
    chosen = embedder_named(embedder)
    asyncio.run(embed(chosen, [_PROBE]))
    with who_holds(folder):
        asyncio.run(CorrectionMemory.rebuild(folder, embedder=chosen))
    history = History(folder)
    noted = history.ledger.embedder or {}
    found = {"corrections": len(history.ledger.corrections), "embedder": noted.get("name")}
    found["dimension"] = noted.get("dimension")
    if as_json:
        write_json(found)
    else:
        tell(f"{found['corrections']} corrections have vectors of {found['embedder']} now")


def _tell(brought: Brought, whence: str, *, as_json: bool) -> None:
    if as_json:
        write_json(vars(brought))
        return
    tell(f"{len(brought.added)} corrections added {whence}")
    counts = {"kept or forgotten here before": brought.known, "said here already": brought.doubles}
    for what, some in counts.items():
        if some:
            tell(f"{len(some)} {what}")
    for id, why in brought.refused.items():
        tell(one_line(f"left out: {id}: {why}"))


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whenever this is interrupted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogatepass") as opened_file:
            opened_file.write(text)
            opened_file.flush()
            os.fsync(opened_file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
