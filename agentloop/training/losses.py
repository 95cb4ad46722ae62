"""The policy-gradient family and weighted likelihood, as losses per token.

Shapes: ``B`` rows, ``T`` tokens, ``V`` entries of the vocabulary. Every loss takes the log-probabilities
of the tokens that were said, ``(B, T)``, and returns the loss of each token, ``(B, T)``, not masked; what
stands beside them broadcasts to ``(B, T)``, so ``(B, 1)`` is one number a row. ``normalised`` masks
and reduces to one number. Symbols: ``p`` is the policy in training, ``p_old`` the one that
sampled, ``r = p / p_old`` the ratio of one token, ``A`` its advantage, ``m`` the mask.

Where the mask is 0, put finite numbers: 0 for log-probabilities under ``p_old`` and under a
reference, since then no ratio of padding can overflow.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agentloop.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

LOG_RATIO_CAP = 10.0
"""The most that ``log r`` counts in NFT, as in its released code."""
SHARE_RANGE = (0.02, 0.98)
"""What NFT's released code keeps the share of right answers within."""
CHUNK = {"cpu": 2**19}
"""Logits worked on at once, by kind of device; half a million are fastest on the CPUs tried."""
WIDE_CHUNK = 2**26
"""The same for every other kind of device: 256 MiB in float32."""

By: TypeAlias = Literal["tokens", "sequences", "constant", "sum"]


def token_logprobs(logits: Tensor, labels: Tensor) -> Tensor:
    """``log p`` of each label: logits ``(B, T, V)`` and labels ``(B, T)`` give ``(B, T)`` in float32.

    ``logits[:, t]`` are those that predict ``labels[:, t]``: the caller has shifted them. Logits in
    float64 stay so. Besides the logits and their gradient no tensor of their size is held: the
    work is done in chunks, and again on the way back. Labels must be ids of the vocabulary: put 0, not
    -100, where the mask is 0.
    """
    import torch

    if labels.numel() == 0:
        return logits.sum(-1)
    flat = _label_logprobs().apply(logits.flatten(0, -2), labels.flatten())
    return torch.reshape(flat, labels.shape)


def entropy(logits: Tensor) -> Tensor:
    """``-sum_v p_v log p_v`` of each next token: logits ``(B, T, V)`` give ``(B, T)``, in nats, float32.

    An entropy bonus of weight c is ``-c * entropy(logits)`` added to a loss per token.
    """
    import torch

    rows = [row.to(_wide(row)).log_softmax(-1) for row in logits]
    return torch.stack([-(row.exp() * row).sum(-1) for row in rows])


def normalised(per_token: Tensor, mask: Tensor, *, by: By, constant: float | None = None) -> Tensor:
    """The loss of a batch: what ``per_token (B, T)`` comes to where ``mask (B, T)`` is not 0.

    ``tokens``: the sum divided by the tokens that count (DAPO; TRL's ``bnpo`` within one batch).
    ``sequences``: the mean over each row's tokens, then over rows (GRPO); a row without any token
    counts as 0. ``constant``: the sum divided by rows times ``constant``, the longest completion allowed
    (Dr. GRPO). ``sum``: the sum (RLTF). A batch without any token comes to 0. What the loss is where the
    mask is 0, even infinity, does not matter.
    """
    active = mask != 0
    kept = per_token.masked_fill(~active, 0.0)
    if by == "sum":
        return kept.sum()
    if by == "tokens":
        return kept.sum() / active.sum().clamp(min=1)
    if by == "sequences":
        return (kept.sum(-1) / active.sum(-1).clamp(min=1)).mean()
    if by != "constant":
        raise BadInput(f"by is {by!r}; give 'tokens', 'sequences', 'constant' or 'sum'")
    if constant is None or not constant > 0:
        raise BadInput(f"by='constant' needs a constant above 0 (the longest completion), got {constant!r}")
    return kept.sum() / (kept.shape[0] * constant)


def policy_gradient(
    logprobs: Tensor,
    old_logprobs: Tensor | None,
    advantages: Tensor,
    *,
    clip_low: float | None = None,
    clip_high: float | None = None,
    dual_clip: float | None = None,
) -> Tensor:
    """``-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)``, and ``-r A`` where nothing is clipped.

    PPO's surrogate (Schulman et al. 2017) as GRPO, DAPO and Dr. GRPO use it: GRPO clips 0.2 on both
    sides, DAPO 0.2 and 0.28, Critique-GRPO's released run does not clip. A side that is None is open.
    ``dual_clip`` c > 1 also bounds the loss of a token with A < 0 by ``-c A`` (Ye et al. 2020; HeRL: 3).
    Without ``old_logprobs`` the policy in training is the one that sampled: ``r`` is 1 and the
    gradient ``-A grad log p``. A divergence term is added by the caller: ``+ beta * kl_k3(...)``.
    """
    import torch

    if dual_clip is not None and not dual_clip > 1:
        raise BadInput(f"dual_clip must be above 1, got {dual_clip}")
    old = logprobs.detach() if old_logprobs is None else old_logprobs
    ratio = torch.exp(logprobs - old)
    gain = ratio * advantages
    if clip_low is not None or clip_high is not None:
        low = None if clip_low is None else 1.0 - clip_low
        high = None if clip_high is None else 1.0 + clip_high
        gain = torch.minimum(gain, ratio.clamp(low, high) * advantages)
    if dual_clip is not None:
        gain = torch.where(advantages < 0, torch.maximum(gain, dual_clip * advantages), gain)
    return -gain


