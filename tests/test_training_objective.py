"""What each role costs: ratios, shaped weights and floors, at the level of single tokens."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agentloop.training.batches import MicroBatch, items_of, tensors_of
from agentloop.training.losses import nft, nft_weights
from agentloop.training.objective import token_losses
from tests.training_practice import PLAIN, quick, row, torch


def batch_of(*rows: Any) -> MicroBatch:
    return tensors_of(items_of(rows, PLAIN))


def slope(recipe: Any, batch: MicroBatch, logprobs: Sequence[Sequence[float]]) -> Any:
    """What one more nat of each token's log-probability costs."""
    leaf = torch.tensor(logprobs, dtype=torch.float64, requires_grad=True)
    losses = token_losses(recipe, batch, leaf).masked_fill(batch.mask == 0, 0.0)
    (found,) = torch.autograd.grad(losses.sum(), leaf)
    return found


SAID = [[math.log(0.5), math.log(0.1), math.log(0.001)]]
"""Three tokens: likely, at gamma, next to impossible."""


def answered(weight: float = 2.0, **named: Any) -> MicroBatch:
    return batch_of(row([1, 2], [3, 4, 5], weight, **named))


def test_a_row_sampled_by_the_policy_as_it_stands_has_the_slope_of_the_score_function() -> None:
    batch = answered(logprobs=SAID[0])
    assert slope(PLAIN, batch, SAID)[0].tolist() == pytest.approx([-2.0] * 3)


def test_a_row_without_sampling_log_probs_is_taken_as_sampled_now() -> None:
    assert slope(PLAIN, answered(), SAID)[0].tolist() == pytest.approx([-2.0] * 3)


def test_a_row_that_another_policy_sampled_is_weighed_by_the_ratio() -> None:
    batch = answered(logprobs=[each + math.log(2) for each in SAID[0]])
    assert slope(PLAIN, batch, SAID)[0].tolist() == pytest.approx([-1.0] * 3)


def test_a_ratio_beyond_the_clip_teaches_nothing_more() -> None:
    recipe = replace(PLAIN, clip=(0.2, 0.28))
    old = [SAID[0][0] - math.log(1.27), SAID[0][1] - math.log(1.3), SAID[0][2] - math.log(0.5)]
    found = slope(recipe, answered(logprobs=old), SAID)[0].tolist()
    assert found == pytest.approx([-2.0 * 1.27, 0.0, -2.0 * 0.5])


def test_the_recipes_of_rltf_and_critique_grpo_leave_the_ratio_unclipped() -> None:
    old = [each - math.log(7.0) for each in SAID[0]]
    for method in ("rltf-sd", "rltf-fm", "critique-grpo"):
        found = slope(quick(method), answered(logprobs=old), SAID)[0].tolist()
        assert found == pytest.approx([-14.0] * 3), method


def test_a_distilled_row_has_the_slope_of_weighted_likelihood_and_none_below_the_floor() -> None:
    found = slope(quick("rltf-sd"), answered(0.05, role="sd"), SAID)[0].tolist()
    assert found == pytest.approx([-0.05, -0.05, 0.0])


def test_the_floor_is_for_distilled_rows_alone() -> None:
    assert slope(quick("rltf-sd"), answered(), SAID)[0].tolist() == pytest.approx([-2.0] * 3)


@pytest.mark.parametrize("weight", [0.75, -0.25])
def test_a_refinement_has_the_shaped_slope_of_critique_grpo(weight: float) -> None:
    found = slope(quick("critique-grpo"), answered(weight, role="refinement"), SAID)[0].tolist()
    assert found == pytest.approx([-weight * 0.1 * p / (p + 0.1) ** 2 for p in (0.5, 0.1, 0.001)])


def test_sampling_log_probs_of_a_refinement_change_nothing() -> None:
    recipe, garbage = quick("critique-grpo"), [-0.1, -40.0, 0.0]
    with_them = slope(recipe, answered(role="refinement", logprobs=garbage), SAID)
    assert torch.equal(with_them, slope(recipe, answered(role="refinement"), SAID))


def test_a_refinement_is_not_taken_as_sampled_by_the_policy() -> None:
    as_refinement = slope(quick("critique-grpo"), answered(role="refinement"), SAID)
    assert not torch.allclose(as_refinement, slope(quick("critique-grpo"), answered(), SAID), rtol=0.5)


@pytest.mark.parametrize(("gamma", "share"), [(1.0, 0.25), (0.1, 0.0826446281)])
def test_a_rewrite_of_herl_starts_at_its_own_ratio_of_one(gamma: float, share: float) -> None:
    recipe = quick("herl", gamma=gamma)
    found = slope(recipe, answered(1.0, role="refinement"), SAID)[0].tolist()
    assert found == pytest.approx([-share] * 3)


def test_a_wrong_answer_of_herl_costs_no_more_than_its_dual_clip() -> None:
    batch = answered(-1.0, logprobs=[each - math.log(9.0) for each in SAID[0]])
    leaf = torch.tensor(SAID, dtype=torch.float64)
    assert token_losses(quick("herl"), batch, leaf)[0].tolist() == pytest.approx([3.0] * 3)


@pytest.mark.parametrize("role", ["feedback", "sft", "raft", "critic", ""])
def test_any_other_row_is_weighted_likelihood_without_a_floor(role: str) -> None:
    found = slope(quick("rltf-sd"), answered(0.1, role=role), SAID)[0].tolist()
    assert found == pytest.approx([-0.1] * 3)


@pytest.mark.parametrize("role", ["rl", "sd", "refinement", "feedback"])
def test_what_is_not_trained_has_no_slope_whatever_stands_there(role: str) -> None:
    batch = answered(role=role, logprobs=[-1.0, 0.0, -1.0], silent=[1])
    found = slope(quick("rltf-sd"), batch, [[-1.0, -90.0, -1.0]])[0].tolist()
    assert found[1] == 0.0
    assert all(map(math.isfinite, found))


@pytest.mark.parametrize("reward", [1.0, 0.0])
def test_negative_aware_tuning_reads_outcome_weight_and_share_from_its_row(reward: float) -> None:
    share = 0.25
    weight = float(nft_weights(torch.tensor(share)))
    signed = weight if reward else -weight
    batch = answered(signed, role="nft", logprobs=SAID[0], reward=reward, baseline=share)
    now = [[each + 0.3 for each in SAID[0]]]
    leaf, old = torch.tensor(now, dtype=torch.float64), torch.tensor(SAID)
    wanted = nft(
        leaf, old, torch.tensor([[bool(reward)]]), torch.tensor([[share]]), weights=torch.tensor([[weight]])
    )
    assert torch.allclose(token_losses(quick("nft"), batch, leaf), wanted)


def test_negative_aware_tuning_on_policy_has_the_slope_of_group_relative_learning() -> None:
    share = 0.25
    for reward, advantage in ((1.0, 0.75), (0.0, -0.25)):
        weight = (1 - share) * (1 if reward else -1)
        batch = answered(weight, role="nft", logprobs=SAID[0], reward=reward, baseline=share)
        found = slope(quick("nft"), batch, SAID)[0].tolist()
        assert found == pytest.approx([-advantage] * 3, rel=1e-5), reward
