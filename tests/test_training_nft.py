"""NFT: on policy a group-relative method, off policy bounded."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.advantages import group_advantages
from agentloop.training.losses import (
    nft,
    nft_weights,
    policy_gradient,
    token_logprobs,
)
from tests.training_tensors import slopes, some_logits, table, torch, untimed

ratio = st.floats(0.05, 20)
share = st.floats(0.02, 0.98)


def nft_of(lp: Any, *, right: bool, q: float, weight: float = 1.0, old: float = 0.0, **options: Any) -> Any:
    return nft(lp, table((old,)), torch.tensor([[right]]), table((q,)), weights=table((weight,)), **options)


@pytest.mark.parametrize("q", [1 / 8, 1 / 2, 7 / 8])
@pytest.mark.parametrize("like", ["dr_grpo", "grpo"])
def test_on_policy_nft_is_a_group_relative_method(q: float, like: Any) -> None:
    """With the standard deviation of the population, which is the sample's times sqrt((n - 1) / n)."""
    size = 8
    right = torch.arange(size) < round(q * size)
    logits, labels = some_logits(rows=size)
    logprobs = token_logprobs(logits, labels)
    shares = torch.full((size, 1), q, dtype=torch.float64)
    sides = group_advantages(right.double(), scale="none" if like == "dr_grpo" else "group", epsilon=0.0)
    if like == "grpo":
        sides = sides * math.sqrt(size / (size - 1))
    ours = nft(
        logprobs, logprobs.detach(), right.unsqueeze(-1), shares, weights=nft_weights(shares, like=like)
    )
    theirs = policy_gradient(logprobs, None, sides.unsqueeze(-1))
    found, wanted = (torch.autograd.grad(each.sum(), logits, retain_graph=True)[0] for each in (ours, theirs))
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-9)


@untimed
@given(q=share, moved=st.floats(1.001, 1000))
def test_a_wrong_answer_grown_likelier_costs_nothing_and_is_pushed_down_in_line(
    q: float, moved: float
) -> None:
    at = table((math.log(moved),))
    assert nft_of(at, right=False, q=q).item() == pytest.approx(0.0, abs=1e-9)
    found = slopes(lambda lp: nft_of(lp, right=False, q=q), at)
    assert found.item() == pytest.approx(q * moved / (1 - q), rel=1e-6)


@untimed
@given(q=share, moved=st.floats(0.001, 0.999))
def test_a_wrong_answer_grown_less_likely_follows_the_likelihood_of_the_negative_policy(
    q: float, moved: float
) -> None:
    at = table((math.log(moved),))
    assert nft_of(at, right=False, q=q).item() == pytest.approx(-math.log((1 - q * moved) / (1 - q)))
    found = slopes(lambda lp: nft_of(lp, right=False, q=q), at)
    assert found.item() == pytest.approx(q * moved / (1 - q * moved), rel=1e-9)


@untimed
@given(q=share, moved=ratio, weight=st.floats(0.1, 3))
def test_a_right_answer_costs_its_log_ratio(q: float, moved: float, weight: float) -> None:
    at = table((math.log(moved),))
    assert nft_of(at, right=True, q=q, weight=weight).item() == pytest.approx(-weight * math.log(moved))
    assert slopes(lambda lp: nft_of(lp, right=True, q=q, weight=weight), at).item() == pytest.approx(-weight)


@pytest.mark.parametrize("right", [True, False])
def test_a_log_ratio_beyond_ten_counts_ten_and_moves_nothing(right: bool) -> None:
    beyond, ten = table((11.0,)), table((10.0,))
    assert torch.equal(nft_of(beyond, right=right, q=0.5), nft_of(ten, right=right, q=0.5))
    assert slopes(lambda lp: nft_of(lp, right=right, q=0.5), beyond).item() == 0.0


def test_a_negative_weight_of_zero_is_tuning_on_the_right_answers() -> None:
    at = table((math.log(0.7),))
    assert slopes(lambda lp: nft_of(lp, right=False, q=0.5, negative_weight=0.0), at).item() == 0.0
    halved = nft_of(at, right=False, q=0.5, negative_weight=0.5)
    assert halved.item() == pytest.approx(0.5 * nft_of(at, right=False, q=0.5).item())


@pytest.mark.parametrize(("q", "kept"), [(0.001, 0.02), (0.999, 0.98)])
@pytest.mark.parametrize("right", [True, False])
def test_a_share_near_none_or_all_is_kept_away_from_it(q: float, kept: float, right: bool) -> None:
    at = table((math.log(0.7),))
    assert torch.equal(nft_of(at, right=right, q=q), nft_of(at, right=right, q=kept))
    assert torch.equal(nft_weights(table((q,)), like="grpo"), nft_weights(table((kept,)), like="grpo"))


def test_the_floor_of_the_negative_likelihood_is_epsilon() -> None:
    at = table((math.log(1.5),))
    assert nft_of(at, right=False, q=0.5, epsilon=0.1).item() == pytest.approx(-math.log(0.5))
    assert nft_of(table((math.log(5),)), right=False, q=0.5, epsilon=0.1).item() == pytest.approx(
        -math.log(0.1)
    )


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_an_epsilon_whose_logarithm_is_none_is_refused(epsilon: float) -> None:
    with pytest.raises(BadInput, match="epsilon must be above 0"):
        nft_of(table((0.0,)), right=False, q=0.5, epsilon=epsilon)


@untimed
@given(q=st.floats(0, 1), log_ratio=st.floats(-80, 80), right=st.booleans(), single=st.booleans())
def test_nft_and_its_slope_are_finite_whatever_the_ratio(
    q: float, log_ratio: float, right: bool, single: bool
) -> None:
    at = table((log_ratio,)).float() if single else table((log_ratio,))
    assert nft_of(at, right=right, q=q).isfinite().all()
    assert slopes(lambda lp: nft_of(lp, right=right, q=q), at).isfinite().all()


def test_an_unknown_weight_of_nft_is_refused() -> None:
    with pytest.raises(BadInput, match="'dr_grpo', 'grpo' or 'none'"):
        nft_weights(table((0.5,)), like="dapo")  # type: ignore[arg-type]
