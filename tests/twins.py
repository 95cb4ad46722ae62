"""Small stand-ins that several tests use: an environment of doors, critics, a grader."""

from __future__ import annotations

import asyncio
from typing import Any

from agentloop import Attempt, Fact, Feedback, ScriptedModel, Step, Task

SENTINEL = "XYZZY-SENTINEL-7741"
TASK = Task(id="t", prompt="Which door?", hidden={"answer": "3"})


def run(agent: Any, task: Task = TASK) -> dict[str, Any]:
    return asyncio.run(agent.ainvoke({"task": task}))


def says(*texts: str) -> ScriptedModel:
    return ScriptedModel(list(texts))


class Doors:
    """An environment: the agent opens doors by number until it says stop; door 3 has the prize."""

    opened = 0

    def __init__(self, task: Task) -> None:
        self.task = task
        self.found = False

    def prompt(self) -> str:
        return f"{self.task.prompt} (doors 1 to 3)"

    def step(self, action: str) -> Step:
        type(self).opened += 1
        self.found = self.found or action == "3"
        return Step(
            action=action,
            observation=f"door {action}: {'prize' if self.found else 'empty'}",
            done=action == "stop",
        )

    def final(self) -> list[Fact]:
        return [Fact(kind="end", data={"found": self.found, "answer": SENTINEL}, hidden=True)]

    def close(self) -> None:
        pass


def knows_the_answer(attempt: Attempt) -> Feedback:
    """A critic for tasks whose hidden data names the answer."""
    if attempt.text == attempt.task.hidden["answer"]:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text=f"{attempt.text} is not it.", verdict="fail", score=0.0)


def third_time(attempt: Attempt) -> Feedback:
    """A critic that lets the third attempt pass."""
    if attempt.number >= 3:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text=f"Wrong {attempt.number}.", verdict="fail")


def found_the_prize(attempt: Attempt) -> float:
    """A grader for Doors: the end state decides."""
    return float(any(fact.data.get("found") for fact in attempt.facts))
