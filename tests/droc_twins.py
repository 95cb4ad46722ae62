"""Stand-ins for tests of DROC: a model that answers some prompts otherwise, a person who knows one wish."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentloop import Feedback, Run, ScriptedModel, Task, improve
from agentloop.environments.tabletop import TabletopEnvironment, tabletop_passes
from agentloop.memories import ColourEmbedder, KnowledgeMemory, PatternEmbedder
from agentloop.models.tabletop import tabletop_robot
from agentloop.people.tabletop import TabletopPerson
from agentloop.recipes import droc_agent
from agentloop.watching import Moment

PARTS = re.compile(r"<([a-z_]+)>\n(.*?)\n?</\1>", re.DOTALL)
KINDS = {
    "route": {"step", "correction"},
    "depends": {"step", "history", "correction"},
    "correct": {"step", "object", "history", "correction"},
    "plan": {"task", "scene", "constraints", "notes"},
    "choose": {"task", "constraints"},
    "same": {"step", "steps"},
    "code": {"step", "object", "knowledge", "notes"},
    "replan": {"task", "plan", "step", "state", "examples", "correction"},
    "state": {"state", "finished"},
    "names": {"step", "code"},
    "values": {"step", "names", "history"},
}


def parts(messages: Sequence[Any]) -> dict[str, str]:
    """The fenced parts of a request."""
    return dict(PARTS.findall(messages[-1]["content"]))


def kind(messages: Sequence[Any]) -> str:
    """Which text of DROC a request was made with."""
    names = set(parts(messages))
    return next(name for name, wanted in KINDS.items() if wanted == names)


def asked(model: ScriptedModel, name: str) -> list[dict[str, str]]:
    """The parts of every request of one kind."""
    return [parts(messages) for messages in model.requests if kind(messages) == name]


def robot(**answers: str | Callable[[Mapping[str, str]], str]) -> ScriptedModel:
    """The scripted robot, which answers the kinds of prompts named here in another way."""
    inner = tabletop_robot()

    async def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        answer = answers.get(kind(messages))
        if answer is None:
            return (await inner.complete(messages))[0].text
        return answer if isinstance(answer, str) else answer(parts(messages))

    return ScriptedModel(script, name="robot")


def memory(folder: Path, **settings: Any) -> KnowledgeMemory:
    """A memory with both embedders."""
    return KnowledgeMemory(folder, **{"looks": PatternEmbedder(), "words": ColourEmbedder(), **settings})


def carried_out(tasks: Sequence[Task], folder: Path, **settings: Any) -> Run:
    """The tasks one after the other through an agent of the table-top; ``settings`` change its parts."""
    settings = {
        "model": tabletop_robot(),
        "environment": TabletopEnvironment(),
        "person": TabletopPerson(phrasings="known"),
        **settings,
    }
    return improve(droc_agent(**settings), tasks, folder=folder, grader=tabletop_passes, concurrency=1)


def silent(moment: Moment) -> None:
    """A person who never objects."""
    return


def once(text: str, *, at: int = 0) -> Callable[[Moment], Feedback | None]:
    """A person who says one thing, at the first action of a step, and then nothing."""

    def person(moment: Moment) -> Feedback | None:
        said = moment.corrections == 0 and moment.at == at
        return Feedback(text=text, verdict="fail") if said else None

    return person
