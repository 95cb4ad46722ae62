"""``agentloop memory graduate``: retire the corrections that training has absorbed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentloop.commands import telling
from agentloop.commands.building import Wanted, parts, read_tasks, write_json
from agentloop.errors import BudgetSpent
from agentloop.memories import CorrectionMemory
from agentloop.training.graduation import examine, retire


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of a graduation."""

    folder: Path
    """Folder of the memory."""
    tasks: str
    """Held-out tasks: a file, or ``tiny:dev``."""
    count: int | None
    out: Path
    minimum: int
    """Held-out tasks that must have tried a correction."""
    dry: bool


def graduate(wanted: Wanted, asked: Asked, *, settings: dict[str, Any], as_json: bool) -> bool:
    """Measure, and unless it is a dry run mark; False when the budget was spent before the end."""
    listed = read_tasks(asked.tasks, count=asked.count)
    built = parts(wanted, listed)
    with ExitStack() as open_ones:
        reader = open_ones.enter_context(CorrectionMemory(asked.folder, read_only=True))
        # Held from the start: nobody else can change the memory under the test, and a locked one is told now.
        memory = None if asked.dry else open_ones.enter_context(CorrectionMemory(asked.folder))
        progress = open_ones.enter_context(telling.bar(f"{len(listed)} held-out tasks"))
        try:
            found = examine(
                reader,
                agent=partial(built.builder(wanted), critic=built.critic),
                tasks=listed,
                folder=asked.out,
                minimum=asked.minimum,
                grader=built.grader,
                progress=progress,
                **settings,
            )
        except BudgetSpent as spent:
            telling.talk.print(f"BudgetSpent: {spent}", markup=False)
            return False
        found = found if memory is None else retire(memory, found)
    write_json({"folder": str(asked.out), **found.to_dict()}) if as_json else telling.tell(found.summary())
    return True
