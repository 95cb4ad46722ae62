"""GRPO and its relatives: first answers, each compared with the others of its group.

GRPO (DeepSeekMath, arXiv 2402.03300), Dr.GRPO (arXiv 2503.20783) and RLOO (arXiv 2402.14740) share
these rows: the first answer of every member under the first prompt x0, with the log-probs of sampling.
They differ by the advantage that ``weigh`` computes from the rewards R of a group of G:

    GRPO     (R_i - mean(R)) / (std(R) + 1e-4)          scale="group", the default
    Dr.GRPO   R_i - mean(R)                             scale="none"
    RLOO     (R_i - mean(R)) * G / (G - 1)              scale="none", leave_one_out=True

std is that of a sample (divisor G - 1), as in TRL and verl. RLOO's line is the reward minus the mean of
the other members'. A group of one weighs nothing: it has nobody to be compared with (verl gives such
an answer its raw reward instead). Later attempts are not looked at. The ratio, the clip and how the
sum over tokens is divided, in which DAPO differs too, are the trainer's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from statistics import stdev
from typing import Literal, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.export.groups import Group
from agentloop.export.methods.method import CALLS, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, mean, rewards
from agentloop.prompts import Prompts

Scale: TypeAlias = Literal["group", "none"]

EPSILON = 1e-4
"""Added to the standard deviation (TRL; verl adds 1e-6)."""

NO_FIRST = "no first attempt of its group can be used"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for the group: its first answers."""
    first = [each for member in group.members if (each := member.attempt(1))]
    if not first:
        yield LeftOut(NO_FIRST, group.id)
        return
    samples: list[Sample] = []
    for each in first:
        samples += as_sampled(group, each, turn=0)
    yield GroupRow(
        group_id=group.id,
        prompt_ids=group.x0_ids,
        samples=tuple(samples),
        meta=group.meta("grpo", first),
    )


def weigh(row: GroupRow, *, scale: Scale = "group", leave_one_out: bool = False) -> list[float]:
    """The advantage of each sample, by the formulas at the top of this file."""
    advantage = advantages(rewards(row.samples).values(), scale=scale, leave_one_out=leave_one_out)
    return [advantage(sample.reward) for sample in row.samples]


def advantages(
    group: Collection[float], *, scale: Scale = "group", leave_one_out: bool = False
) -> Callable[[float], float]:
    """What a reward is worth among those of its ``group``, in which each member counts once."""
    if scale not in get_args(Scale):
        raise BadInput(f"scale must be one of {', '.join(get_args(Scale))}, got {scale!r}")
    size, middle = len(group), mean(group)
    if size < 2:
        return lambda reward: 0.0
    factor = size / (size - 1) if leave_one_out else 1.0
    spread = stdev(group) + EPSILON if scale == "group" else 1.0
    return lambda reward: factor * (reward - middle) / spread


METHOD = Method(
    name="grpo",
    about="group-relative policy gradient on first answers (GRPO, Dr.GRPO, RLOO)",
    source="arXiv 2402.03300, 2503.20783, 2402.14740",
    nothing="groups in which not all first answers did equally well",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
    attempts=1,
)
