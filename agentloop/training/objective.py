"""What each role of a row contributes to the loss, by the method's recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.training.losses import nft, policy_gradient, shaped, shaped_ratio, weighted_nll
from agentloop.training.recipes import Recipe

if TYPE_CHECKING:
    import torch

    from agentloop.training.batches import MicroBatch


def token_losses(recipe: Recipe, batch: MicroBatch, logprobs: torch.Tensor) -> torch.Tensor:
    """The loss of each token (B, T), neither masked nor scaled yet.

    ``rl`` has a ratio to the policy that sampled; ``sd`` none, as RLTF; ``refinement`` the shaped weight
    of Critique-GRPO or HeRL; ``nft`` its own. Whatever else a row is called is weighted likelihood.
    A row without log-probabilities of its sampling is taken as sampled by the policy as it stands.
    """
    weights = batch.weights
    old = logprobs.detach() if batch.logprobs is None else batch.logprobs
    if batch.role == "rl":
        low, high = recipe.clip or (None, None)
        return policy_gradient(
            logprobs, old, weights, clip_low=low, clip_high=high, dual_clip=recipe.dual_clip
        )
    if batch.role == "sd":
        return weighted_nll(logprobs, weights, floor=recipe.floor)
    if batch.role == "refinement" and recipe.shaping == "probability":
        return shaped(logprobs, weights, gamma=recipe.gamma)
    if batch.role == "refinement":
        return shaped_ratio(logprobs, old, weights, gamma=recipe.gamma)
    if batch.role == "nft":
        return _nft(recipe, batch, logprobs, old)
    return weighted_nll(logprobs, weights)


def _nft(recipe: Recipe, batch: MicroBatch, logprobs: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """A row's weight is w(q) with the sign of its outcome; q is its group's mean reward."""
    import torch

    signed = torch.where(batch.mask.bool(), batch.weights, torch.zeros_like(batch.weights))
    weight = signed.abs().amax(dim=1, keepdim=True)
    share = torch.tensor([[item.row.baseline] for item in batch.items], device=logprobs.device)
    return nft(
        logprobs,
        old,
        signed.sum(dim=1, keepdim=True) > 0,
        share,
        weights=weight,
        negative_weight=recipe.negative_weight,
    )
