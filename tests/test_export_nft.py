"""NFT rows: mixed groups only, right and wrong as 1 and 0, and weights by the share that passed."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.export.groups import read_groups
from agentloop.export.methods.grpo import NO_FIRST
from agentloop.export.methods.nft import ALL_RIGHT, ALL_WRONG, group_weight, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def group_of(right: int, wrong: int) -> list[GroupRow | LeftOut]:
    scores = [1.0] * right + [0.0] * wrong
    return made(*(log(f"count/{n}", Tried(f"a{n}", score)) for n, score in enumerate(scores)))


def test_first_answers_stand_in_role_nft_with_their_log_probs() -> None:
    (row,) = made(*worked_example())
    assert [(each.role, each.turn, each.reward) for each in row.samples] == [
        ("nft", 0, 1.0),
        ("nft", 0, 0.0),
        ("nft", 0, 0.0),
        ("nft", 0, 1.0),
    ]
    assert row.samples[1].lp == worked_example()[1].calls[0].replies[0].logprobs


def test_a_partial_score_counts_as_wrong_so_that_the_mean_is_the_share_that_passed() -> None:
    (row,) = made(log("count/0", Tried("a", 1.0)), log("count/1", Tried("b", 0.9)))
    assert [each.reward for each in row.samples] == [1.0, 0.0]


def test_groups_all_right_or_all_wrong_are_left_out() -> None:
    assert group_of(3, 0) == [LeftOut(ALL_RIGHT, "count")]
    assert group_of(0, 3) == [LeftOut(ALL_WRONG, "count")]
    assert group_of(1, 0) == [LeftOut(ALL_RIGHT, "count")]
    broken = log("count/0", Tried("x", error="model: broke"), Tried("two", 1.0))
    assert made(broken) == [LeftOut(NO_FIRST, "count")]


def test_right_answers_weigh_plus_and_wrong_ones_minus_the_weight_of_the_group() -> None:
    (row,) = group_of(1, 3)
    assert weigh(row) == pytest.approx([0.75, -0.75, -0.75, -0.75])
    assert weigh(row, normalize=2) == pytest.approx([sqrt(3), -sqrt(3), -sqrt(3), -sqrt(3)])
    assert weigh(row, normalize=0) == [1.0, -1.0, -1.0, -1.0]


@given(st.integers(1, 7), st.integers(1, 7))
def test_on_policy_the_advantages_are_those_of_dr_grpo_and_grpo(right: int, wrong: int) -> None:
    (row,) = group_of(right, wrong)
    q = right / (right + wrong)
    factor = {True: 1.0, False: q / (1 - q)}
    for normalize, spread in ((1, 1.0), (2, sqrt(q * (1 - q)))):
        weights = weigh(row, normalize=normalize)
        found = [w * factor[s.reward > 0] for w, s in zip(weights, row.samples, strict=True)]
        assert found == pytest.approx([(s.reward - q) / spread for s in row.samples])


def test_the_share_is_kept_away_from_nothing_and_all() -> None:
    assert group_weight(0.001, 1) == pytest.approx(0.98)
    assert group_weight(0.999, 1) == pytest.approx(0.02)
    assert group_weight(0.999, 2) == pytest.approx(sqrt(0.02 / 0.98))


def test_an_attempt_in_several_parts_counts_once_in_the_share() -> None:
    (row,) = made(
        log("count/0", Tried(["look", "two"], 1.0, cuts_replies_otherwise=True)),
        log("count/1", Tried("three", 0.0)),
    )
    assert weigh(row) == [0.5, 0.5, -0.5]


def test_another_normalize_is_refused_with_what_is_allowed() -> None:
    (row,) = group_of(1, 1)
    with pytest.raises(BadInput, match="0, 1, 2, got 3"):
        weigh(row, normalize=3)
