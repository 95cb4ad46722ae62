"""UFO rows: all attempts of an episode with its reward, which halves from turn to turn and hates repeats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.ufo import AFTER_A_GAP, AFTER_A_PASS, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def wrong(*texts: str) -> list[Tried]:
    return [Tried(text, 0.0, told="Try again.") for text in texts]


def reward(*tries: Tried) -> float:
    (row,) = made(log("count/0", *tries))
    (found,) = {sample.reward for sample in row.samples}
    return found


def test_a_pass_is_worth_half_as_much_with_every_turn() -> None:
    assert reward(Tried("a", 1.0)) == 1.0
    assert reward(*wrong("b"), Tried("a", 1.0)) == 0.5
    assert reward(*wrong("b", "c"), Tried("a", 1.0)) == 0.25
    assert reward(*wrong("b", "c")) == 0.0


def test_five_identical_wrong_answers_cost_four_tenths() -> None:
    assert reward(*wrong("a", "a", "a", "a", "a")) == pytest.approx(-0.4)


def test_answers_are_compared_without_case_and_spaces() -> None:
    assert reward(*wrong("SELECT a", " select  A\n")) == pytest.approx(-0.25)
    assert reward(*wrong("SELECT a", "SELECT b")) == 0.0


def test_repeats_cost_an_episode_that_passed_too() -> None:
    assert reward(*wrong("b", "b"), Tried("a", 1.0)) == pytest.approx(0.25 - 0.5 / 3)


def test_a_blank_answer_counts_neither_as_one_nor_as_a_repeat() -> None:
    assert reward(*wrong(" ", "\n", "a")) == 0.0
    assert reward(*wrong(" ")) == 0.0


def test_every_turn_stands_under_its_own_prompt_with_its_own_log_probs() -> None:
    (row,) = made(*worked_example())
    calls = [call for each in worked_example() for call in each.calls]
    assert [sample.lp for sample in row.samples] == [call.replies[0].logprobs for call in calls]
    assert [sample.prompt_ids or row.prompt_ids for sample in row.samples] == [
        call.replies[0].prompt_token_ids for call in calls
    ]
    assert [sample.turn for sample in row.samples] == [0, 0, 1, 0, 1, 0]
    assert not any(sample.off_policy for sample in row.samples)


def test_every_turn_of_a_member_weighs_its_reward_less_the_mean_of_the_members() -> None:
    (row,) = made(*worked_example())
    mean = (1.0 + 0.5 + 0.0 + 1.0) / 4
    assert weigh(row) == pytest.approx([1 - mean, 0.5 - mean, 0.5 - mean, -mean, -mean, 1 - mean])


def test_positive_feedback_never_enters_a_prompt() -> None:
    passed = log("count/0", Tried("two", 1.0, told="Right."), Tried("three", 0.0))
    found = made(passed, log("count/1", *wrong("b", "c")))
    assert found[0] == LeftOut(AFTER_A_PASS, "count/0/2")
    for sample in found[1].samples:
        assert "Right." not in decode((sample.prompt_ids or found[1].prompt_ids) + sample.ids)


def test_an_episode_ends_where_an_attempt_cannot_be_used() -> None:
    found = made(log("count/0", *wrong("b"), Tried("x", error="model: broke"), Tried("a", 1.0)))
    assert found[0] == LeftOut(AFTER_A_GAP, "count/0/3")
    assert [(sample.turn, sample.reward) for sample in found[1].samples] == [(0, 0.0)]


def test_a_member_without_a_first_attempt_has_no_episode() -> None:
    found = made(log("count/0", Tried("x", error="model: broke"), Tried("a", 1.0)))
    assert found == [LeftOut(AFTER_A_GAP, "count/0/2")]


def test_an_attempt_in_several_parts_counts_once() -> None:
    (row,) = made(
        log("count/0", Tried(["look", "two"], 1.0, cuts_replies_otherwise=True)),
        log("count/1", *wrong("b")),
    )
    assert weigh(row) == [0.5, 0.5, -0.5]


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), min_size=1, max_size=4))
def test_equal_episodes_weigh_exactly_nothing_and_no_reward_leaves_its_bounds(episodes: list) -> None:
    (row,) = made(*(log(f"count/{n}", *wrong(*each)) for n, each in enumerate(episodes)))
    assert all(-0.5 < sample.reward <= 1.0 for sample in row.samples)
    (same,) = made(*(log(f"count/{n}", *wrong(*episodes[0])) for n in range(3)))
    assert set(weigh(same)) == {0.0}
