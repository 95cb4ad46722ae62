"""RAFT: of the first answers to a task, the best one by reward.

RAFT: Reward rAnked FineTuning for Generative Foundation Model Alignment, arXiv 2304.06767. Of the K
first answers y_1..y_K of a group, sampled under the first prompt x0,

    y* = y_argmax R(y_k),   L = -log pi(y* | x0),

the first of them where several are equally good. So each group gives one row at most, and equal
answers are never two. Departure: the best of K has to have a reward above ``ABOVE``; without that a
task on which every answer failed would teach one of the failures. K is the group's size, and each
iteration samples anew, which is the trainer's.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group, Try
from agentloop.export.methods.answers import as_messages, as_tokens, first_answers
from agentloop.export.methods.method import CALLS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts

ABOVE = 0.0
"""The reward that the best answer must exceed."""


def rows(group: Group, _: Prompts) -> Iterator[SftRow | LeftOut]:
    """The best first answer as messages."""
    yield from as_messages(group, best(group), method="raft")


def token_rows(group: Group, _: Prompts) -> Iterator[SftTokensRow | LeftOut]:
    """The best first answer as the token ids that were sampled."""
    yield from as_tokens(group, best(group), method="raft")


def best(group: Group, *, above: float = ABOVE) -> Iterator[Try | LeftOut]:
    """The best of the first answers; with ``above`` of minus infinity whatever its reward is."""
    kept = max(first_answers(group), key=lambda each: each.score, default=None)
    if kept is not None and kept.score > above:
        yield kept
    elif kept is not None:
        yield LeftOut(f"no first answer of its group has a reward above {above:g}", group.id)


METHOD = Method(
    name="raft",
    about="supervised fine-tuning on the best of the first answers to each task",
    source="RAFT, arXiv 2304.06767",
    nothing="a first answer with a reward above 0",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE),
    token_rows=token_rows,
    token_kinds=(SftTokensRow,),
    token_needs=(TOKEN_IDS,),
    attempts=1,
)
