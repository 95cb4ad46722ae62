"""Supervised fine-tuning on right answers, under the prompt without feedback.

Of each trajectory the attempt that passed is taken (the chosen one, or else the first that passed)
and put under the trajectory's first prompt, ``x0``, also when it was sampled after feedback: the
weights learn to be right at once. This is the filtered self-training of STaR (arXiv 2203.14465),
ReST-EM (2312.06585) and RAFT (2304.06767), and the ILF row (2303.16755) when feedback came between.
Every turn of the attempt is trained; what the environment said in between is not. Equal answers of a
group are all kept: they tell how often the policy was right in that way.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group, Member, Try
from agentloop.export.methods.answers import as_messages, as_tokens
from agentloop.export.methods.method import CALLS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts


def rows(group: Group, _: Prompts) -> Iterator[SftRow | LeftOut]:
    """The right answers as messages."""
    yield from as_messages(group, right_answers(group), method="sft")


def token_rows(group: Group, _: Prompts) -> Iterator[SftTokensRow | LeftOut]:
    """The right answers as the token ids that were sampled."""
    yield from as_tokens(group, right_answers(group), method="sft")


def right_answers(group: Group) -> Iterator[Try]:
    """One attempt that passed of each member that has one."""
    for member in group.members:
        each = _right_answer(member)
        if each is not None:
            yield each


def _right_answer(member: Member) -> Try | None:
    passed = [each for each in member.tries if each.passed]
    chosen = (each for each in passed if each.number == member.trajectory.chosen)
    return next(chosen, passed[0] if passed else None)


METHOD = Method(
    name="sft",
    about="supervised fine-tuning on answers that passed, under the prompt without feedback",
    source="filtered self-training: STaR, ReST-EM, RAFT",
    nothing="an attempt that passed",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE),
    token_rows=token_rows,
    token_kinds=(SftTokensRow,),
    token_needs=(TOKEN_IDS,),
)
