"""Advantages: how much better a completion did than others of its group. Pure functions of rewards.

Shapes: rewards are ``(G,)``, one group; ``(P, G)``, a group a row; or, with ``groups``, ``(N,)`` in any
order, ``groups`` naming each one's group. What comes back has the shape of the rewards. A group is
compared with itself only. What exported rows weigh is the same formulas without torch
(agentloop/export/methods); a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from agentloop.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    Groups: TypeAlias = Sequence[Hashable] | Tensor | None

Scale: TypeAlias = Literal["group", "batch", "none"]


def group_advantages(
    rewards: Tensor,
    groups: Groups = None,
    *,
    scale: Scale,
    leave_one_out: bool = False,
    epsilon: float = 1e-4,
) -> Tensor:
    """``A = (R - mu) / (s + epsilon)`` with the group's mean ``mu`` and the standard deviation ``s``.

    GRPO (Shao et al. 2024) and DAPO: ``scale="group"``, the sample standard deviation (divisor n - 1)
    of the group, as TRL (epsilon 1e-4) and verl (1e-6) have it; formulas with that of the population
    differ by ``sqrt(n / (n - 1))``. Dr. GRPO (Liu et al. 2025), the Critique-GRPO paper and RLTF:
    ``"none"``, nothing is divided. ``"batch"``: the standard deviation of all rewards given (TRL). RLOO
    (Ahmadian et al. 2024): ``"none"`` with ``leave_one_out``, the mean of the *other* members as
    baseline, which is ``(R - mu) n / (n - 1)``.

    Equal rewards give exactly 0, whatever rounding does to their mean. So does a group of one: a
    sample alone has nothing to be better than (verl would give it A = R). Rewards must be finite: how an
    attempt without a score is to count is for the caller to decide.
    """
    import torch

    if scale not in ("group", "batch", "none"):
        raise BadInput(f"scale is {scale!r}; give 'group', 'batch' or 'none'")
    members = _Members(rewards, groups)
    centred = members.rewards - members.mean
    others = (members.count - 1).clamp(min=1)
    advantages = centred * (members.count / others) if leave_one_out else centred
    if scale == "group":
        advantages = advantages / (torch.sqrt(members.total(centred**2) / others) + epsilon)
    elif scale == "batch" and len(centred) > 1:
        advantages = advantages / (members.rewards.std() + epsilon)
    return advantages.masked_fill(~members.uneven, 0.0).reshape(rewards.shape)


def group_means(rewards: Tensor, groups: Groups = None) -> Tensor:
    """The mean of each reward's group, in the rewards' shape; of equal rewards, exactly that reward."""
    return _Members(rewards, groups).mean.reshape(rewards.shape)


def uneven(rewards: Tensor, groups: Groups = None) -> Tensor:
    """Where a reward's group holds different rewards: a bool mask in the rewards' shape.

    DAPO's dynamic sampling (Yu et al. 2025) keeps these groups and draws others in place of the rest,
    which teach nothing.
    """
    return _Members(rewards, groups).uneven.reshape(rewards.shape)


class TwoTurns(NamedTuple):
    """What RLTF makes of the two turns of a batch; each in the shape of the rewards."""

    first: Tensor
    """``A0``, for the first answer under the plain prompt."""
    second: Tensor
    """``A1``, for the second answer under the prompt with feedback; 0 where there is none."""
    distilled: Tensor
    """The weight of the second answer under the *plain* prompt (row SD); 0 where there is none."""


def two_turns(
    first: Tensor,
    second: Tensor,
    reached: Tensor,
    *,
    groups: Groups = None,
    discount: float = 0.1,
    strength: float = 0.1,
) -> TwoTurns:
    """RLTF's advantages of both turns (arXiv 2602.02482), none divided by a standard deviation.

    ``first`` and ``second`` are the rewards R0 and R1, ``reached`` is True where there was a second
    turn (an attempt that is right at once ends there; its R1 is not read). ``A0 = R0 + discount R1``
    minus its mean over the group. ``A1 = R1`` minus the mean over those members that reached the second
    turn. The weight of self-distillation is ``strength (R1 - b)`` with ``b`` the mean of R0 over the
    *whole* group, members that ended early included: the paper's baseline. The released code does not
    pass that setting on and takes the mean of R1, with which the signal vanishes wherever feedback
    makes every second answer right.
    """
    import torch

    again = torch.where(reached, second, 0.0)
    names = _group_numbers(first, groups)
    both = [(int(name), bool(has)) for name, has in zip(names, reached.reshape(-1), strict=True)]
    baseline = group_means(first, groups)
    return TwoTurns(
        first=group_advantages(first + discount * again, groups, scale="none"),
        second=torch.where(reached, _flat_advantages(again, both), 0.0),
        distilled=torch.where(reached, strength * (again - baseline), 0.0),
    )


def rewrite_bonus(rewards: Tensor, rewritten: Tensor, best: Tensor, *, alpha: float = 0.05) -> Tensor:
    """HeRL's shaped reward: ``R + alpha (R_best - R)`` where an attempt was ``rewritten``, else ``R``.

    ``best`` is the reward of its best rewrite under guidance; where ``rewritten`` is False it is not
    read. The bonus is negative when the rewrite is worse. It is applied before a rewrite takes a slot of
    the group and before the group's mean. The released code spreads it over the answer's tokens; their
    sum is this.
    """
    import torch

    return torch.where(rewritten, rewards + alpha * (best - rewards), rewards)


class _Members:
    """Rewards with each one's group: sums over a group, given back to every member of it."""

    def __init__(self, rewards: Tensor, groups: Groups) -> None:
        import torch

        if not rewards.is_floating_point():
            raise BadInput(f"rewards are {rewards.dtype}; give floating-point numbers")
        self.number = _group_numbers(rewards, groups)
        self.rewards = rewards.reshape(-1)
        if not bool(torch.isfinite(self.rewards).all()):
            raise BadInput("a reward is not finite; leave its attempt out, or decide what it counts")
        self.count = self.total(torch.ones_like(self.rewards))
        least = self._extreme("amin")
        self.uneven = self._extreme("amax") != least
        self.mean = torch.where(self.uneven, self.total(self.rewards) / self.count, least)

    def total(self, values: Tensor) -> Tensor:
        """The sum over each value's group."""
        sums = values.new_zeros(values.numel()).index_add(0, self.number, values)
        return sums[self.number]

    def _extreme(self, which: str) -> Tensor:
        reduced = self.rewards.scatter_reduce(0, self.number, self.rewards, which, include_self=False)
        return reduced[self.number]


def _flat_advantages(rewards: Tensor, groups: Sequence[Hashable]) -> Tensor:
    return group_advantages(rewards.reshape(-1), groups, scale="none").reshape(rewards.shape)


def _group_numbers(rewards: Tensor, groups: Groups) -> Tensor:
    """A number from 0 for the group of each reward, (N,)."""
    import torch

    shape = tuple(rewards.shape)
    if groups is None and len(shape) not in (1, 2):
        raise BadInput(f"rewards have the shape {shape}; give (G,), (P, G), or (N,) with groups")
    if groups is None:
        count, size = (1, *shape)[-2:]
        return torch.arange(count, device=rewards.device).repeat_interleave(size)
    if len(shape) != 1 or len(groups) != shape[0]:
        raise BadInput(f"{len(groups)} groups for rewards of the shape {shape}; give one name a reward, (N,)")
    named = groups.tolist() if isinstance(groups, torch.Tensor) else groups
    order = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return torch.tensor([order[name] for name in named], dtype=torch.long, device=rewards.device)
