"""The memory of Reflexion: the last few reflections on the same task, newest first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from agentloop.errors import BadInput
from agentloop.memories.ledger import Event, Ledger
from agentloop.memories.log import Log
from agentloop.types import Correction, Source, Task, correction_id


class EpisodicMemory:
    """Keeps the last ``limit`` reflections of each task (Reflexion's omega; 3 is its value for ALFWorld).

    A reflection is a correction whose ``key`` is the task's id; ``reflection`` makes one. It is
    recalled for the task with that id and no other, without any similarity, newest first. Older
    ones are dropped for good. Samples of one task share its reflections.

    Without ``file`` it lives and ends with the object; with it, every event is a line of that file,
    and one process at a time may have it open. ``recalled`` counts calls of ``recall``; a resumed
    run reads recalls from its journal, and so does not count them again. Safe to share between
    threads and event loops.
    """

    episodic = True
    """Tells an agent to recall before every attempt, and to keep its reflections under the task's id."""

    def __init__(self, limit: int = 3, *, file: str | Path | None = None) -> None:
        if limit < 1:
            raise BadInput(f"limit must be at least 1 reflection a task, got {limit}")
        self.limit = limit
        self._mutex = threading.RLock()
        self._ledger = Ledger()
        self._tasks: dict[str, list[str]] = {}
        self._log: Log | None = None
        if file is not None:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            self._log = Log(Path(file))
            for event in self._log.new_events():
                self._apply(event)

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The last reflections on ``task``, newest first; at most ``limit`` and never more than are kept."""
        with self._mutex:
            ids = self._tasks.get(task.id, [])[::-1][: max(0, limit)]
            self._write(self._ledger.recalled(ids, task.id))
            return tuple(self._ledger.corrections[id] for id in ids)

    async def record(self, correction: Correction, /) -> None:
        """Keep a reflection; the same id a second time counts once, even when it was dropped since."""
        if not correction.key:
            raise BadInput(
                f"reflection {correction.id!r} has no key, so it belongs to no task; set key to the task's id"
            )
        with self._mutex:
            self._write(self._ledger.recorded(correction))
        await self._sync()

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that a reflection helped or hurt, once for each trajectory."""
        with self._mutex:
            if correction_id not in self._ledger.known:
                self._ledger.find(correction_id)
            self._write(self._ledger.settled(correction_id, trajectory, helped))

    def list(self) -> tuple[Correction, ...]:
        """Every reflection that is kept, in the order in which they were recorded."""
        with self._mutex:
            return tuple(self._ledger.corrections.values())

    def get(self, id: str) -> Correction:
        """The reflection with this id; BadInput when it is not kept."""
        with self._mutex:
            return self._ledger.find(id)

    def forget(self, id: str) -> None:
        """Drop one reflection; it is not recorded again."""
        with self._mutex:
            self._write(self._ledger.forgotten(id))

    def close(self) -> None:
        """Sync the file and give it back. A second time does nothing."""
        if self._log is not None:
            self._log.sync()
            self._log.close()

    def _write(self, event: Event | None) -> None:
        if event is None:
            return
        if self._log is not None:
            self._log.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        self._ledger.apply(event)
        if event["event"] == "recorded":
            self._keep(event["correction"]["id"])
        elif event["event"] == "forgotten":
            for ids in self._tasks.values():
                if event["id"] in ids:
                    ids.remove(event["id"])

    def _keep(self, id: str) -> None:
        correction = self._ledger.corrections.get(id)
        if correction is None:
            return
        ids = self._tasks.setdefault(correction.key, [])
        if id not in ids:
            ids.append(id)
        for dropped in ids[: -self.limit]:
            del self._ledger.corrections[dropped]
        del ids[: -self.limit]

    async def _sync(self) -> None:
        if self._log is not None:
            await asyncio.to_thread(self._log.sync)


def reflection(task: str, text: str, *, trajectory: str, attempt: int, run: str = "") -> Correction:
    """A reflection on the task with id ``task`` as EpisodicMemory keeps it.

    The same words after another attempt are another reflection: published memories hold such.
    """
    return Correction(
        id=correction_id(run, f"{trajectory}/{attempt}", text),
        text=text,
        key=task,
        kind="hindsight_negative",
        source=Source(run=run, trajectory=trajectory, attempt=attempt),
    )
