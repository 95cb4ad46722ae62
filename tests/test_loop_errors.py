"""What went wrong in a run is told by it, and read back from its journal."""

from pathlib import Path

import pytest
from langgraph.graph import START, StateGraph

from agentloop import Attempt, Feedback, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.context import RunContext
from agentloop.state import State

TASKS = [Task(id=f"t{i}", prompt=f"Task {i}") for i in range(3)]


def model() -> ScriptedModel:
    return ScriptedModel(lambda messages, sampling: f"answer {len(messages)}")


def broken(attempt: Attempt) -> Feedback:
    """A critic that never gets an answer out."""
    raise ValueError("the judge's file was not found")


def wrong(attempt: Attempt) -> Feedback:
    """A critic that is never content."""
    return Feedback(text="No.", verdict="fail")


class Mute:
    """A critic that breaks the first time, and works afterwards."""

    def __init__(self) -> None:
        self.broken = True

    def __call__(self, attempt: Attempt) -> Feedback:
        """A verdict, or an error."""
        if self.broken:
            raise ValueError("not yet")
        return Feedback(text="Good.", verdict="pass")


def no_thought(attempt: Attempt) -> str:
    """A reflector that breaks."""
    raise RuntimeError("no thought came")


def full(state: State) -> State:
    """A node of one's own that breaks."""
    raise OSError("the disk is full")


def test_a_critics_error_is_read_back_from_the_journal_and_the_summary_says_why(tmp_path: Path) -> None:
    run = improve(reflect_and_retry(model=model(), critic=broken), TASKS, folder=tmp_path / "r")
    attempts = [attempt for each in run.trajectories() for attempt in each.attempts]
    assert [each.error for each in attempts] == ["critic: ValueError: the judge's file was not found"] * 3
    said = run.summary()
    assert "errors: 3 critic; the first: critic: ValueError: the judge's file was not found" in said


def test_an_error_that_was_made_good_on_resuming_is_not_read_back(tmp_path: Path) -> None:
    critic = Mute()
    agent = reflect_and_retry(model=model(), critic=critic)
    assert improve(agent, TASKS, folder=tmp_path / "r").figures.errors == {"critic": 3}
    critic.broken = False
    run = improve(agent, TASKS, folder=tmp_path / "r")
    assert [attempt.error for each in run.trajectories() for attempt in each.attempts] == [None] * 3
    assert not run.figures.errors


def test_an_error_outside_every_attempt_belongs_to_the_trajectory(tmp_path: Path) -> None:
    graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("full", full)
    graph.add_edge(START, "full")
    run = improve(graph.compile(), TASKS, folder=tmp_path / "r")
    told = [each.error or "" for each in run.trajectories()]
    assert all("the disk is full" in each for each in told)
    assert "the disk is full" in run.summary()


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_error_of_a_reflector_does_not_count_against_the_attempt(tmp_path: Path, attempts: int) -> None:
    agent = reflect_and_retry(model=model(), critic=wrong, reflect=no_thought, attempts=attempts)
    run = improve(agent, TASKS[:1], folder=tmp_path / "r")
    (trajectory,) = run.trajectories()
    assert [each.error for each in trajectory.attempts] == [None] * attempts
