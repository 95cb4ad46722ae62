"""GRPO rows: first answers as sampled; GRPO, Dr.GRPO and RLOO differ by the advantage alone."""

from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.export.groups import read_groups
from agentloop.export.methods.grpo import NO_FIRST, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, log, worked_example

SCORES = st.lists(st.floats(-10, 10), min_size=2, max_size=6)


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def group_with(*rewards: float) -> GroupRow:
    (row,) = made(*(log(f"count/{n}", Tried(f"a{n}", reward)) for n, reward in enumerate(rewards)))
    return row


def test_a_row_holds_the_first_answers_with_raw_rewards_as_they_were_sampled() -> None:
    (row,) = made(*worked_example())
    assert [(each.reward, decode(each.ids)) for each in row.samples] == [
        (1.0, "two"),
        (0.0, "three"),
        (0.0, "four"),
        (1.0, "2"),
    ]
    reply = worked_example()[0].calls[0].replies[0]
    assert (row.samples[0].ids, row.samples[0].lp) == (reply.token_ids, reply.logprobs)
    assert row.prompt_ids == reply.prompt_token_ids
    assert not any(each.off_policy or each.prompt_ids for each in row.samples)


def test_the_default_divides_by_the_deviation_of_a_sample() -> None:
    deviation = stdev([1.0, 0.0, 0.0, 1.0]) + 1e-4
    assert weigh(group_with(1.0, 0.0, 0.0, 1.0)) == pytest.approx(
        [0.5 / deviation, -0.5 / deviation, -0.5 / deviation, 0.5 / deviation]
    )


def test_dr_grpo_only_centres() -> None:
    assert weigh(group_with(1.0, 0.0, 0.0, 0.0), scale="none") == [0.75, -0.25, -0.25, -0.25]


@given(SCORES)
def test_rloo_is_the_reward_less_the_mean_of_the_others(rewards: list[float]) -> None:
    expected = [
        reward - sum(rewards[:n] + rewards[n + 1 :]) / (len(rewards) - 1) for n, reward in enumerate(rewards)
    ]
    found = weigh(group_with(*rewards), scale="none", leave_one_out=True)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("options", [{}, {"scale": "none"}, {"scale": "none", "leave_one_out": True}])
@pytest.mark.parametrize("rewards", [(0.1, 0.1, 0.1), (0.7,), (1.0,), (0.0, 0.0)])
def test_equal_rewards_and_a_group_of_one_weigh_exactly_nothing(rewards: tuple, options: dict) -> None:
    assert weigh(group_with(*rewards), **options) == [0.0] * len(rewards)


@given(SCORES, st.floats(-3, 3))
def test_adding_a_constant_to_every_reward_changes_nothing(rewards: list[float], constant: float) -> None:
    shifted = group_with(*(reward + constant for reward in rewards))
    assert weigh(shifted, scale="none") == pytest.approx(weigh(group_with(*rewards), scale="none"), abs=1e-9)


def test_multiplying_every_reward_changes_nothing_only_where_the_deviation_divides() -> None:
    rewards, scaled = (1.0, 0.25, 0.0), (5.0, 1.25, 0.0)
    assert weigh(group_with(*scaled)) == pytest.approx(weigh(group_with(*rewards)), abs=1e-3)
    assert weigh(group_with(*scaled), scale="none") == pytest.approx(
        [5 * weight for weight in weigh(group_with(*rewards), scale="none")]
    )


def test_an_attempt_in_several_parts_counts_once() -> None:
    (row,) = made(
        log("count/0", Tried(["look", "two"], 1.0, cuts_replies_otherwise=True)),
        log("count/1", Tried("three", 0.0)),
    )
    assert weigh(row, scale="none") == [0.5, 0.5, -0.5]


def test_another_scale_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(BadInput, match="group, none, got 'batch'"):
        weigh(group_with(1.0, 0.0), scale="batch")


def test_a_group_without_a_usable_first_attempt_is_left_out() -> None:
    assert made(log("count/0", Tried("x", error="model: broke"), Tried("two", 1.0))) == [
        LeftOut(NO_FIRST, "count")
    ]
