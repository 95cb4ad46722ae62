"""Lets any memory serve DROC: what it recalls are words, without pictures and without typed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, cast

from agentloop.knowledge import Knowledge, KnowledgeStore, Photo
from agentloop.types import Correction, Memory, Task


def as_store(memory: Memory | KnowledgeStore | None) -> KnowledgeStore | None:
    """A memory as the store of DROC; one that keeps typed knowledge is taken as it is."""
    if memory is None or is_store(memory):
        return memory
    return WordsOnly(cast(Memory, memory))


def is_store(memory: Any) -> TypeGuard[KnowledgeStore]:
    """Whether a memory keeps typed knowledge."""
    return all(hasattr(memory, name) for name in ("constraints", "steps", "skill", "resolve", "keep"))


class WordsOnly:
    """A memory of corrections as a store: skills are found by their words, the first one is taken."""

    def __init__(self, memory: Memory, *, limit: int = 20) -> None:
        self.memory, self.limit = memory, limit

    async def constraints(self, task: Task, /) -> Sequence[Knowledge]:
        """What is recalled for the task and is not about a skill."""
        found = await self.memory.recall(task, limit=self.limit)
        return [Knowledge(correction=each, kind="task_constraint") for each in found if each.level != "skill"]

    async def steps(self, step: str, /) -> Sequence[str]:
        """The names of the skills that are recalled for the step's words."""
        return list(dict.fromkeys(each.key for each in await self._skills(step)))

    async def skill(self, steps: Sequence[str], photo: Photo | None, /) -> Knowledge | None:
        """The first skill recalled under one of the names."""
        for step in steps:
            for each in await self._skills(step):
                if each.key == step:
                    return Knowledge(correction=each, kind="skill", step=step)
        return None

    async def resolve(self, name: str, ids: Sequence[str], photos: Sequence[Photo], /) -> Knowledge | None:
        """Words do not tell."""
        return None

    async def keep(self, knowledge: Knowledge, /) -> None:
        """Keep the words."""
        await self.memory.record(knowledge.correction)

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count a use."""
        await self.memory.settle(correction_id, trajectory=trajectory, helped=helped)

    async def _skills(self, step: str) -> list[Correction]:
        found = await self.memory.recall(Task(id=step, prompt=step), limit=self.limit)
        return [each for each in found if each.level == "skill"]
