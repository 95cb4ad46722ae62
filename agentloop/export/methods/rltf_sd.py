"""RLTF-SD: self-distillation of the answer after feedback into the policy without feedback.

Expanding the Capabilities of Reinforcement Learning via Text Feedback, arXiv 2602.02482. One group
row holds, for every member i, the first answer y0 under x0 (turn 0); if that failed and was told
why, the second answer y1 under the prompt with feedback x1 (turn 1, role ``rl``) and once more the
tokens of y1, as sampled, under x0 (role ``sd``). With rewards R0, R1, discount g, strength l:

    turn 0:  A_i = (R0_i + g * R1_i) - mean over the group of the same sum
    turn 1:  A_i = R1_i - mean of R1 over the members that reached turn 1
    sd:      a_i = l * (R1_i - b),  b = mean of R0 over the WHOLE group

Members that ended after a right first answer count in b and in the first mean. Nothing is divided by
a standard deviation. The published method also drops tokens of y1 whose log-probability under x0 is
below -5; only the policy being trained knows that, so the trainer applies it to rows of role ``sd``.
The episode has two turns, as published; an attempt after a first answer that passed, and any third
attempt, are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import NOT_MOVABLE, Group
from agentloop.export.methods.method import CALLS, FEEDBACK, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, mean, rewards, under_first_prompt
from agentloop.prompts import Prompts

DISCOUNT = 0.1
"""How much of the second turn's reward the first turn gets (released configuration)."""
STRENGTH = 0.1
"""Weight of the self-distillation (released configuration)."""
LOGPROB_FLOOR = -5.0
"""A trainer drops tokens of role ``sd`` whose log-probability under x0 is below this."""

AFTER_A_PASS = "it came after a first answer that had passed"
NO_FIRST = "its first attempt cannot be used"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for the group: first answers, second answers, and second answers under x0."""
    yield from two_turns(group, method="rltf-sd", distil=True)


def two_turns(group: Group, *, method: str, distil: bool) -> Iterator[GroupRow | LeftOut]:
    """The group's first and second turns, with the second ones under x0 as well if ``distil``."""
    samples: list[Sample] = []
    used = []
    for member in group.members:
        first, second = member.attempt(1), member.attempt(2)
        if first is not None:
            samples += as_sampled(group, first, turn=0)
            used.append(first)
        if second is None:
            continue
        if first is None or first.passed:
            yield LeftOut(NO_FIRST if first is None else AFTER_A_PASS, second.attempt.id)
            continue
        samples += as_sampled(group, second, turn=1)
        used.append(second)
        distilled = under_first_prompt(group, second, turn=1, role="sd") if distil else []
        if distilled is None:
            yield LeftOut(NOT_MOVABLE, second.attempt.id)
        samples += distilled or []
    if samples:
        yield GroupRow(
            group_id=group.id,
            prompt_ids=group.x0_ids,
            samples=tuple(samples),
            meta=group.meta(method, used, context="x0 and x1"),
        )


def weigh(
    row: GroupRow, *, discount: float = DISCOUNT, strength: float = STRENGTH, positive_only: bool = False
) -> list[float]:
    """The signed weight of each sample of the row, by the formulas at the top of this file.

    ``positive_only`` is no part of the paper: second answers worse than the baseline are then not
    distilled (weight 0) instead of being pushed down.
    """
    plain = [sample for sample in row.samples if sample.role == "rl"]
    first, second = rewards(plain, turn=0), rewards(plain, turn=1)
    returns = {member: reward + discount * second.get(member, 0.0) for member, reward in first.items()}
    baseline, mean_return = mean(first.values()), mean(returns.values())
    mean_second = mean(second.values()) if second else 0.0

    def weight(sample: Sample) -> float:
        if sample.role == "sd":
            distilled = strength * (sample.reward - baseline)
            return max(distilled, 0.0) if positive_only else distilled
        return returns[sample.member] - mean_return if sample.turn == 0 else sample.reward - mean_second

    return [weight(sample) for sample in row.samples]


METHOD = Method(
    name="rltf-sd",
    about="reinforcement learning over two turns; the answer after feedback is distilled into the first",
    source="arXiv 2602.02482",
    nothing="first attempts, and groups in which not all did equally well",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
    attempts=2,
)
