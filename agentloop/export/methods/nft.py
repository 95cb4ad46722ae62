"""NFT: a likelihood loss that learns from wrong answers too, through a policy implied by the right ones.

Bridging Supervised Learning and Reinforcement Learning in Math Reasoning (Negative-aware Fine-Tuning),
arXiv 2505.18116. The rows hold the first answer of every member under x0, with the log-probs of
sampling and role ``nft``. Right and wrong is all the method knows, so ``reward`` is 1 for an answer
that passed and 0 otherwise, whatever its raw score, and the mean reward of the group is q, the share
that passed. Groups with q of 0 or 1 are left out, as published; q is clipped to [0.02, 0.98].

Per token, with r = pi / pi_old, a trainer takes ``-log r`` of a right answer and
``-log max(1, (1 - q r) / (1 - q))`` of a wrong one, its gradient straight through the maximum, each
times w(q). At r = 1 the gradient is that of a policy gradient with advantage

    right:  w(q)                wrong:  -w(q) * q / (1 - q)

``weigh`` gives the sign and w(q) alone, since the factor of a wrong answer comes out of the loss.

    normalize=1   w = 1 - q               then the advantage at r = 1 is R - q, as in Dr.GRPO
    normalize=2   w = sqrt((1 - q) / q)   then it is (R - q) / sqrt(q (1 - q)), GRPO's
    normalize=0   w = 1
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Literal, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.export.groups import Group
from agentloop.export.methods.grpo import NO_FIRST
from agentloop.export.methods.method import CALLS, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, mean, rewards
from agentloop.prompts import Prompts

Normalize: TypeAlias = Literal[0, 1, 2]

LEAST, MOST = 0.02, 0.98
"""Bounds of q (released code)."""

ALL_RIGHT = "every first answer of its group passed"
ALL_WRONG = "no first answer of its group passed"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for a group in which some first answers passed and some did not."""
    first = [each for member in group.members if (each := member.attempt(1))]
    passed = sum(each.passed for each in first)
    if not first or passed in (0, len(first)):
        yield LeftOut(NO_FIRST if not first else ALL_RIGHT if passed else ALL_WRONG, group.id)
        return
    samples: list[Sample] = []
    for each in first:
        sampled = as_sampled(group, each, turn=0)
        samples += [sample.replace(role="nft", reward=float(each.passed)) for sample in sampled]
    yield GroupRow(
        group_id=group.id,
        prompt_ids=group.x0_ids,
        samples=tuple(samples),
        meta=group.meta("nft", first),
    )


def weigh(row: GroupRow, *, normalize: Normalize = 1) -> list[float]:
    """``+w(q)`` for a right answer and ``-w(q)`` for a wrong one."""
    weight = group_weight(mean(rewards(row.samples).values()), normalize)
    return [weight if sample.reward > 0 else -weight for sample in row.samples]


def group_weight(share: float, normalize: Normalize) -> float:
    """w(q) of the formulas at the top of this file; ``share`` is q before it is clipped."""
    if normalize not in get_args(Normalize):
        raise BadInput(f"normalize must be one of 0, 1, 2, got {normalize!r}")
    q = min(max(share, LEAST), MOST)
    return (1.0, 1.0 - q, sqrt((1.0 - q) / q))[normalize]


METHOD = Method(
    name="nft",
    about="signed likelihood of right and wrong first answers",
    source="arXiv 2505.18116",
    nothing="groups in which some first answers passed and some did not",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
    attempts=1,
)
