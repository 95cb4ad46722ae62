"""The published runs of Reflexion in households, played through the recipe."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Prompts, ScriptedModel, Step, Task, improve
from agentloop.memories import EpisodicMemory
from agentloop.memories.episodic import reflection
from agentloop.recipes import (
    episode_is_done,
    reflexion_acting_agent,
    solved_by_trial,
)
from agentloop.recipes.reflexion_trials import numbered
from tests.code_twins import shown
from tests.reflexion_twins import Ladder


def agent(model: Any, **options: Any) -> Any:
    if "critic" not in options:
        options.setdefault("oracle", episode_is_done)
    return reflexion_acting_agent(model=model, **{"environment": Ladder, **options})


SOLVED = [41, 50, 55, 57, 59, 60, 64, 65, 65, 65, 65, 65, 66, 66, 67]
"""Of 67 published environments, by trial; stated with the data."""


class Published:
    """The published run again: in each trial an environment is solved when the log says so."""

    def __init__(self, folder: Path) -> None:
        files = sorted((folder / "runlogs-alfworld").glob("reflexion-trial-*.jsonl"))
        rows = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
        self.trials = [{row["name"]: row for row in trial} for trial in rows]
        self.opened, self.planned = Counter[str](), Counter[str]()
        self.model = ScriptedModel(self.say)
        self.tasks = [Task(id=name, prompt=f"Do {name}.") for name in self.trials[0]]

    def __call__(self, task: Task) -> Any:
        self.opened[task.id] += 1
        row = self.trials[self.opened[task.id] - 1][task.id]

        class Room:
            def prompt(self) -> str:
                return task.prompt

            def step(self, action: str) -> Step:
                return Step(action=action, observation="Nothing happens.", done=bool(row["is_success"]))

            def close(self) -> None:
                pass

        return Room()

    def say(self, messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        if "Your new plan:" not in text:
            return "go to desk 1"
        (name,) = re.findall(r"^Do (\w+)\.$", text, flags=re.MULTILINE)
        self.planned[name] += 1
        return str(self.trials[-1][name]["memory"][self.planned[name] - 1])


@pytest.mark.data
@pytest.mark.parametrize("keeps", [False, True], ids=["in the trajectory", "in a memory"])
def test_the_published_runs_come_out_as_logged(data: Path, tmp_path: Path, keeps: bool) -> None:
    published = Published(data)
    memory = EpisodicMemory(3) if keeps else None
    made = agent(published.model, environment=published, attempts=15, memory=memory)
    done = list(improve(made, published.tasks, folder=tmp_path / "r").trajectories())
    assert (
        solved_by_trial(done, 15)
        == SOLVED
        == [sum(row["is_success"] for row in trial.values()) for trial in published.trials]
    )
    for each in done:
        for attempt in each.attempts:
            logged = published.trials[attempt.number - 1][each.task.id]
            so_far = [one.reflection.text for one in each.attempts[: attempt.number] if one.reflection]
            assert so_far == [text.strip() for text in logged["memory"]]
            known = so_far[: attempt.number - 1][-3:]
            first = each.call(attempt.calls[0]).messages[-1]["content"]
            assert first.count("\nTrial ") == len(known) == min(3, attempt.number - 1)
            assert not known or Prompts().render("reflexion_acting_plans", plans=numbered(known)) in first
    assert published.opened == Counter({each.task.id: len(each.attempts) for each in done})


async def _recalled(memory: EpisodicMemory, task: Task) -> list[str]:
    return [each.text for each in await memory.recall(task)]


@pytest.mark.data
def test_the_published_memories_are_recalled_as_their_prompts_showed_them(data: Path) -> None:
    published, memory = Published(data), EpisodicMemory(3)

    async def replay() -> None:
        for number, trial in enumerate(published.trials, start=1):
            for name, row in trial.items():
                task = Task(id=name, prompt=name)
                before = published.trials[number - 2][name]["memory"] if number > 1 else []
                assert await _recalled(memory, task) == before[-3:][::-1]
                if len(row["memory"]) > len(before):
                    text = row["memory"][-1]
                    await memory.record(reflection(name, text, trajectory=name, attempt=number))

    asyncio.run(replay())
    assert sum(len(row["memory"]) for row in published.trials[-1].values()) == 95