def kl_k3(logprobs: Tensor, reference_logprobs: Tensor, *, old_logprobs: Tensor | None = None) -> Tensor:
    """``exp(d) - d - 1`` with ``d = log p_ref - log p``: GRPO's estimate of ``KL(p || p_ref)``, ``(B, T)``.

    Schulman's third estimator (2020): never negative, and its mean over tokens sampled from ``p`` is
    the divergence, though the mean of its gradient is not the divergence's. With ``old_logprobs`` it is
    multiplied by ``r``, which mends that (DeepSeek-V3.2; the default in TRL, ``use_bias_correction_kl``).
    """
    import torch

    difference = reference_logprobs - logprobs
    estimate = torch.expm1(difference) - difference
    return estimate if old_logprobs is None else torch.exp(logprobs - old_logprobs) * estimate


def weighted_nll(logprobs: Tensor, weights: Tensor, *, floor: float | None = None) -> Tensor:
    """``-w log p``: supervised fine-tuning with a weight, which may be negative.

    With weight 1 it is the likelihood loss of SFT, of feedback-conditional training (FCP, FAFT, LeTI: the
    condition stands in the prompt, and nothing else changes), of feedback modelling (RLTF-FM: the
    critique's tokens, weight 0.1) and of filtered samples (RAFT, ILF). RLTF-SD's row 3 has the
    weight ``lambda (R1 - b)`` and ``floor=-5``: a token with ``log p`` below the floor gets weight
    exactly 0. RLTF's own loss is ``-r w`` with ``r = p / p`` (the sampling log-probabilities
    replaced by the policy's own): another value, the same gradient at the first step.
    """
    import torch

    loss = -weights * logprobs
    if floor is None:
        return loss
    return torch.where(logprobs.detach() >= floor, loss, 0.0)


def shaped(logprobs: Tensor, advantages: Tensor, *, gamma: float = 0.1) -> Tensor:
    """``-A p / (p + gamma)``: Critique-GRPO's weight of a refinement's tokens (Zhang et al. 2025).

    The refinement was sampled under the critique and is trained under the plain prompt; there is no
    ``p_old`` and no clip. The gradient is ``-A gamma p / (p + gamma)^2 grad log p``: greatest at
    ``p = gamma``, so what is right but unlikely is learnt fastest, and the next to impossible left alone.
    """
    import torch

    return -advantages * torch.sigmoid(logprobs - _log_of(gamma))


def shaped_ratio(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, *, gamma: float = 1.0) -> Tensor:
    """``-A r / (r + gamma)``: HeRL's weight of a rewrite's tokens, not clipped.

    At ``r = 1`` the gradient is ``-A gamma / (1 + gamma)^2 grad log p``. HeRL's released scripts set gamma to
    1 (instruction following) and 0.1 (medical). Whose ``old_logprobs`` are (of the policy that wrote
    the rewrite, or of the actor on the row that is trained) decides what is learnt; the caller chooses.
    """
    import torch

    return -advantages * torch.sigmoid(logprobs - old_logprobs - _log_of(gamma))


def nft(
    logprobs: Tensor,
    old_logprobs: Tensor,
    correct: Tensor,
    q: Tensor,
    *,
    weights: Tensor,
    negative_weight: float = 1.0,
    epsilon: float = 1.0,
) -> Tensor:
    """Negative-aware fine-tuning (Chen et al. 2025): likelihood for right answers and for wrong ones.

    ``correct (B, 1)`` is a bool, ``q (B, 1)`` the share of right answers in the row's group, kept within
    0.02 and 0.98, and ``weights (B, 1)`` what ``nft_weights`` gives. A right answer's token costs
    ``-w log r``; a wrong one's ``-w negative_weight log max((1 - q r) / (1 - q), epsilon)``, where the
    maximum holds for the value only and the gradient passes straight through it: with ``epsilon=1`` the
    derivative in ``log r`` is ``q r / (1 - q)`` for r > 1. ``log r`` is capped at 10, and beyond that there
    is no gradient. ``negative_weight=0`` is fine-tuning on the right answers. A group in which all or
    none are right should be left out, as the paper does. The released code sums over tokens and rows
    and divides by 1000; its ratio of whole sequences, an option there, is not here.
    """
    import torch

    if not epsilon > 0:
        raise BadInput(f"epsilon must be above 0, got {epsilon}")
    share = q.clamp(*SHARE_RANGE)
    log_ratio = (logprobs - old_logprobs).clamp(max=LOG_RATIO_CAP)
    implied = (1.0 - share * log_ratio.exp()) / (1.0 - share)
    bounded = implied + (implied.clamp(min=epsilon) - implied).detach()
    return -weights * torch.where(correct, log_ratio, negative_weight * bounded.log())


