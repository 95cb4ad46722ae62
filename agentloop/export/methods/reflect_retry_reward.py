"""Reflect, Retry, Reward: only the reflection is trained, and paid if the retry after it passed.

Reflect, Retry, Reward: Self-Improving LLMs via Reinforcement Learning, arXiv 2505.24726. The published
sequence holds task, failed answer, reflection and retry, with everything but the reflection masked. Here
the prompt is that of the call in which the agent reflected, and the completion is the reflection alone,
which trains the same tokens: those of the retry carry no gradient although they decide the reward,
1 if the retry passed and 0 otherwise.

A group is the reflections on the very same failed attempt: those sampled from the same prompt ids, also
in several trajectories. A reflection without another to be compared with is left out, as is one on
which no retry followed. The advantage is GRPO's, ``(R - mean(R)) / (std(R) + 1e-4)``. A first answer that
passed makes no row, as published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentloop.export.groups import LEAKED, Group, Member, Try, Turn, tells_hidden
from agentloop.export.methods.grpo import weigh
from agentloop.export.methods.method import CALLS, SCORE, Method, Need, no_logprobs, no_token_ids
from agentloop.export.methods.words import said_and_seen
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.prompts import Prompts

ALONE = "no other reflection on the same failed attempt"
NO_RETRY = "no usable attempt after its reflection"
SECRET = "a secret was taken out of the call in which it reflected"


class Reflected(NamedTuple):
    """A failed attempt, the reflection on it, and the attempt after that."""

    failed: Try
    turn: Turn
    retry: Try


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for each failed attempt with several reflections."""
    found = [_reflected(group, member, each) for member in group.members for each in member.tries]
    yield from (each for each in found if isinstance(each, LeftOut))
    same: dict[tuple[int, ...], list[Reflected]] = {}
    for each in (each for each in found if isinstance(each, Reflected)):
        same.setdefault(each.turn.prompt_ids, []).append(each)
    for number, reflections in enumerate(same.values(), start=1):
        if len(reflections) == 1:
            yield LeftOut(ALONE, reflections[0].failed.attempt.id)
        else:
            yield _row(group, reflections, f"{group.id}#reflections-{number}")


def reflection_turn(each: Try) -> Turn | None:
    """The call in which the agent reflected on the attempt, with the reply that was used."""
    reflection = each.attempt.reflection
    if reflection is None or reflection.call is None:
        return None
    calls = [call for call in each.trajectory.calls if call.place == reflection.call]
    replies = [
        Turn(call, reply)
        for call in calls
        for reply in call.replies
        if call.role == "reflector" and reply.text.strip() == reflection.text.strip()
    ]
    return replies[0] if len(replies) == 1 else None


def _reflected(group: Group, member: Member, failed: Try) -> Reflected | LeftOut | None:
    turn = reflection_turn(failed)
    if turn is None or not failed.failed:
        return None
    if turn.call.redacted:
        return LeftOut(SECRET, failed.attempt.id)
    shown = "\n".join(message["content"] for message in turn.call.messages)
    if tells_hidden(shown, group.task, said=said_and_seen(failed)):
        return LeftOut(LEAKED, failed.attempt.id)
    retry = member.attempt(failed.number + 1)
    if retry is None or not retry.retries:
        return LeftOut(NO_RETRY, failed.attempt.id)
    return Reflected(failed, turn, retry)


def _row(group: Group, reflections: list[Reflected], name: str) -> GroupRow:
    turns = [each.turn for each in reflections]
    tries = [each for reflected in reflections for each in (reflected.failed, reflected.retry)]
    meta = group.meta("reflect-retry-reward", tries, context="request for a reflection", role="reflection")
    return GroupRow(
        group_id=name,
        prompt_ids=turns[0].prompt_ids,
        samples=tuple(map(_sample, reflections)),
        meta=meta.replace(
            group_id=name,
            models=tuple(dict.fromkeys(turn.call.model for turn in turns)),
            policies=tuple(dict.fromkeys(turn.policy for turn in turns)),
        ),
    )


def _sample(reflected: Reflected) -> Sample:
    reply, attempt = reflected.turn.reply, reflected.failed.attempt
    ids = reply.token_ids or ()
    return Sample(
        ids=ids,
        lp=reply.logprobs,
        reward=float(reflected.retry.passed),
        segment_mask=(1,) * len(ids),
        truncated=reply.finish_reason == "length",
        policy_version=reflected.turn.policy,
        # A trajectory may hold two reflections on the same words, which are two members.
        member=attempt.id,
        attempt=attempt.id,
    )


def _no_reflection(each: Try) -> bool:
    retried = any(attempt.number == each.number + 1 for attempt in each.trajectory.attempts)
    if not each.failed or not retried:
        return False
    turn = reflection_turn(each)
    return turn is None or no_token_ids([turn]) or no_logprobs([turn])


REFLECTION = Need(
    "attempts[].reflection.call of role reflector, with token ids and log-probs",
    "reflect_and_retry(reflect=...) with local/PATH or local/tiny",
    _no_reflection,
)

METHOD = Method(
    name="reflect-retry-reward",
    about="policy gradient on reflections alone, each paid if the retry after it passed",
    source="arXiv 2505.24726",
    nothing="a failed attempt with several reflections, not all of whose retries ended alike",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, REFLECTION),
    weigh=weigh,
)
