"""Cuts a run off after every line of its journal and takes it up again, for environments of all kinds."""

from pathlib import Path
from typing import Any

from agentloop import Attempt, Feedback, improve, reflect_and_retry
from agentloop.models import ScriptedModel
from agentloop.types import Environment, Grader, Task


def check_resumed(
    environment: Environment, task: Task, actions: list[str], *, grader: Grader, folder: Path
) -> list[Attempt]:
    """The attempts of the whole run, after each cut has been seen to end in the same ones."""

    def say(messages: Any, sampling: Any) -> str:
        return actions[sum(message["role"] == "assistant" for message in messages)]

    agent = reflect_and_retry(
        model=ScriptedModel(say), environment=environment, critic=silent, attempts=1, max_steps=len(actions)
    )
    whole = improve(agent, [task], folder=folder / "whole", grader=grader)
    lines = (folder / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    wanted = [told(each) for trajectory in whole.trajectories() for each in trajectory.attempts]
    for cut in range(1, len(lines)):
        place = folder / f"cut {cut}"
        place.mkdir()
        (place / "settings.json").write_bytes((folder / "whole" / "settings.json").read_bytes())
        (place / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again = improve(agent, [task], folder=place, grader=grader)
        assert [told(each) for trajectory in again.trajectories() for each in trajectory.attempts] == wanted
    return [each for trajectory in whole.trajectories() for each in trajectory.attempts]


def silent(attempt: Attempt) -> Feedback:
    """A critic that says nothing."""
    return Feedback(text="")


def told(attempt: Attempt) -> Any:
    """What of an attempt has to be the same: all but times."""
    steps = [(step.action, step.observation, step.facts, step.reward, step.done) for step in attempt.steps]
    return steps, attempt.facts, attempt.error, attempt.score, attempt.passed
