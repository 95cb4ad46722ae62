"""The check of a memory finds what is wrong with one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from agentloop.memories import check_memory
from agentloop.memories.contract import BrokenContract
from agentloop.types import Correction, Task


class Held:
    """A right memory in a list, whose methods are plain functions."""

    def __init__(self) -> None:
        self.held: dict[str, Correction] = {}
        self.settled: set[tuple[str, str]] = set()

    def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        return [each for each in self.held.values() if each.key == task.id][:limit]

    def record(self, correction: Correction, /) -> None:
        self.held.setdefault(correction.id, correction)

    def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        if (correction_id, trajectory) not in self.settled:
            self.settled.add((correction_id, trajectory))
            held = self.held[correction_id]
            self.held[correction_id] = held.replace(
                helped=held.helped + helped, hurt=held.hurt + (not helped)
            )


class Twice(Held):
    def record(self, correction: Correction, /) -> None:
        self.held[f"{correction.id}/{len(self.held)}"] = correction


class Eager(Held):
    def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        self.settled.clear()
        super().settle(correction_id, trajectory=trajectory, helped=helped)


class Generous(Held):
    def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        return super().recall(task, limit=99)


class Peeking(Held):
    def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        found = list(super().recall(task, limit=99))
        return (found[::-1] if task.hidden else found)[:limit]


class Deaf(Held):
    def record(self, correction: Correction, /) -> None:
        pass


class Haunted(Held):
    def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        return [Correction(id="ghost", text="boo"), *super().recall(task, limit=limit)][:limit]


def test_a_memory_of_plain_functions_keeps_the_contract() -> None:
    asyncio.run(check_memory(Held))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Deaf, "returns what was recorded"),
        (Twice, "recorded twice counts once"),
        (Eager, "once for each trajectory"),
        (Generous, "keeps to limit"),
        (Peeking, "hidden data"),
        (Haunted, "a new memory recalls nothing"),
    ],
)
def test_a_broken_promise_is_named(broken: Callable[[], Held], promise: str) -> None:
    with pytest.raises(BrokenContract, match=promise):
        asyncio.run(check_memory(broken))  # type: ignore[arg-type]
