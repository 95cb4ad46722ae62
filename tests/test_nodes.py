"""What the nodes act and reflect offer to recipes: sampling, another text, an answer not asked for."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentloop import (
    Attempt,
    Prompts,
    Reply,
    RunContext,
    ScriptedModel,
    Step,
    Task,
    improve,
    reflect_and_retry,
)
from agentloop.acting import Act
from agentloop.nodes import Reflect
from agentloop.types import Feedback
from tests.twins import TASK, third_time


class _Runtime:
    context = None


async def node(made: Any, **state: Any) -> Any:
    return await made({"task": TASK, **state}, _Runtime())


def heard() -> tuple[ScriptedModel, list[dict[str, Any]]]:
    asked: list[dict[str, Any]] = []

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        asked.append(sampling)
        return "said"

    return ScriptedModel(script), asked


class Plain:
    """A model whose ``complete`` is not decorated."""

    name = "plain"

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def complete(self, messages: Sequence[Any], /, **sampling: Any) -> Sequence[Reply]:
        self.asked.append(sampling)
        return [Reply(text="said")]


def failed() -> Attempt:
    told = Feedback(text="no", verdict="fail")
    return Attempt(id="t/1", trajectory="t", task=TASK, number=1, text="x", feedback=told)


async def _both(model: Any) -> None:
    await node(Act(model, sampling={"temperature": 0.3}))
    await node(Reflect(model, sampling={"temperature": 0.4}), attempt=failed())


def test_a_node_asks_with_the_sampling_it_was_given() -> None:
    model, asked = heard()
    asyncio.run(_both(model))
    plain = Plain()
    asyncio.run(_both(plain))
    assert [each["temperature"] for each in asked] == [0.3, 0.4]
    assert [each["temperature"] for each in plain.asked] == [0.3, 0.4]


def test_reflecting_shows_the_text_it_was_given() -> None:
    model, _ = heard()
    prompts = Prompts({"mine": "Why {feedback}?"})
    state = asyncio.run(node(Reflect(model, prompts=prompts, text="mine"), attempt=failed()))
    assert model.requests[0][0]["content"] == "Why no?"
    assert state["attempt"].reflection.text == "said"


def test_an_answer_that_was_not_asked_for_has_no_call(tmp_path: Path) -> None:
    class Known(Act):
        async def reply(self, messages: Any, earlier: Any, run: RunContext) -> Reply:
            return Reply(text="known")

    class Takes:
        def __init__(self, task: Task) -> None:
            pass

        def prompt(self) -> str:
            return "?"

        def step(self, action: str) -> Step:
            return Step(action=action, observation="seen")

        def close(self) -> None:
            pass

    model, asked = heard()
    attempt = asyncio.run(node(Known(model, Takes)))["attempt"]
    assert (attempt.text, attempt.calls, attempt.steps[0].call, asked) == ("known", (), None, [])


def test_a_function_that_reflects_may_ask_a_model_and_the_run_can_be_cut_anywhere(tmp_path: Path) -> None:
    def go(folder: Path) -> tuple[ScriptedModel, list[Any]]:
        model = ScriptedModel(lambda messages, sampling: f"note {sampling['seed']}")

        async def reflects(attempt: Attempt) -> str:
            return (await model.complete([{"role": "user", "content": attempt.text}]))[0].text

        actor = ScriptedModel(lambda messages, sampling: f"answer {len(messages)}")
        agent = reflect_and_retry(model=actor, critic=third_time, reflect=reflects)
        return model, [each.to_json() for each in improve(agent, [TASK], folder=folder).trajectories()]

    model, wanted = go(tmp_path / "whole")
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again, trajectories = go(folder)
        assert trajectories == wanted
        stored = sum(b'/reflect/1","kind":"call"' in line for line in lines[:cut])
        assert again.calls == model.calls - stored == 2 - stored
