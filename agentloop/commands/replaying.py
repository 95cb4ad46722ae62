"""``agentloop memory replay``: candidates become active by tasks that are tried with and without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentloop.commands.building import Wanted, parts, read_tasks
from agentloop.commands.embedders import embedder
from agentloop.commands.keeping import find, who_holds
from agentloop.commands.listing import columns, one_line, print_rows, shorter, write_json
from agentloop.commands.telling import talk, tell
from agentloop.errors import BadInput, BudgetSpent
from agentloop.memories import CorrectionMemory, Gate
from agentloop.replaying import Replay, replay
from agentloop.types import Correction


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of a replay."""

    folder: Path
    """Folder of the memory."""
    ids: Sequence[str]
    """The corrections, by the beginnings of their ids; none means all candidates."""
    tasks: str
    count: int | None
    out: Path


def replay_all(wanted: Wanted, asked: Asked, *, settings: dict[str, Any], as_json: bool) -> bool:
    """Try each correction in turn; False when the budget was spent before the end."""
    if not asked.folder.is_dir():
        raise BadInput(f"no memory at {asked.folder}; give the folder that 'agentloop run --memory' wrote")
    listed = read_tasks(asked.tasks, count=asked.count)
    built = parts(wanted, listed)
    options: dict[str, Any] = {"folder": asked.out, "grader": built.grader, **settings}
    agent = partial(built.builder(wanted), critic=built.critic)
    found: list[Replay] = []
    with who_holds(asked.folder), _opened(wanted, asked) as memory:
        chosen = _chosen(memory, asked.ids)
        try:
            for number, each in enumerate(chosen, start=1):
                talk.print(f"{number} of {len(chosen)}: {each.text:.80}", markup=False)
                found.append(replay(memory, each.id, listed, agent=agent, **options))
        except BudgetSpent as spent:
            talk.print(f"BudgetSpent: {spent}", markup=False)
        _tell(found, {each.id: each for each in memory.list()}, as_json=as_json)
    return len(found) == len(chosen)


def _opened(wanted: Wanted, asked: Asked) -> CorrectionMemory:
    """The memory, which finds its candidates among all that it keeps."""
    return CorrectionMemory(asked.folder, embedder=embedder(wanted.embedder), gate=Gate())


def _chosen(memory: CorrectionMemory, ids: Sequence[str]) -> list[Correction]:
    """The corrections that were named, or all candidates."""
    kept = {each.id: each for each in memory.list()}
    if ids:
        return [find(kept, id) for id in ids]
    return [each for each in kept.values() if each.status == "candidate"]


def _tell(found: Sequence[Replay], kept: dict[str, Correction], *, as_json: bool) -> None:
    if as_json:
        write_json({"replays": [{**each.to_dict(), "status": kept[each.id].status} for each in found]})
        return
    width = shorter(kept)
    table = columns("id", "it", "+better", "+worse", "+same", "status now", "*what it says")
    for each in found:
        counts = (str(each.better), str(each.worse), str(each.same))
        said = one_line(kept[each.id].text)
        table.add_row(each.id[:width], each.verdict.replace("_", " "), *counts, kept[each.id].status, said)
    print_rows(table)
    helps, harms = (sum(each.verdict == verdict for each in found) for verdict in ("helps", "harms"))
    tell(f"{len(found)} tried: {helps} help and are active, {harms} harm and are quarantined")
