"""DPO: pairs of a right and a wrong answer to the same prompt, for it and its relatives.

Direct Preference Optimization: Your Language Model is Secretly a Reward Model, arXiv 2305.18290.
Chosen is an answer that passed, rejected one that failed, both under the first prompt ``x0``; the two
may be attempts of one trajectory (before and after feedback) or of two samples of the task. Equal
texts count once; a text that both passed and failed tells nothing and is in no pair. At most
``PAIRS`` pairs are made of one group: those within a trajectory first, since they differ by what the
feedback changed; then so that each answer is used before any is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods.method import CALLS, SCORE, Method
from agentloop.export.rows import LeftOut, PreferenceRow
from agentloop.prompts import Prompts
from agentloop.types import Message

PAIRS = 8
"""Most pairs of one group: an easy task with many samples would outweigh the others."""

CONTRADICTED = "the same answer passed and failed"
STEPS = "an attempt of several steps holds observations, which a preference loss would train on"


class Answer(NamedTuple):
    """An attempt and what it answered."""

    each: Try
    text: str
    messages: tuple[Message, ...]


def rows(group: Group, _: Prompts) -> Iterator[PreferenceRow | LeftOut]:
    """The pairs of the group."""
    passed, failed, left_out = judged(group)
    yield from left_out
    for chosen, rejected in pairs(passed, failed):
        yield PreferenceRow(
            prompt=group.x0,
            chosen=chosen.messages,
            rejected=rejected.messages,
            meta=group.meta("dpo", [chosen.each, rejected.each]),
        )


def judged(group: Group) -> tuple[list[Answer], list[Answer], list[LeftOut]]:
    """The group's different answers that passed, those that failed, and what was left out."""
    found = [answer_of(group, each) for member in group.members for each in member.tries]
    answers = [answer for answer in found if isinstance(answer, Answer)]
    left_out = [answer for answer in found if isinstance(answer, LeftOut)]
    passed = distinct([answer for answer in answers if answer.each.passed])
    failed = distinct([answer for answer in answers if answer.each.failed])
    for text in [text for text in passed if text in failed]:
        left_out.append(LeftOut(CONTRADICTED, passed.pop(text).each.attempt.id))
        del failed[text]
    return list(passed.values()), list(failed.values()), left_out


def pairs(passed: list[Answer], failed: list[Answer], most: int = PAIRS) -> list[tuple[Answer, Answer]]:
    """At most ``most`` pairs, within a trajectory first, then so that every answer is used evenly."""
    ranked = sorted(
        (chosen.each.trajectory.id != rejected.each.trajectory.id, (j - i) % len(failed), i, j)
        for i, chosen in enumerate(passed)
        for j, rejected in enumerate(failed)
    )
    return [(passed[i], failed[j]) for _, _, i, j in ranked[:most]]


def answer_of(group: Group, each: Try) -> Answer | LeftOut:
    """The attempt as one answer under ``x0``, or why it is none."""
    if len(each.turns) != 1:
        return LeftOut(STEPS, each.attempt.id)
    pieces = group.messages_under_x0(each)
    if pieces is None:
        return LeftOut(NOT_MOVABLE, each.attempt.id)
    return Answer(each, each.turns[0].reply.text.strip(), pieces[0].items)


def distinct(answers: Sequence[Answer]) -> dict[str, Answer]:
    """The first of each text."""
    first: dict[str, Answer] = {}
    for answer in answers:
        first.setdefault(answer.text, answer)
    return first


METHOD = Method(
    name="dpo",
    about="pairs of an answer that passed and one that failed, under the same first prompt",
    source="DPO, arXiv 2305.18290",
    nothing="a task with both an answer that passed and one that failed",
    kinds=(PreferenceRow,),
    rows=rows,
    needs=(CALLS, SCORE),
)
