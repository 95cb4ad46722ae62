"""A scripted model that plans and writes code for the table-top robot, from its prompts alone.

It knows no house: neither how a thing wants to be held nor what has to be opened first. It reads English by
patterns, which were written with the ``KNOWN`` phrasings of ``agentloop.people.tabletop_words`` in view.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.errors import BadInput
from agentloop.models.scripted import ScriptedModel
from agentloop.models.tabletop_code import FAILED, correct, names_of, values_of, write_code
from agentloop.models.tabletop_plans import make_plan, relevant, replan, state_after
from agentloop.types import Message

_FENCED = re.compile(r"<([a-z_]+)>\n(.*?)\n?</\1>", re.DOTALL)

WITHIN = re.compile(
    r"\b(cm|degrees|a bit|slipped|dropped|fell|lost it|repeat|once more|another go|try (that )?again)\b"
    r"|\b(now continue|go on with|carry on|proceed)\b"
)
"""What is said of how a step is done: a measure, that it went wrong, or to go on with it."""

Parts = Mapping[str, str]


def tabletop_robot(*, name: str = "scripted robot") -> ScriptedModel:
    """A scripted model that answers every prompt of ``droc_agent``. It keeps no state, for runs to resume."""

    def script(messages: Sequence[Message], _sampling: dict[str, Any]) -> str:
        parts = dict(_FENCED.findall(messages[-1]["content"]))
        answer = _ANSWERS.get(frozenset(parts))
        if answer is None:
            raise BadInput(
                f"{name} knows no prompt with the parts {sorted(parts)}; it is made for droc_agent"
            )
        return answer(parts)

    return ScriptedModel(script, name=name)


def is_beyond(correction: str) -> bool:
    """Whether a correction points beyond the step at hand: it says nothing of how the step is done."""
    return WITHIN.search(correction.lower()) is None


def depends_on(correction: str) -> str:
    """What a correction of a step depends on."""
    said = correction.lower()
    if re.search(r"\b(continue|go on|carry on|proceed)\b", said):
        return "initial action"
    if FAILED.search(said):
        return "task failed"
    return "nothing" if re.search(r"\b(arm|raise|height|lift|higher)\b", said) else "last action"


def same_steps(step: str, steps: str) -> list[int]:
    """The numbers of the steps that have the same first and last word as ``step``."""
    ends = _ends(step)
    listed = re.findall(r"^(\d+)\. (.*)$", steps, re.MULTILINE)
    return [int(number) for number, words in listed if _ends(words) == ends]


def _ends(step: str) -> tuple[str, str]:
    words = step.split() or [""]
    return words[0], words[-1]


_ANSWERS: dict[frozenset[str], Callable[[Parts], str]] = {
    frozenset(("task", "constraints")): lambda parts: json.dumps(
        {"relevant": relevant(parts["task"], parts["constraints"])}
    ),
    frozenset(("task", "scene", "constraints", "notes")): lambda parts: json.dumps(
        {"plan": make_plan(parts["task"], parts["constraints"], parts["notes"])}
    ),
    frozenset(("step", "steps")): lambda parts: json.dumps(
        {"same": same_steps(parts["step"], parts["steps"])}
    ),
    frozenset(("step", "object", "knowledge", "notes")): lambda parts: write_code(
        parts["step"], parts["object"], parts["knowledge"], parts["notes"]
    ),
    frozenset(("step", "correction")): lambda parts: "yes" if is_beyond(parts["correction"]) else "no",
    frozenset(("step", "history", "correction")): lambda parts: depends_on(parts["correction"]),
    frozenset(("step", "object", "history", "correction")): lambda parts: correct(
        parts["object"], parts["history"], parts["correction"]
    ),
    frozenset(("task", "plan", "step", "state", "examples", "correction")): lambda parts: json.dumps(
        replan(parts["plan"], parts["step"], parts["state"], parts["correction"])
    ),
    frozenset(("state", "finished")): lambda parts: state_after(parts["state"], parts["finished"]),
    frozenset(("step", "code")): lambda parts: json.dumps({"names": names_of(parts["code"])}),
    frozenset(("step", "names", "history")): lambda parts: json.dumps(
        values_of(parts["names"], parts["history"])
    ),
}
"""What is answered, by the fenced parts of a prompt."""
