"""A memory as a graduation sees it: what it must be able to do, and itself without some corrections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from agentloop.errors import BadInput
from agentloop.types import Correction, CorrectionStatus, Task


class Readable(Protocol):
    """A memory to recall from and to look through."""

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The corrections that apply to ``task``, best first."""
        ...

    def list(self) -> Sequence[Correction]:
        """Every correction that it keeps."""
        ...


class Markable(Protocol):
    """A memory whose corrections can be given another status."""

    def list(self) -> Sequence[Correction]:
        """Every correction that it keeps."""
        ...

    def mark(self, id: str, status: CorrectionStatus, /) -> None:
        """Give a correction another status."""
        ...


class Kept(Readable, Markable, Protocol):
    """Both at once."""


class Without:
    """A memory as it would be without some corrections; nothing is counted or learnt through it.

    More is asked of the memory than is wanted, so that what comes next takes the places of those left out.
    The same words with another scope are not recalled in the place of one left out, since the memory
    shows the same words once; so an agent is told rather less here than it would be in earnest.
    """

    def __init__(self, memory: Readable, ids: Collection[str] = ()) -> None:
        self.memory, self.ids = memory, frozenset(ids)

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """What the memory recalls, without those left out; at most ``limit``."""
        if limit < 1:
            return ()
        found = await self.memory.recall(task, limit=limit + len(self.ids))
        return tuple(each for each in found if each.id not in self.ids)[:limit]

    async def record(self, correction: Correction, /) -> None:
        """Keep nothing."""

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count nothing."""


class Uncounted:
    """Refuses a memory that counts what is recalled from it, at the first recall that shows it."""

    def __init__(self, memory: Readable) -> None:
        self.memory = memory
        self.counts = {each.id: each.recalled for each in memory.list()}

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """What the memory recalls; BadInput when one of them was counted for it."""
        found = await self.memory.recall(task, limit=limit)
        if any(each.recalled > self.counts.get(each.id, each.recalled) for each in found):
            raise BadInput(
                "this memory counts what is recalled from it, and a graduation must not change its counts; "
                "give reader= as well, the same memory opened read-only: "
                "CorrectionMemory(folder, read_only=True)"
            )
        return found

    def list(self) -> Sequence[Correction]:
        """Every correction that the memory keeps."""
        return self.memory.list()
