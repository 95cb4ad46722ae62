"""Advantages: what a group makes of its rewards, and the two turns of RLTF."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.advantages import (
    group_advantages,
    group_means,
    rewrite_bonus,
    two_turns,
    uneven,
)
from tests.training_tensors import table, torch, untimed

SETTINGS: list[dict[str, Any]] = [
    {"scale": scale, "leave_one_out": leave}
    for scale in ("group", "batch", "none")
    for leave in (True, False)
]
settings = pytest.mark.parametrize("setting", SETTINGS, ids=str)
reward = st.floats(-100, 100)
rewards = st.lists(reward, min_size=2, max_size=9)


def test_grpo_divides_by_the_sample_standard_deviation() -> None:
    found = group_advantages(table(1, 0, 0, 1), scale="group")
    wanted = 0.5 / (math.sqrt(1 / 3) + 1e-4)
    assert found.tolist() == pytest.approx([wanted, -wanted, -wanted, wanted])


def test_dr_grpo_divides_by_nothing() -> None:
    assert group_advantages(table(1, 0, 0, 1), scale="none").tolist() == [0.5, -0.5, -0.5, 0.5]


def test_rloo_compares_with_the_mean_of_the_others() -> None:
    found = group_advantages(table(3, 1, 2, 0), scale="none", leave_one_out=True)
    assert found.tolist() == pytest.approx([3 - 1, 1 - 5 / 3, 2 - 4 / 3, 0 - 2])


def test_the_scale_of_a_batch_is_that_of_all_its_rewards() -> None:
    found = group_advantages(torch.stack([table(1, 0), table(9, 5)]), scale="batch", epsilon=0.0)
    spread = table(1, 0, 9, 5).std()
    assert torch.allclose(found * spread, torch.stack([table(0.5, -0.5), table(2, -2)]))


@settings
@untimed
@given(value=reward, size=st.integers(1, 9), single=st.booleans())
def test_equal_rewards_are_worth_exactly_nothing(
    setting: dict[str, Any], value: float, size: int, single: bool
) -> None:
    kind = torch.float32 if single else torch.float64
    given_rewards = torch.full((size,), value, dtype=kind)
    assert group_advantages(given_rewards, **setting, epsilon=0.0).eq(0).all()
    assert group_means(given_rewards).eq(given_rewards).all()


@settings
@untimed
@given(values=rewards, shift=reward)
def test_a_constant_added_to_all_rewards_changes_nothing(
    setting: dict[str, Any], values: list[float], shift: float
) -> None:
    values = [round(value, 3) for value in values]
    before = group_advantages(table(*values), **setting)
    after = group_advantages(table(*values) + shift, **setting)
    assert torch.allclose(before, after, atol=1e-6)


@untimed
@given(values=rewards, factor=st.floats(0.1, 10))
def test_a_factor_cancels_with_the_standard_deviation_and_stays_without(
    values: list[float], factor: float
) -> None:
    before = table(*[round(value, 3) for value in values])
    scaled = {"scale": "group", "epsilon": 0.0}
    assert torch.allclose(group_advantages(before, **scaled), group_advantages(factor * before, **scaled))
    plain = group_advantages(before, scale="none")
    assert torch.allclose(factor * plain, group_advantages(factor * before, scale="none"))


def test_five_times_the_reward_plus_three_moves_grpo_by_the_epsilon_only() -> None:
    before = table(1, 0, 0, 1)
    moved = group_advantages(5 * before + 3, scale="group") - group_advantages(before, scale="group")
    assert 1e-6 < moved.abs().max() < 2e-4


@settings
@untimed
@given(values=rewards)
def test_the_advantages_of_a_group_sum_to_nothing(setting: dict[str, Any], values: list[float]) -> None:
    found = group_advantages(table(*values), **setting)
    assert abs(float(found.sum())) <= 1e-9 * max(1.0, float(found.abs().max()))


@settings
@untimed
@given(groups=st.lists(rewards, min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_group_does_not_care_who_stands_between_its_members(
    setting: dict[str, Any], groups: list[list[float]], seed: int
) -> None:
    named = [(f"task {at}", value) for at, group in enumerate(groups) for value in group]
    order = random.Random(seed).sample(range(len(named)), len(named))
    straight = group_advantages(table(*[value for _, value in named]), [name for name, _ in named], **setting)
    mixed = [named[at] for at in order]
    found = group_advantages(table(*[value for _, value in mixed]), [name for name, _ in mixed], **setting)
    assert torch.allclose(found, straight[order])
    if setting["scale"] != "batch":
        alone = [group_advantages(table(*group), **setting) for group in groups]
        assert torch.allclose(straight, torch.cat(alone))


@settings
def test_a_table_of_groups_is_its_rows(setting: dict[str, Any]) -> None:
    grouped = torch.stack([table(1, 0, 0), table(2, 5, 2)])
    flat = group_advantages(grouped.flatten(), ["a", "a", "a", "b", "b", "b"], **setting)
    assert torch.equal(group_advantages(grouped, **setting), flat.reshape(2, 3))


def test_group_numbers_may_be_a_tensor() -> None:
    found = group_advantages(table(1, 5, 0), torch.tensor([7, 3, 7]), scale="none")
    assert found.tolist() == [0.5, 0.0, -0.5]


@settings
def test_a_sample_alone_is_worth_nothing_rather_than_its_reward(setting: dict[str, Any]) -> None:
    assert group_advantages(table(3), **setting).tolist() == [0.0]


def test_no_rewards_give_no_advantages() -> None:
    assert group_advantages(table(), scale="group").shape == (0,)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(BadInput, match="not finite"):
        group_advantages(table(1, bad), scale="none")


def test_whole_numbers_are_refused_since_their_mean_would_be_cut() -> None:
    with pytest.raises(BadInput, match="floating-point"):
        group_advantages(torch.tensor([1, 0]), scale="none")


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 2, 2), None), ((2, 2), ["a", "b"]), ((3,), ["a", "b"]), ((), None)]
)
def test_a_shape_that_does_not_fit_its_groups_is_refused(shape: tuple[int, ...], groups: Any) -> None:
    with pytest.raises(BadInput, match="shape"):
        group_advantages(torch.zeros(shape), groups, scale="none")


def test_an_unknown_scale_is_refused_with_those_known() -> None:
    with pytest.raises(BadInput, match="'group', 'batch' or 'none'"):
        group_advantages(table(1, 0), scale="std")  # type: ignore[arg-type]


def test_dapo_keeps_the_groups_that_differ() -> None:
    kept = uneven(table(1, 0, 1, 1, 0.1, 0.1, 0.1), ["a", "a", "b", "b", "c", "c", "c"])
    assert kept.tolist() == [True, True, False, False, False, False, False]


REACHED = (False, True, True, False)


def worked(first: Any, second: Any, reached: tuple[bool, ...] = REACHED, **options: Any) -> Any:
    return two_turns(table(*first), table(*second), torch.tensor(reached), **options)


def test_the_worked_example_of_two_turns() -> None:
    found = worked((1, 0, 0, 1), (math.nan, 1, 0, math.nan))
    assert found.first.tolist() == pytest.approx([0.475, -0.425, -0.525, 0.475])
    assert found.second.tolist() == pytest.approx([0, 0.5, -0.5, 0])
    assert found.distilled.tolist() == pytest.approx([0, 0.05, -0.05, 0])


def test_second_answers_all_right_after_first_ones_all_wrong_are_distilled_in_full() -> None:
    found = worked((0, 0, 0, 0), (1, 1, 1, 1), (True,) * 4, strength=1.0)
    assert found.distilled.tolist() == [1.0] * 4
    assert found.second.tolist() == [0.0] * 4, "the second turn's own baseline sees nothing here"


def test_second_answers_as_good_as_the_mean_of_the_first_are_not_distilled() -> None:
    found = worked((1, 0, 0, 1), (0, 0.5, 0.5, 0))
    assert found.distilled.tolist() == [0.0] * 4


def test_a_first_answer_that_is_right_moves_the_baseline_of_the_others() -> None:
    solved = worked((1, 0, 0, 1), (0, 1, 1, 0)).distilled
    unsolved = worked((0, 0, 0, 0), (0, 1, 1, 0)).distilled
    assert (solved[1], unsolved[1]) == (pytest.approx(0.05), pytest.approx(0.1))
    assert solved[0] == 0, "and makes no row of its own"


def test_two_turns_of_several_groups_are_those_of_each() -> None:
    names = ["b", "a", "b", "a"]
    found = worked((1, 0, 0, 0), (0, 1, 1, 0), (False, True, True, True), groups=names)
    apart = [
        worked((1, 0), (0, 1), (False, True)),
        worked((0, 0), (1, 0), (True, True)),
    ]
    for whole, b, a in zip(found, *apart, strict=True):
        assert torch.allclose(whole, torch.stack([b[0], a[0], b[1], a[1]]))
    tabled = two_turns(
        torch.stack([table(1, 0), table(0, 0)]),
        torch.stack([table(0, 1), table(1, 0)]),
        torch.tensor([[False, True], [True, True]]),
    )
    for part, b, a in zip(tabled, *apart, strict=True):
        assert torch.allclose(part, torch.stack([b, a]))


@untimed
@given(values=rewards)
def test_without_a_second_turn_the_first_is_dr_grpo(values: list[float]) -> None:
    nobody = [0.0] * len(values)
    found = worked(values, nobody, (False,) * len(values))
    assert torch.equal(found.first, group_advantages(table(*values), scale="none"))
    assert found.second.eq(0).all() and found.distilled.eq(0).all()


def test_a_bonus_goes_to_rewritten_attempts_only() -> None:
    rewarded = rewrite_bonus(
        table(0.5, 0.5, 0.8), torch.tensor([True, False, True]), table(1.0, math.nan, 0.4)
    )
    assert rewarded.tolist() == pytest.approx([0.525, 0.5, 0.78]), "and takes from one whose rewrite is worse"


def test_a_bonus_of_nothing_leaves_plain_grpo() -> None:
    plain = table(0.5, 0.25)
    assert torch.equal(rewrite_bonus(plain, torch.tensor([True, True]), table(1, 1), alpha=0.0), plain)
