"""What an agent remembers: reflections on a task, corrections for others, and nothing hidden."""

from collections.abc import Sequence

import pytest

from agentloop import Attempt, Correction, Feedback, Task, reflect_and_retry, sees_hidden
from agentloop.errors import BadInput
from agentloop.memories import EpisodicMemory
from tests.twins import SENTINEL, TASK, knows_the_answer, run, says, third_time


def test_reflections_go_into_an_episodic_memory_and_the_last_few_are_shown() -> None:
    memory, lessons = EpisodicMemory(limit=2), iter(["look left", "look right", "look up", "look down"])
    model = says("a", "b", "c", "d", "e")

    def never(attempt: Attempt) -> Feedback:
        return Feedback(text="no", verdict="fail")

    run(
        reflect_and_retry(
            model=model,
            critic=never,
            memory=memory,
            reflect=lambda attempt: next(lessons),
            history=0,
            attempts=5,
            stop=[],
        )
    )
    shown = [request[-1]["content"] for request in model.requests]
    assert "look" not in shown[0]
    assert [
        sum(text.count(f"look {way}") for way in ("left", "right", "up", "down")) for text in shown[1:]
    ] == [
        1,
        2,
        2,
        2,
    ]
    assert "look down" in shown[4]
    assert "look left" not in shown[4]


class Notes:
    """A memory held in a list."""

    def __init__(self) -> None:
        self.kept: list[Correction] = []
        self.settled: list[tuple[str, bool]] = []

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        assert task.hidden == {}
        return self.kept[:limit]

    async def record(self, correction: Correction, /) -> None:
        self.kept.append(correction)

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        self.settled.append((correction_id, helped))


def test_feedback_that_led_to_a_pass_is_remembered_and_shown_at_the_next_task() -> None:
    memory, model = Notes(), says("1", "3", "3")
    agent = reflect_and_retry(model=model, critic=sees_hidden(knows_the_answer), memory=memory)
    run(agent)
    assert [each.text for each in memory.kept] == ["1 is not it."]
    run(agent)
    assert "1 is not it." in model.requests[2][-1]["content"]
    assert memory.settled == [(memory.kept[0].id, True)]


def test_feedback_that_led_nowhere_is_not_remembered() -> None:
    memory = Notes()
    run(reflect_and_retry(model=says("1", "2", "1"), critic=sees_hidden(knows_the_answer), memory=memory))
    assert memory.kept == []


@pytest.mark.parametrize("field", ["text", "key", "applies_when", "not_when"])
def test_a_correction_that_quotes_hidden_data_is_not_kept(field: str) -> None:
    memory = Notes()

    def leaky(attempts: Sequence[Attempt]) -> list[Correction]:
        return [Correction(**{"id": "x", "text": "t", field: f"the answer is {SENTINEL}"})]

    task = TASK.replace(hidden={"answer": "3", "key": SENTINEL})
    run(
        reflect_and_retry(
            model=says("1", "3"), critic=sees_hidden(knows_the_answer), memory=memory, distil=leaky
        ),
        task,
    )
    assert memory.kept == []


def test_a_scope_in_words_is_shown_and_one_that_the_memory_checks_is_not() -> None:
    memory, model = Notes(), says("1")
    memory.kept = [
        Correction(id="a", text="round up", applies_when="prices"),
        Correction(id="b", text="a few means 4", applies_when="house=acme"),
    ]
    run(reflect_and_retry(model=model, critic=third_time, memory=memory, attempts=1))
    shown = model.requests[0][-1]["content"]
    assert "- round up (when prices)\n- a few means 4\n" in shown


def test_a_memory_that_breaks_is_not_silently_done_without() -> None:
    class Broken(Notes):
        async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
            raise OSError("disk gone")

    with pytest.raises(BadInput, match="disk gone"):
        run(reflect_and_retry(model=says("1"), critic=third_time, memory=Broken()))
