"""What a scripted policy reads out of a conversation about web pages: the goal, the page, its own actions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agentloop.types import Message

_FEEDBACK = re.compile(r"<feedback>(.*?)</feedback>", re.DOTALL)
_OBSERVATION = re.compile(r"<observation>\n?(.*?)\n?</observation>", re.DOTALL)
_NOTES = re.compile(r"\A.*?</corrections>\s*", re.DOTALL)
_FENCED = re.compile(r"```\w*\n?(.*?)\n?```", re.DOTALL)


class Situation(NamedTuple):
    """Where a policy stands in its attempt."""

    goal: str
    observation: str
    """The page as it was last seen."""
    first: str
    """The page as it was at the beginning."""
    done: tuple[str, ...]
    """Its actions in this attempt."""
    replies: tuple[str, ...]
    """Its replies in this attempt, whole."""
    before: tuple[str, ...]
    """Its replies in the attempt before, whole; empty in a first attempt."""
    seen: tuple[str, ...]
    """The pages that the attempt before saw after each of its actions."""
    feedback: str
    """What was said of the attempt before."""


def situation(messages: Sequence[Message]) -> Situation:
    """Read a conversation as the act node has it: the task, then attempts, each with the words on it."""
    said = [message for message in messages if message["role"] != "system"]
    task = said[0]["content"] if said else ""
    goal = _NOTES.sub("", task.partition("<observation>")[0]).strip()
    last = max((place for place, each in enumerate(said) if _FEEDBACK.search(each["content"])), default=0)
    now, before = said[last + 1 :], said[1:last]
    first = _observed(task)
    shown = [_observed(each["content"]) for each in now if each["role"] == "user"]
    replies = tuple(each["content"] for each in now if each["role"] == "assistant")
    told = _FEEDBACK.search(said[last]["content"]) if last else None
    return Situation(
        goal=goal,
        observation=shown[-1] if shown else first,
        first=first,
        done=tuple(action_in(each) for each in replies),
        replies=replies,
        before=tuple(each["content"] for each in before if each["role"] == "assistant"),
        seen=tuple(_observed(each["content"]) for each in said[1 : last + 1] if each["role"] == "user"),
        feedback=told[1].strip() if told else "",
    )


def action_in(reply: str) -> str:
    """The action of a reply of ours: what it has in a fenced block, or else all of it."""
    fenced = _FENCED.search(reply)
    return (fenced[1] if fenced else reply).strip()


def _observed(text: str) -> str:
    found = _OBSERVATION.search(text)
    return found[1] if found else ""
