"""The memory of Reflexion."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Feedback, ScriptedModel, improve, reflect_and_retry
from agentloop.errors import BadInput, MemoryLocked
from agentloop.memories import EpisodicMemory, check_memory
from agentloop.memories.episodic import reflection
from agentloop.types import Correction, Task


def lesson(number: int, task: str = "door") -> Correction:
    return reflection(task, f"lesson {number}", trajectory=f"{task}#1", attempt=number, run="r")


def texts(memory: EpisodicMemory, task: str = "door", limit: int = 5) -> list[str]:
    found = asyncio.run(memory.recall(Task(id=task, prompt="Open it."), limit=limit))
    return [each.text for each in found]


def fill(memory: EpisodicMemory, count: int, task: str = "door") -> None:
    for number in range(1, count + 1):
        asyncio.run(memory.record(lesson(number, task)))


def test_it_keeps_the_contract_of_a_memory(tmp_path: Path) -> None:
    numbers = iter(range(99))
    asyncio.run(check_memory(EpisodicMemory))
    asyncio.run(check_memory(lambda: EpisodicMemory(file=tmp_path / f"{next(numbers)}.jsonl")))


def test_the_last_three_reflections_come_back_newest_first() -> None:
    memory = EpisodicMemory()
    fill(memory, 5)
    assert texts(memory) == ["lesson 5", "lesson 4", "lesson 3"]
    assert texts(memory, limit=1) == ["lesson 5"]


@given(limit=st.integers(1, 6), counts=st.lists(st.integers(0, 9), min_size=1, max_size=3))
def test_each_task_holds_as_many_reflections_as_it_had_failures_but_never_more_than_the_limit(
    limit: int, counts: list[int]
) -> None:
    memory = EpisodicMemory(limit)
    for place, count in enumerate(counts):
        fill(memory, count, f"task {place}")
    for place, count in enumerate(counts):
        assert len(texts(memory, f"task {place}", limit=99)) == min(count, limit)
    assert len(memory.list()) == sum(min(count, limit) for count in counts)


def test_a_reflection_reaches_no_other_task_however_alike() -> None:
    memory = EpisodicMemory()
    fill(memory, 2, "door")
    assert texts(memory, "door ") == texts(memory, "doo") == []


def test_a_dropped_reflection_is_not_recorded_again_by_a_resumed_run() -> None:
    memory = EpisodicMemory(1)
    fill(memory, 2)
    asyncio.run(memory.record(lesson(1)))
    assert texts(memory) == ["lesson 2"]


def test_counts_of_recalls_and_uses_are_kept_and_survive_in_a_file(tmp_path: Path) -> None:
    memory = EpisodicMemory(file=tmp_path / "memory.jsonl")
    fill(memory, 4)
    texts(memory, limit=1)
    for trajectory, helped in [("a", True), ("a", True), ("b", False)]:
        asyncio.run(memory.settle(lesson(4).id, trajectory=trajectory, helped=helped))
    memory.close()
    again = EpisodicMemory(file=tmp_path / "memory.jsonl")
    asyncio.run(again.settle(lesson(4).id, trajectory="b", helped=False))
    held = again.get(lesson(4).id)
    assert (held.recalled, held.helped, held.hurt) == (1, 1, 1)
    assert texts(again) == ["lesson 4", "lesson 3", "lesson 2"]


def test_a_reflection_says_what_it_is() -> None:
    made = lesson(2)
    assert (made.key, made.kind, made.source.attempt, made.source.run) == (
        "door",
        "hindsight_negative",
        2,
        "r",
    )


def test_a_forgotten_reflection_does_not_come_back() -> None:
    memory = EpisodicMemory()
    fill(memory, 2)
    memory.forget(lesson(2).id)
    asyncio.run(memory.record(lesson(2)))
    assert texts(memory) == ["lesson 1"]


def test_a_reflection_without_a_task_is_refused() -> None:
    with pytest.raises(BadInput, match="set key to the task's id"):
        asyncio.run(EpisodicMemory().record(Correction(id="x", text="x")))


def test_settling_what_was_never_recorded_is_refused() -> None:
    with pytest.raises(BadInput, match="no correction with id 'nobody'"):
        asyncio.run(EpisodicMemory().settle("nobody", trajectory="t", helped=True))


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1"):
        EpisodicMemory(0)


def test_a_second_writer_of_the_file_is_refused(tmp_path: Path) -> None:
    first = EpisodicMemory(file=tmp_path / "memory.jsonl")
    with pytest.raises(MemoryLocked, match="another writer"):
        EpisodicMemory(file=tmp_path / "memory.jsonl")
    first.close()
    EpisodicMemory(file=tmp_path / "memory.jsonl").close()


def test_reflections_are_judged_by_the_attempt_that_they_were_recalled_for(tmp_path: Path) -> None:
    def second(attempt: Attempt) -> Feedback:
        passed = attempt.number == 2 and "ajar" in attempt.task.prompt
        return Feedback(text="Right." if passed else "Wrong.", verdict="pass" if passed else "fail")

    memory = EpisodicMemory()
    agent = reflect_and_retry(
        model=ScriptedModel(lambda messages, sampling: f"try {sampling['seed']}"),
        critic=second,
        memory=memory,
        reflect=lambda attempt: f"note {attempt.number}",
        attempts=2,
        stop=[],
    )
    tasks = [Task(id="ajar", prompt="A door ajar."), Task(id="shut", prompt="A door shut.")]
    improve(agent, tasks, folder=tmp_path)
    counts = {(each.key, each.text): (each.helped, each.hurt) for each in memory.list()}
    assert counts[("ajar", "note 1")] == (1, 0)
    assert counts[("shut", "note 1")] == (0, 1)
