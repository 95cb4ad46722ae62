"""RLTF-FM: the two-turn rows of RLTF, and rows that train the policy to foretell the feedback.

Expanding the Capabilities of Reinforcement Learning via Text Feedback, arXiv 2602.02482. For every
failed first attempt that was told why, one more row: a single user message with the question, the
attempt and a request for a critique (texts/feedback_modelling.md), answered by the feedback, word for
word as the second attempt's prompt showed it; only the feedback is trained, with weight 0.1. The
released code cuts this row out of a decoded prompt, leftovers included; here it is built from the log.
Feedback was not sampled by the policy, so in format tokens these rows need the checkpoint's tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group, Try
from agentloop.export.methods.answers import flagged
from agentloop.export.methods.method import CALLS, FEEDBACK, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.methods.rltf_sd import two_turns, weigh
from agentloop.export.methods.words import question, retold
from agentloop.export.rows import GroupRow, LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Message

WEIGHT = 0.1
"""Weight of the feedback-modelling loss (released configuration: sft_loss_weight)."""

NOT_SHOWN = "its feedback does not stand word for word in the next attempt's prompt"


def rows(group: Group, prompts: Prompts) -> Iterator[GroupRow | SftRow | LeftOut]:
    """The group row of both turns, then one row for each feedback that was shown."""
    yield from two_turns(group, method="rltf-fm", distil=False)
    yield from feedback_rows(group, prompts, method="rltf-fm")


def feedback_rows(group: Group, prompts: Prompts, *, method: str) -> Iterator[SftRow | LeftOut]:
    """One row for each failed first attempt whose feedback was shown to the second."""
    for member in group.members:
        first, second = member.attempt(1), member.attempt(2)
        if first is not None and second is not None and not first.passed:
            yield _feedback_row(group, prompts, first, second, method=method)


def _feedback_row(
    group: Group, prompts: Prompts, first: Try, second: Try, *, method: str
) -> SftRow | LeftOut:
    feedback = second.told.text.strip() if second.told else ""
    shown = "\n".join(message["content"] for message in second.turns[0].call.messages)
    if not feedback or feedback not in shown:
        return LeftOut(NOT_SHOWN, first.attempt.id)
    asked = prompts.render("feedback_modelling", task=question(group), attempt=retold(first))
    request: Message = {"role": "user", "content": asked}
    answer: Message = {"role": "assistant", "content": feedback}
    meta = group.meta(method, [first], context="request for a critique", role="feedback")
    told = second.told is not None and second.told.privileged
    return SftRow(
        messages=(flagged(request, loss=False), flagged(answer, loss=True)),
        weight=WEIGHT,
        meta=meta.replace(privileged=meta.privileged or told),
    )


METHOD = Method(
    name="rltf-fm",
    about="reinforcement learning over two turns, and feedback modelling beside it",
    source="arXiv 2602.02482",
    nothing="first attempts, and groups in which not all did equally well",
    kinds=(GroupRow, SftRow),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
    attempts=2,
)
