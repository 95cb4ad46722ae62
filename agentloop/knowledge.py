"""What a person's corrections teach of plans and skills, as typed records, and the store that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from annotated_types import Ge

from agentloop.record import Record
from agentloop.types import Correction, Task

KnowledgeKind: TypeAlias = Literal["task_constraint", "robot_constraint", "skill"]


class Photo(Record):
    """A picture of one object: rows from the top, three bytes a pixel (red, green, blue), as hex digits."""

    width: Annotated[int, Ge(1)]
    height: Annotated[int, Ge(1)]
    pixels: str


class Knowledge(Record):
    """One thing learnt: its words, scope and source (``correction``), and what it is about.

    A constraint on plans holds for a kind of task, or for the robot; then it has no ``photo``. A skill
    tells how one ``step`` was done in the end: ``values`` by name, of any type JSON has, and ``code``, lines
    to carry out before the step's own (way-points). ``photo`` shows the ``object``.
    """

    correction: Correction
    kind: KnowledgeKind
    step: str = ""
    object: str = ""
    photo: Photo | None = None
    values: dict[str, Any] = field(default_factory=dict)
    code: str = ""


class KnowledgeStore(Protocol):
    """A memory of typed knowledge. ``agentloop.memories.KnowledgeMemory`` is one."""

    async def constraints(self, task: Task, /) -> Sequence[Knowledge]:
        """The constraints that may hold for ``task``, newest first, none in the same words; no photos."""
        ...

    async def steps(self, step: str, /) -> Sequence[str]:
        """The names of the steps that skills are kept of, each once; those like ``step`` alone will do."""
        ...

    async def skill(self, steps: Sequence[str], photo: Photo | None, /) -> Knowledge | None:
        """Of the skills of these steps, the one whose object looks most like the one on ``photo``."""
        ...

    async def resolve(self, name: str, ids: Sequence[str], photos: Sequence[Photo], /) -> Knowledge | None:
        """Of these constraints, the one about the object that ``name`` means here, by ``photos`` of it."""
        ...

    async def keep(self, knowledge: Knowledge, /) -> None:
        """Keep it; the same id a second time counts once."""
        ...

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that what was recalled helped or hurt; once for each trajectory."""
        ...
