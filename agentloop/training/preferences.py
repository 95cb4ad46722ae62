"""Losses on whole completions: pairs, labelled answers, and what must not change.

Shapes: ``B`` rows. ``(B,)`` log-probabilities are sums over a completion's tokens, prompt apart. The
trainers for pairs and labels are TRL's; these are the same formulas in few lines, for C3PO and to hold
TRL's against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor


def dpo(
    chosen: Tensor,
    rejected: Tensor,
    *,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float = 0.1,
) -> Tensor:
    """``-log sigma(beta [(log p_w - log ref_w) - (log p_l - log ref_l)])``, all ``(B,)``.

    Direct preference optimisation (Rafailov et al. 2023). It is ln 2 where the policy is the reference.
    """
    from torch.nn.functional import logsigmoid

    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -logsigmoid(beta * margin)


def kto(
    logprobs: Tensor,
    reference_logprobs: Tensor,
    desirable: Tensor,
    *,
    baseline: Tensor | float,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """``w (1 - sigma(+-beta (log p - log p_ref - z)))``, all ``(B,)``: plus where ``desirable``, else minus.

    Kahneman-Tversky optimisation (Ethayarajh et al. 2024). ``desirable`` is a bool, the ``baseline`` z
    what ``kto_baseline`` gives. The loss is 0.5 where the policy is the reference.
    """
    import torch

    margin = logprobs - reference_logprobs - baseline
    signed = torch.where(desirable, margin, -margin)
    weight = torch.where(desirable, desirable_weight, undesirable_weight)
    return weight * torch.sigmoid(-beta * signed)


def kto_baseline(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """``max(0, mean(log p - log p_ref))`` over completions ``(B,)`` put under *other* rows' prompts.

    KTO's estimate of how far the policy has moved; without a gradient.
    """
    return (logprobs - reference_logprobs).detach().mean().clamp(min=0.0)


def kept(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    reference_logits: Tensor | None = None,
    kd_lambda: float = 0.0,
    temperature: float = 1.0,
) -> Tensor:
    """C3PO's term for each row of what must not change, ``(B,)``: ``(1 - kd_lambda) CE + kd_lambda T^2 KL``.

    Stephan et al. 2024 (RLVF). ``labels`` are the model's own answers from before; logits ``(B, T, V)``,
    labels and mask ``(B, T)`` are aligned, ``logits[:, t]`` predicting ``labels[:, t]``. CE is the mean over
    the answer's tokens, KL is ``KL(ref || p)`` at temperature T, *summed* over them, as released. The
    main setting released is ``kd_lambda=0``: fine-tuning on the own baseline answers. A departure: there
    the mask of KL is one token late against the logits; here both terms are on the answer's tokens. A
    row without tokens gives 0.
    """
    import torch

    from agentloop.training.losses import token_logprobs

    if not 0.0 <= kd_lambda <= 1.0 or not temperature > 0:
        raise BadInput(
            f"kd_lambda must be within 0 and 1 and temperature above 0, got {kd_lambda}, {temperature}"
        )
    if kd_lambda and reference_logits is None:
        raise BadInput(f"kd_lambda={kd_lambda} needs reference_logits, the model's logits before training")
    active = mask != 0
    said = token_logprobs(logits, labels).masked_fill(~active, 0.0)
    loss = (1.0 - kd_lambda) * -said.sum(-1) / active.sum(-1).clamp(min=1)
    if reference_logits is None or not kd_lambda:
        return loss
    ours = (logits / temperature).log_softmax(-1)
    before = (reference_logits.detach() / temperature).log_softmax(-1)
    divergence = (before.exp() * (before - ours)).sum(-1).masked_fill(~active, 0.0)
    return loss + kd_lambda * temperature**2 * torch.sum(divergence, -1)


def c3po(
    pairs: Tensor, *, soft: Tensor, hard: Tensor, soft_weight: float = 0.2, hard_weight: float = 0.1
) -> Tensor:
    """``DPO + soft_weight KD_soft + hard_weight KD_hard``: general feedback applied in scope only, ``(B,)``.

    ``pairs`` is ``dpo`` on prompts in scope (beta 0.1), ``soft`` is ``kept`` on general prompts, ``hard`` on
    prompts near the scope but outside it; the three are aligned. Weights are those of the released
    settings. With both at 0 it is DPO.
    """
    return pairs + soft_weight * soft + hard_weight * hard
