"""Rewards that a policy's own distribution gives, without a verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def self_certainty(logits: Tensor, mask: Tensor) -> Tensor:
    """INTUITOR's reward of each row, ``(B,)``, from logits ``(B, T, V)`` and mask ``(B, T)``.

    Zhao et al. 2025: the mean over a row's tokens of ``logsumexp(z) - mean(z)``, which is
    ``KL(U || p) + log V`` with the uniform distribution U: ``log V`` where the policy has no idea, more the
    surer it is. ``logits[:, t]`` predict token t of the completion; they must be those of the *current*
    policy, since a frozen judge can be gamed. In float32 at least; no gradient flows. A row without
    tokens gets 0. Feed it to ``group_advantages`` with ``scale="group"``; the paper normalises other
    rewards apart and adds them.
    """
    import torch

    active = mask != 0
    with torch.no_grad():
        rows = [row.to(torch.promote_types(row.dtype, torch.float32)) for row in logits]
        certainty = torch.stack([row.logsumexp(-1) - row.mean(-1) for row in rows])
        return certainty.masked_fill(~active, 0.0).sum(-1) / active.sum(-1).clamp(min=1)
