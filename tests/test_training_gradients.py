"""Every loss against finite differences, in float64, to a millionth."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.training.losses import (
    entropy,
    kl_k3,
    nft,
    normalised,
    policy_gradient,
    shaped,
    shaped_ratio,
    token_logprobs,
    unlikelihood,
    weighted_nll,
)
from agentloop.training.preferences import c3po, dpo, kept, kto
from tests.training_tensors import some_logits, table, torch, untimed

ROWS, TOKENS, WORDS = 2, 4, 6
LOGITS, LABELS = some_logits(ROWS, TOKENS, WORDS)
MASK = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0]])
START = token_logprobs(LOGITS.detach(), LABELS)
OLD = START + table((0.1, -0.5, 0.3, 0.05), (0.6, -0.1, 0.15, -0.7))
"""Ratios on both sides of 1, inside the clip and outside of it, and none where it bends."""
SIDES = table((0.7,), (-1.3,))
RIGHT, Q, WEIGHT = torch.tensor([[True], [False]]), table((0.25,), (0.25,)), table((0.75,), (0.75,))
LIKELIER = START + 0.4
"""Old log-probabilities under which no ratio reaches 1, where NFT's value and slope part on purpose."""

PER_TOKEN: dict[str, Any] = {
    "nothing clipped": lambda lp: policy_gradient(lp, OLD, SIDES),
    "clipped": lambda lp: policy_gradient(lp, OLD, SIDES, clip_low=0.2, clip_high=0.28),
    "clipped twice": lambda lp: policy_gradient(lp, OLD, SIDES, clip_low=0.2, clip_high=0.2, dual_clip=1.5),
    "with divergence": lambda lp: policy_gradient(lp, OLD, SIDES) + 0.04 * kl_k3(lp, OLD),
    "weighted likelihood": lambda lp: weighted_nll(lp, SIDES),
    "weighted likelihood above a floor": lambda lp: weighted_nll(lp, SIDES, floor=-1.5),
    "shaped": lambda lp: shaped(lp, SIDES, gamma=0.1),
    "shaped ratio": lambda lp: shaped_ratio(lp, OLD, SIDES, gamma=0.1),
    "nft": lambda lp: nft(lp, LIKELIER, RIGHT, Q, weights=WEIGHT),
    "nft with a low floor": lambda lp: nft(lp, OLD, RIGHT, Q, weights=WEIGHT, epsilon=0.01),
    "unlikelihood": unlikelihood,
}


def agrees(loss: Any, *given_tensors: Any) -> bool:
    """Whether the slopes are those of central differences, to a millionth of themselves."""
    return bool(torch.autograd.gradcheck(loss, given_tensors, eps=1e-5, rtol=1e-6, atol=1e-10))


@pytest.mark.parametrize("by", ["tokens", "sequences", "constant", "sum"])
@pytest.mark.parametrize("name", PER_TOKEN)
def test_the_slope_of_a_batch_in_its_logits_is_that_of_finite_differences(name: str, by: Any) -> None:
    def loss(logits: Any) -> Any:
        return normalised(PER_TOKEN[name](token_logprobs(logits, LABELS)), MASK, by=by, constant=9)

    assert agrees(loss, LOGITS)


@untimed
@given(seed=st.integers(0, 2**16))
def test_the_slopes_hold_wherever_one_stands(seed: int) -> None:
    torch.manual_seed(seed)
    at = -torch.rand(ROWS, TOKENS, dtype=torch.float64) * 4 - 0.05
    old = at + torch.rand(ROWS, TOKENS, dtype=torch.float64) + 0.05
    at.requires_grad_()
    assert agrees(lambda lp: shaped(lp, SIDES), at)
    assert agrees(lambda lp: shaped_ratio(lp, old, SIDES), at)
    assert agrees(lambda lp: nft(lp, old, RIGHT, Q, weights=WEIGHT), at)
    assert agrees(lambda lp: kl_k3(lp, old), at)
    assert agrees(unlikelihood, at)


@pytest.mark.parametrize("kd_lambda", [0.0, 0.3, 1.0])
def test_the_slope_of_what_must_not_change(kd_lambda: float) -> None:
    before = LOGITS.detach().roll(1, -1)

    def loss(logits: Any) -> Any:
        return kept(logits, LABELS, MASK, reference_logits=before, kd_lambda=kd_lambda, temperature=2.0)

    assert agrees(loss, LOGITS)


def test_the_slopes_of_pairs_and_of_labelled_answers() -> None:
    chosen, rejected = table(-3.0, -9.0).requires_grad_(), table(-4.0, -5.0).requires_grad_()

    def pairs(chosen: Any, rejected: Any) -> Any:
        lost = dpo(chosen, rejected, reference_chosen=table(-3.5, -7.0), reference_rejected=table(-4.0, -9.0))
        return c3po(lost, soft=-chosen, hard=-rejected)

    def labelled(logprobs: Any) -> Any:
        return kto(
            logprobs, table(-3.5, -7.0), torch.tensor([True, False]), baseline=0.3, undesirable_weight=1.4
        )

    assert agrees(pairs, chosen, rejected)
    assert agrees(labelled, chosen)


def test_the_slope_of_entropy() -> None:
    assert agrees(entropy, LOGITS)


def test_a_slope_that_is_wrong_is_found() -> None:
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        agrees(lambda lp: shaped(lp, SIDES) + 1e-5 * lp.detach(), START.clone().requires_grad_())
