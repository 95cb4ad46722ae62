"""Pairs of a right and a wrong answer to the same prompt, for DPO and its relatives.

Chosen is an answer that passed, rejected one that failed, both under the first prompt ``x0``; the two
may be attempts of one trajectory (before and after feedback) or of two samples of the task. Equal
texts count once; a text that both passed and failed tells nothing and is in no pair. At most
``PAIRS`` pairs are made of one group: those within a trajectory first, since they differ by what the
feedback changed; then so that each answer is used before any is used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods.method import CALLS, SCORE, Method
from agentloop.export.rows import LeftOut, PreferenceRow
from agentloop.prompts import Prompts
from agentloop.types import Message

PAIRS = 8
"""Most pairs of one group: an easy task with many samples would outweigh the others."""

STEPS = "an attempt of several steps holds observations, which a preference loss would train on"


class Answer(NamedTuple):
    """An attempt and what it answered."""

    each: Try
    text: str
    messages: tuple[Message, ...]


def rows(group: Group, _: Prompts) -> Iterator[PreferenceRow | LeftOut]:
    """The pairs of the group."""
    found = [_answer(group, each) for member in group.members for each in member.tries]
    yield from (answer for answer in found if isinstance(answer, LeftOut))
    answers = [answer for answer in found if isinstance(answer, Answer)]
    passed = _distinct([answer for answer in answers if answer.each.passed])
    failed = _distinct([answer for answer in answers if answer.each.failed])
    for text in passed.keys() & failed.keys():
        yield LeftOut("the same answer passed and failed", passed.pop(text).each.attempt.id)
        del failed[text]
    for chosen, rejected in pairs(list(passed.values()), list(failed.values())):
        yield PreferenceRow(
            prompt=group.x0,
            chosen=chosen.messages,
            rejected=rejected.messages,
            meta=group.meta("preference", [chosen.each, rejected.each]),
        )


def pairs(passed: list[Answer], failed: list[Answer], most: int = PAIRS) -> list[tuple[Answer, Answer]]:
    """At most ``most`` pairs, within a trajectory first, then so that every answer is used evenly."""
    ranked = sorted(
        (chosen.each.trajectory.id != rejected.each.trajectory.id, (j - i) % len(failed), i, j)
        for i, chosen in enumerate(passed)
        for j, rejected in enumerate(failed)
    )
    return [(passed[i], failed[j]) for _, _, i, j in ranked[:most]]


def _answer(group: Group, each: Try) -> Answer | LeftOut:
    if len(each.turns) != 1:
        return LeftOut(STEPS, each.attempt.id)
    pieces = group.messages_under_x0(each)
    if pieces is None:
        return LeftOut(NOT_MOVABLE, each.attempt.id)
    return Answer(each, each.turns[0].reply.text.strip(), pieces[0].items)


def _distinct(answers: list[Answer]) -> dict[str, Answer]:
    first: dict[str, Answer] = {}
    for answer in answers:
        first.setdefault(answer.text, answer)
    return first


METHOD = Method(
    name="preference",
    about="pairs of an answer that passed and one that failed, under the same first prompt",
    source="DPO, arXiv 2305.18290",
    nothing="a task with both an answer that passed and one that failed",
    kinds=(PreferenceRow,),
    rows=rows,
    needs=(CALLS, SCORE),
)
