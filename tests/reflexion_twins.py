"""Scripted policies for Reflexion's trials, and small pages to look things up in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from agentloop import ScriptedModel, Task
from agentloop.environments import PagesEnvironment
from agentloop.types import Step
from tests.code_twins import shown

PLAN, THINK, ACT, NOTE = "plan", "think", "act", "note"

Policy = Callable[[int, int], str]
"""The action of a trial at a step, both counted from 1."""


class Ladder:
    """An environment of rungs: done when ``up`` was said often enough; ``slip`` does nothing."""

    def __init__(self, task: Task) -> None:
        self.task, self.rungs = task, 0
        self.given: list[str] = []

    def prompt(self) -> str:
        return f"{self.task.prompt} You stand at the foot of a ladder."

    def step(self, action: str) -> Step:
        self.given.append(action)
        self.rungs += action.startswith("up")
        wanted = int(self.task.public.get("rungs", 2))
        return Step(action=action, observation=f"You are on rung {self.rungs}.", done=self.rungs >= wanted)

    def close(self) -> None:
        type(self).last = self.given

    last: Sequence[str] = ()


CLIMB = Task(id="climb", prompt="Climb.")


class Trials:
    """Acts as ``policy`` says, by trial and step, and writes numbered plans."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.trial, self.step, self.plans = policy, 1, 0, 0
        self.model = ScriptedModel(self.say)

    def say(self, messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        if "Your new plan:" in shown(messages):
            self.plans, self.trial, self.step = self.plans + 1, self.trial + 1, 0
            return f"plan {self.plans}"
        self.step += 1
        return self.policy(self.trial, self.step)

    def kinds(self) -> list[str]:
        return [PLAN if "Your new plan:" in shown(each) else ACT for each in self.model.requests]


PAGES = {
    "Milan": "Milan is a city in Italy. It lies in Lombardy. The mayor of Milan is Ada Rossi.",
    "Ada Rossi": "Ada Rossi is a politician. Ada Rossi was born in Turin. She studied law.",
    "Turin": "Turin is a city on the river Po.",
}
QUESTION = Task(
    id="mayor", prompt="Where was the mayor of Milan born?", hidden={"answer": "the Turin Sentinel."}
)
PAGED = PagesEnvironment(PAGES)


def reads(*trials: Sequence[str]) -> ScriptedModel:
    """Takes the actions of each trial in order, the last trial's again after that; notes are numbered."""
    state = {"trial": 0, "notes": 0}

    def say(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        if text.endswith("Reflection:"):
            state["notes"] += 1
            return f"lesson {state['notes']}"
        number = int(re.findall(r"(\d+):$", text)[0])
        if not re.search(r"Action \d+:$", text):
            if number == 1:
                state["trial"] += 1
            return f"I think, {number}."
        actions = trials[min(state["trial"], len(trials)) - 1]
        return actions[min(number, len(actions)) - 1]

    return ScriptedModel(say)


def kinds(model: ScriptedModel) -> list[str]:
    """What each request was for."""
    ends = {"Reflection:": NOTE}
    return [
        ends.get(text.rsplit("\n", 1)[-1], ACT if re.search(r"Action \d+:$", text) else THINK)
        for text in map(shown, model.requests)
    ]
