"""RLTF-SD rows and weights: the worked example, the whole group's baseline, and nothing of the feedback."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.rltf_sd import AFTER_A_PASS, NO_FIRST, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def weights(row: GroupRow, *, turn: int, role: str = "rl") -> list[float]:
    pairs = zip(row.samples, weigh(row), strict=True)
    return [weight for sample, weight in pairs if (sample.turn, sample.role) == (turn, role)]


def group_with(*rewards: tuple[float, ...]) -> GroupRow:
    tries = [
        [Tried(f"{n}{turn}", score, told="Why.") for turn, score in enumerate(each)]
        for n, each in enumerate(rewards)
    ]
    (row,) = made(*(log(f"count/{n}", *each) for n, each in enumerate(tries)))
    return row


def test_the_weights_are_those_of_the_worked_example() -> None:
    (row,) = made(*worked_example())
    assert weights(row, turn=0) == pytest.approx([0.475, -0.425, -0.525, 0.475])
    assert weights(row, turn=1) == pytest.approx([0.5, -0.5])
    assert weights(row, turn=1, role="sd") == pytest.approx([0.05, -0.05])


def test_positive_only_drops_what_would_be_pushed_down_and_nothing_else() -> None:
    (row,) = made(*worked_example())
    found = dict(zip([(s.attempt, s.role) for s in row.samples], weigh(row, positive_only=True), strict=True))
    plain = dict(zip([(s.attempt, s.role) for s in row.samples], weigh(row), strict=True))
    assert found.pop(("count/2/2", "sd")) == 0.0
    assert plain.pop(("count/2/2", "sd")) < 0.0
    assert found == plain


def test_rewards_in_the_row_are_the_raw_scores() -> None:
    (row,) = made(*worked_example())
    assert [sample.reward for sample in row.samples if sample.turn == 0] == [1.0, 0.0, 0.0, 1.0]
    assert [sample.reward for sample in row.samples if sample.role == "sd"] == [1.0, 0.0]


def test_the_distilled_row_is_the_second_answer_as_sampled_under_the_first_prompt() -> None:
    (row,) = made(*worked_example())
    distilled = next(sample for sample in row.samples if sample.role == "sd")
    second = worked_example()[1].calls[1].replies[0]
    assert distilled.ids == second.token_ids
    assert distilled.prompt_ids is None
    assert row.prompt_ids == worked_example()[1].calls[0].replies[0].prompt_token_ids
    assert (distilled.off_policy, distilled.lp) == (True, None)


def test_the_second_turn_keeps_the_prompt_and_log_probs_it_was_sampled_with() -> None:
    (row,) = made(*worked_example())
    sample = next(each for each in row.samples if each.turn == 1 and each.role == "rl")
    reply = worked_example()[1].calls[1].replies[0]
    assert (sample.prompt_ids, sample.ids, sample.lp) == (
        reply.prompt_token_ids,
        reply.token_ids,
        reply.logprobs,
    )
    assert not sample.off_policy


def test_neither_feedback_nor_the_failed_attempt_stands_in_a_distilled_row() -> None:
    (row,) = made(*worked_example())
    for sample in row.samples:
        if sample.role == "sd":
            text = decode(row.prompt_ids + sample.ids)
            assert not any(words in text for words in ("Deleted", "dates", "three", "four", "feedback"))


def test_when_feedback_always_helps_the_weight_is_the_whole_strength() -> None:
    row = group_with((0.0, 1.0), (0.0, 1.0))
    assert weights(row, turn=1, role="sd") == [0.1, 0.1]
    assert weights(row, turn=1) == [0.0, 0.0]


def test_a_member_solved_at_once_has_no_distilled_row_but_moves_the_baseline() -> None:
    with_it, without = group_with((1.0,), (0.0, 1.0)), group_with((0.0,), (0.0, 1.0))
    assert len(weights(with_it, turn=1, role="sd")) == 1
    assert weights(with_it, turn=1, role="sd") == pytest.approx([0.05])
    assert weights(without, turn=1, role="sd") == pytest.approx([0.1])


def test_a_second_answer_as_good_as_the_first_ones_on_average_weighs_nothing() -> None:
    assert weights(group_with((0.5, 0.5), (0.5,)), turn=1, role="sd") == [0.0]


def test_a_group_of_one_weighs_nothing_at_its_first_turn() -> None:
    assert weights(group_with((0.0, 1.0)), turn=0) == [0.0]


def test_an_attempt_after_a_right_first_answer_is_left_out() -> None:
    found = made(log("count/0", Tried("two", 1.0, told="Hm."), Tried("three", 0.0)))
    assert found[0] == LeftOut(AFTER_A_PASS, "count/0/2")
    assert isinstance(found[1], GroupRow)
    assert len(found[1].samples) == 1


def test_a_second_attempt_without_a_usable_first_is_left_out() -> None:
    found = made(log("count/0", Tried("x", error="model: broke"), Tried("two", 1.0)))
    assert found == [LeftOut(NO_FIRST, "count/0/2")]


def test_lists_of_a_sample_are_equally_long_and_silent_on_observations() -> None:
    (row,) = made(log("count/0", Tried(["look", "two"], 0.0, told="Why."), Tried(["seek", "2"], 1.0)))
    for sample in row.samples:
        assert len(sample.ids) == len(sample.segment_mask)
        assert sample.lp is None or len(sample.lp) == len(sample.ids)
        own = [each for each, mask in zip(sample.ids, sample.segment_mask, strict=True) if mask]
        assert decode(own) in ("looktwo", "seek2")
        assert "saw" in decode(sample.ids)
    first = row.samples[0]
    assert all((value == 0.0) != bool(mask) for value, mask in zip(first.lp, first.segment_mask, strict=True))


def test_an_attempt_in_several_parts_counts_as_one_member() -> None:
    broken = log("count/0", Tried(["look", "two"], 1.0, cuts_replies_otherwise=True))
    (row,) = made(broken, log("count/1", Tried("three", 0.0)))
    assert [(sample.member, sample.part) for sample in row.samples] == [
        ("count/0", 0),
        ("count/0", 1),
        ("count/1", 0),
    ]
    assert weigh(row) == [0.5, 0.5, -0.5]


def test_parts_of_a_distilled_attempt_stand_under_the_first_prompt_too() -> None:
    tried = Tried(["seek", "2"], 1.0, cuts_replies_otherwise=True)
    (row,) = made(log("count/0", Tried("three", 0.0, told="Deleted users."), tried))
    parts = [sample for sample in row.samples if sample.role == "sd"]
    assert [decode(sample.ids) for sample in parts] == ["seek", "2"]
    assert parts[1].prompt_ids[: len(row.prompt_ids)] == row.prompt_ids
    assert "Deleted" not in decode(parts[1].prompt_ids)


def test_a_row_round_trips_through_json() -> None:
    (row,) = made(*worked_example())
    assert GroupRow.from_json(row.to_json()) == row


SCORE = st.floats(0.0, 0.99)
MEMBERS = st.lists(st.one_of(st.tuples(SCORE), st.tuples(SCORE, st.floats(0.0, 1.0))), min_size=1, max_size=5)


def plain_row(rewards: list[tuple[float, ...]]) -> GroupRow:
    def sample(member: int, turn: int, reward: float, role: str) -> Sample:
        return Sample(
            ids=(1,),
            lp=(0.0,),
            reward=reward,
            segment_mask=(1,),
            policy_version="p",
            member=str(member),
            attempt=f"{member}/{turn}",
            turn=turn,
            role=role,
        )

    samples = [sample(n, t, r, "rl") for n, each in enumerate(rewards) for t, r in enumerate(each)]
    samples += [sample(n, 1, each[1], "sd") for n, each in enumerate(rewards) if len(each) > 1]
    meta = group_with((0.0,)).meta
    return GroupRow(group_id="g", prompt_ids=(1,), samples=tuple(samples), meta=meta)


@given(MEMBERS)
def test_weights_of_each_turn_add_up_to_nothing(rewards: list[tuple[float, ...]]) -> None:
    row = plain_row(rewards)
    assert sum(weights(row, turn=0)) == pytest.approx(0.0, abs=1e-9)
    assert sum(weights(row, turn=1)) == pytest.approx(0.0, abs=1e-9)


@given(st.floats(0.0, 1.0), st.integers(1, 6))
def test_equal_rewards_weigh_exactly_nothing(reward: float, members: int) -> None:
    row = plain_row([(reward, reward)] * members)
    assert weigh(row) == [0.0] * (3 * members)


@given(st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=5), st.floats(-3, 3))
def test_adding_a_constant_to_every_reward_changes_nothing(
    rewards: list[tuple[float, float]], constant: float
) -> None:
    shifted = [(first + constant, second + constant) for first, second in rewards]
    assert weigh(plain_row(shifted)) == pytest.approx(weigh(plain_row(rewards)), abs=1e-9)
