"""The policy gradient, weighted likelihood and shaped weights: values, slopes, and which are the same."""

import decimal
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.advantages import group_advantages, two_turns
from agentloop.training.losses import (
    kl_k3,
    normalised,
    policy_gradient,
    respect,
    shaped,
    shaped_ratio,
    token_logprobs,
    unlikelihood,
    weighted_nll,
)
from tests.training_tensors import slopes, some_logits, table, torch, untimed

probability = st.floats(0.001, 0.999)
ratio = st.floats(0.05, 20)
advantage = st.floats(-3, 3)


@untimed
@given(logprob=st.floats(-9, -0.01), side=advantage)
@pytest.mark.parametrize("clip", [{}, {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": 3.0}], ids=str)
def test_on_policy_the_gradient_is_minus_the_advantage(
    clip: dict[str, float], logprob: float, side: float
) -> None:
    at = table((logprob,))
    for old in (None, at):
        found = slopes(lambda lp, old=old: policy_gradient(lp, old, table((side,)), **clip), at)
        assert found.item() == pytest.approx(-side)


@pytest.mark.parametrize(
    ("moved", "side", "loss", "slope"),
    [
        (1.1, 1.0, -1.1, -1.1),
        (1.5, 1.0, -1.28, 0.0),
        (0.5, 1.0, -0.5, -0.5),
        (0.5, -1.0, 0.8, 0.0),
        (0.9, -1.0, 0.9, 0.9),
        (1.5, -1.0, 1.5, 1.5),
        (9.0, -1.0, 3.0, 0.0),
        (9.0, 1.0, -1.28, 0.0),
    ],
)
def test_a_ratio_counts_up_to_where_it_is_clipped(
    moved: float, side: float, loss: float, slope: float
) -> None:
    at, old = table((math.log(moved),)), table((0.0,))

    def clipped(lp: Any) -> Any:
        return policy_gradient(lp, old, table((side,)), clip_low=0.2, clip_high=0.28, dual_clip=3.0)

    assert clipped(at).item() == pytest.approx(loss)
    assert slopes(clipped, at).item() == pytest.approx(slope)


@untimed
@given(moved=ratio, side=advantage)
def test_an_unclipped_ratio_counts_in_full(moved: float, side: float) -> None:
    found = policy_gradient(table((math.log(moved),)), table((0.0,)), table((side,)))
    assert found.item() == pytest.approx(-moved * side)


def test_a_side_that_is_not_given_is_open() -> None:
    at, up = table((math.log(5.0), math.log(0.1))), table((1.0, -1.0))
    assert policy_gradient(at, table((0.0, 0.0)), up, clip_low=0.2).tolist() == [
        [pytest.approx(-5.0), pytest.approx(0.8)]
    ]
    assert policy_gradient(at, table((0.0, 0.0)), up, clip_high=0.2).tolist() == [
        [pytest.approx(-1.2), pytest.approx(0.1)]
    ]


@pytest.mark.parametrize("bound", [1.0, 0.5, -3.0, math.nan])
def test_a_dual_clip_that_would_turn_the_bound_around_is_refused(bound: float) -> None:
    with pytest.raises(BadInput, match="above 1"):
        policy_gradient(table((-1.0,)), None, table((1.0,)), dual_clip=bound)


@untimed
@given(value=st.floats(-10, 10), size=st.integers(1, 5))
@pytest.mark.parametrize("scale", ["group", "none"])
def test_a_group_of_equal_rewards_moves_nothing(scale: Any, value: float, size: int) -> None:
    logits, labels = some_logits(rows=size)
    sides = group_advantages(torch.full((size,), value, dtype=torch.float64), scale=scale).unsqueeze(-1)
    logprobs = token_logprobs(logits, labels)
    clipped = policy_gradient(logprobs, logprobs.detach() - 0.3, sides, clip_low=0.2, clip_high=0.2)
    (slope,) = torch.autograd.grad(clipped.sum() + shaped(logprobs, sides).sum(), logits)
    assert slope.eq(0).all(), "neither the answers nor a refinement among them"


def test_the_k3_estimate_has_the_divergence_as_its_mean() -> None:
    ours, reference = (some_logits(1, 1, words)[0].detach().log_softmax(-1) for words in (7, 7))
    reference = (reference + torch.linspace(-1, 1, 7)).log_softmax(-1)
    mean = (ours.exp() * kl_k3(ours, reference)).sum()
    assert mean.item() == pytest.approx((ours.exp() * (ours - reference)).sum().item())


def test_the_k3_estimate_times_the_ratio_has_the_slope_of_the_divergence_as_its_mean() -> None:
    logits, _ = some_logits(1, 1)
    ours = logits.log_softmax(-1)
    reference = (ours.detach() + torch.linspace(-1, 1, 7)).log_softmax(-1)
    old = (ours.detach() - torch.linspace(-1, 0.5, 7)).log_softmax(-1)
    (wanted,) = torch.autograd.grad((ours.exp() * (ours - reference)).sum(), logits, retain_graph=True)
    corrected = (old.exp() * kl_k3(ours, reference, old_logprobs=old)).sum()
    (found,) = torch.autograd.grad(corrected, logits, retain_graph=True)
    assert torch.allclose(found, wanted)
    (plain,) = torch.autograd.grad((ours.detach().exp() * kl_k3(ours, reference)).sum(), logits)
    assert not torch.allclose(plain, wanted, rtol=0.1), "and the estimate alone has not, even on policy"


@untimed
@given(ours=st.floats(-20, 0), reference=st.floats(-20, 0))
def test_the_k3_estimate_is_never_negative_and_nothing_where_both_agree(
    ours: float, reference: float
) -> None:
    assert kl_k3(table((ours,)), table((reference,))).item() >= -1e-12
    assert kl_k3(table((ours,)), table((ours,))).item() == 0.0


def test_a_token_below_the_floor_has_a_weight_of_exactly_nothing() -> None:
    at = table((-6.0, -5.0, -4.0, -math.inf))

    def distilled(lp: Any) -> Any:
        return weighted_nll(lp, table((0.05,)), floor=-5.0)

    assert distilled(at).tolist() == [[0.0, 0.25, pytest.approx(0.2), 0.0]]
    assert slopes(distilled, at).tolist() == [[0.0, -0.05, -0.05, 0.0]]


@untimed
@given(logprob=st.floats(-9, 0), weight=advantage)
def test_self_distillation_has_the_slope_of_weighted_likelihood_whatever_its_value(
    logprob: float, weight: float
) -> None:
    """RLTF puts the policy's own logprobs where those of sampling were: a ratio of one."""
    at, weights = table((logprob,)), table((weight,))
    as_ratio = slopes(lambda lp: policy_gradient(lp, None, weights), at)
    assert torch.equal(as_ratio, slopes(lambda lp: weighted_nll(lp, weights), at))


def test_second_answers_worth_the_mean_of_the_first_ones_distil_nothing() -> None:
    turns = two_turns(table(1, 0), table(0, 0.5), torch.tensor([False, True]))
    found = slopes(
        lambda lp: weighted_nll(lp, turns.distilled.unsqueeze(-1), floor=-5.0), table((-1,), (-2,))
    )
    assert found.eq(0).all()


def test_feedback_modelling_of_weight_zero_leaves_the_other_loss_bit_for_bit() -> None:
    logits, labels = some_logits()

    def gradient(weight: float | None) -> Any:
        logprobs = token_logprobs(logits, labels)
        loss = policy_gradient(logprobs[:1], None, table((0.3,)))
        if weight is not None:
            loss = loss + weighted_nll(logprobs[1:], table((weight,)))
        return torch.autograd.grad(loss.sum(), logits)[0]

    assert torch.equal(gradient(None), gradient(0.0))
    assert not torch.equal(gradient(None), gradient(0.1))


@pytest.mark.parametrize(
    ("p", "coefficient"), [(0.001, 0.0098), (0.01, 0.0826), (0.1, 0.25), (0.5, 0.1389), (0.999, 0.0827)]
)
def test_the_shaped_weight_teaches_most_at_gamma(p: float, coefficient: float) -> None:
    found = slopes(lambda lp: shaped(lp, table((1.0,)), gamma=0.1), table((math.log(p),)))
    assert found.item() == pytest.approx(-coefficient, abs=5e-5)


@untimed
@given(p=probability, gamma=st.floats(0.01, 10), side=advantage)
def test_the_slope_of_the_shaped_weight_is_as_derived(p: float, gamma: float, side: float) -> None:
    found = slopes(lambda lp: shaped(lp, table((side,)), gamma=gamma), table((math.log(p),)))
    assert found.item() == pytest.approx(-side * gamma * p / (p + gamma) ** 2, rel=1e-9)


def test_a_certain_token_moves_less_than_an_unlikely_one() -> None:
    found = slopes(lambda lp: shaped(lp, table((1.0,))), table((0.0, math.log(0.1)))).abs()
    assert found[0, 0] < found[0, 1]


def test_with_a_great_gamma_the_shaped_weight_is_the_probability() -> None:
    at = table((math.log(0.3),))
    assert (shaped(at, table((1.0,)), gamma=1e9) * 1e9).item() == pytest.approx(-0.3)


def test_a_wrong_refinement_is_pushed_down() -> None:
    sides = group_advantages(table(0, 1, 1, 0), scale="none")
    slope = slopes(lambda lp: shaped(lp, sides[:1].unsqueeze(-1)), table((-1.0, -3.0)))
    assert slope.gt(0).all(), "a loss that grows with the log-probability"


@pytest.mark.parametrize(("gamma", "coefficient"), [(1.0, 0.25), (0.1, 0.0826)])
def test_the_shaped_ratio_begins_with_the_coefficient_of_its_gamma(gamma: float, coefficient: float) -> None:
    at = table((-1.5,))
    found = slopes(lambda lp: shaped_ratio(lp, at, table((1.0,)), gamma=gamma), at)
    assert found.item() == pytest.approx(-coefficient, abs=5e-5)


@untimed
@given(logprob=st.floats(-9, 0), side=advantage, gamma=st.floats(0.01, 10))
def test_without_a_denominator_the_shaped_ratio_is_the_shaped_weight(
    logprob: float, side: float, gamma: float
) -> None:
    at, sides = table((logprob,)), table((side,))
    assert torch.equal(shaped_ratio(at, table((0.0,)), sides, gamma=gamma), shaped(at, sides, gamma=gamma))


def test_a_ratio_beyond_all_numbers_still_has_a_shaped_weight() -> None:
    assert shaped_ratio(torch.tensor([0.0]), torch.tensor([-500.0]), torch.tensor([1.0])).item() == -1.0


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan])
def test_a_gamma_that_shapes_nothing_is_refused(gamma: float) -> None:
    with pytest.raises(BadInput, match="gamma must be above 0"):
        shaped(table((-1.0,)), table((1.0,)), gamma=gamma)
    with pytest.raises(BadInput, match="gamma must be above 0"):
        shaped_ratio(table((-1.0,)), table((-1.0,)), table((1.0,)), gamma=gamma)


@untimed
@given(p=probability)
def test_unlikelihood_is_the_likelihood_of_something_else(p: float) -> None:
    at = table((math.log(p),))
    assert unlikelihood(at).item() == pytest.approx(-math.log1p(-p))
    assert slopes(unlikelihood, at).item() == pytest.approx(p / (1 - p))


@pytest.mark.parametrize(("kind", "exact"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("logprob", [-1e-5, -1e-3, -math.log(2), -40.0])
def test_unlikelihood_keeps_its_digits_at_both_ends(logprob: float, kind: str, exact: float) -> None:
    at = torch.tensor([logprob], dtype=getattr(torch, kind))
    with decimal.localcontext(prec=60):
        wanted = -(1 - decimal.Decimal(at.item()).exp()).ln()
    assert unlikelihood(at).item() == pytest.approx(float(wanted), rel=exact, abs=0)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_certainty_can_still_be_unlearnt(kind: str) -> None:
    at = torch.zeros(1, 1, dtype=getattr(torch, kind))
    assert unlikelihood(at).item() == pytest.approx(13.8, abs=0.1)
    assert 0 < slopes(unlikelihood, at).item() < math.inf


def respected(polarity: float, logprobs: Any, old: Any) -> Any:
    mask = torch.tensor([[1, 1, 0]])
    return slopes(
        lambda lp: normalised(respect(lp, old, table((polarity,)), mask=mask), mask, by="sequences"), logprobs
    )


def test_a_welcome_action_is_learnt_and_a_neutral_one_is_not() -> None:
    at = table((-1.0, -2.0, -9.0))
    assert respected(1, at, at).tolist() == [[-0.5, -0.5, 0.0]]
    assert respected(0, at, at).eq(0).all()


def test_an_unwelcome_action_is_unlearnt_by_a_tenth_and_no_further_once_it_is_gone() -> None:
    at = table((-1.0, -0.5, -9.0))
    assert respected(-1, at, at).tolist() == [[pytest.approx(0.05), pytest.approx(0.05), 0.0]]
    gone = respected(-1, table((-30.0, -30.0, 0.0)), at)
    assert 0 < gone[0, 0] < 1e-9


def test_an_action_that_was_next_to_impossible_counts_as_one_in_a_hundred() -> None:
    at = table((math.log(0.01), 0.0, 0.0))
    assert respected(-1, at, table((-50.0, 0.0, 0.0)))[0, 0].item() == pytest.approx(0.05)