def nft_weights(q: Tensor, *, like: Literal["dr_grpo", "grpo", "none"] = "dr_grpo") -> Tensor:
    """NFT's weight of a prompt, ``w(q)``, in the shape of ``q``, the share of right answers.

    On policy NFT's gradient is then that of a group-relative method: with ``dr_grpo``, ``1 - q``, of the
    advantage ``R - q``; with ``grpo``, ``sqrt((1 - q) / q)``, of ``(R - q) / sqrt(q (1 - q))``, which has the
    standard deviation of the population. ``none`` is 1. They are ``normalize`` 1, 2 and 0 in the
    released code.
    """
    import torch

    share = q.clamp(*SHARE_RANGE)
    if like == "dr_grpo":
        return 1.0 - share
    if like == "grpo":
        return torch.sqrt((1.0 - share) / share)
    if like == "none":
        return torch.ones_like(share)
    raise BadInput(f"like is {like!r}; give 'dr_grpo', 'grpo' or 'none'")


def unlikelihood(logprobs: Tensor) -> Tensor:
    """``-log(1 - p)``: makes a token less likely (Welleck et al. 2020), for answers tagged bad.

    An own addition to FAFT and LeTI, which train on bad answers under a bad tag by likelihood alone. The
    value is exact for p near 0 and near 1; from ``log p = -1e-6`` on it stays where it is, while the gradient
    passes, so that a certainty costs 13.8 and can still be unlearnt.
    """
    import torch

    bounded = logprobs + (logprobs.clamp(max=-1e-6) - logprobs).detach()
    # each form keeps its digits where the other loses them
    likely = bounded > -math.log(2.0)
    near_one = torch.where(likely, bounded, -1.0)
    near_zero = torch.where(likely, -1.0, bounded)
    return -torch.where(likely, torch.log(-torch.expm1(near_one)), torch.log1p(-torch.exp(near_zero)))


def respect(logprobs: Tensor, old_logprobs: Tensor, polarity: Tensor, *, mask: Tensor) -> Tensor:
    """``-w R log p`` of past actions that the next user turn judged (ReSpect; Chen et al. 2024).

    ``polarity (B, 1)`` is 1, 0 or -1, which gives R = 1, 0 or -0.1. ``w`` is 1 where R is not negative; else
    ``p(a|x) / max(p_old(a|x), 0.01)`` of the whole action, without a gradient: what has been unlearnt is
    pushed no further. Reduce by ``sequences`` (the paper divides by the action's length). A departure:
    no label smoothing.
    """
    import torch

    active = mask != 0
    now = logprobs.detach().masked_fill(~active, 0.0).sum(-1, keepdim=True)
    before = old_logprobs.masked_fill(~active, 0.0).sum(-1, keepdim=True).clamp(min=math.log(0.01))
    reward = torch.where(polarity < 0, 0.1 * polarity, polarity)
    weight = torch.where(polarity < 0, torch.exp(now - before), 1.0)
    return weighted_nll(logprobs, weight * reward)


def _log_of(gamma: float) -> float:
    if not gamma > 0:
        raise BadInput(f"gamma must be above 0, got {gamma}")
    return math.log(gamma)


def _wide(logits: Tensor) -> Any:
    """The type to compute in: float32, or what is given where that is wider."""
    import torch

    return torch.promote_types(logits.dtype, torch.float32)


@functools.cache
def _label_logprobs() -> Any:
    """The autograd function behind ``token_logprobs``; made on first use, for torch loads then."""
    import torch

    class LabelLogprobs(torch.autograd.Function):  # type: ignore[misc]
        """Logits (N, V) and labels (N,) to log-probabilities (N,), keeping nothing but the two."""

        @staticmethod
        def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
            ctx.save_for_backward(logits, labels)
            found = [
                rows.log_softmax(-1, dtype=_wide(rows)).gather(-1, said.unsqueeze(-1)).squeeze(-1)
                for rows, said in _chunks(logits, labels)
            ]
            return torch.cat(found)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
            logits, labels = ctx.saved_tensors
            upward = torch.empty_like(logits)
            for rows, said, gradient, out in _chunks(logits, labels, gradients[0], upward):
                slope = gradient.unsqueeze(-1)
                moved = rows.softmax(-1, dtype=_wide(rows)).mul_(-slope)
                out.copy_(moved.scatter_add_(-1, said.unsqueeze(-1), slope))
            return upward, None

    return LabelLogprobs


def _chunks(logits: Tensor, *others: Tensor) -> Any:
    """Views of all tensors, cut along the first dimension where the logits reach the device's chunk."""
    size = max(1, CHUNK.get(logits.device.type, WIDE_CHUNK) // logits.shape[-1])
    return zip(logits.split(size), *(other.split(size) for other in others), strict=True)
