"""HeRL rows: a rewrite of a best answer joins the group, and a bonus for what can be improved."""

from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods import grpo
from agentloop.export.methods.grpo import NO_FIRST
from agentloop.export.methods.herl import NOT_REWRITTEN, replaced, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def group_with(*scores: tuple[float, ...]) -> list[GroupRow | LeftOut]:
    """First scores, and the score of the rewrite where there is one; texts are a0, b0, a1 ..."""
    return made(
        *(
            log(
                f"count/{n}",
                *(Tried(f"{'ab'[turn]}{n}", score, told="Why.") for turn, score in enumerate(each)),
            )
            for n, each in enumerate(scores)
        )
    )


def texts(row: GroupRow) -> list[str]:
    return [decode(sample.ids) for sample in row.samples]


def standardised(values: list[float]) -> list[float]:
    return [(value - mean(values)) / (stdev(values) + 1e-4) for value in values]


def test_a_better_rewrite_of_the_best_answer_replaces_another() -> None:
    (row,) = group_with((0.5, 0.8), (0.2,))
    assert texts(row) == ["a0", "b0"]
    rewrite = row.samples[1]
    assert (rewrite.role, rewrite.lp, rewrite.off_policy, rewrite.prompt_ids) == (
        "refinement",
        None,
        True,
        None,
    )


def test_the_rewrite_holds_neither_the_feedback_nor_the_draft() -> None:
    (row,) = group_with((0.5, 0.8), (0.2,))
    text = decode(row.prompt_ids + row.samples[1].ids)
    assert "a0" not in text
    assert "Why." not in text


def test_exactly_the_tokens_of_the_kept_rewrite_are_off_policy() -> None:
    (row,) = group_with((0.5, 0.8), (0.5, 0.7), (0.2,))
    off = [sample for sample in row.samples if sample.off_policy]
    assert sum(sum(sample.segment_mask) for sample in off) == len("b0") + 1, "two letters and the end"


def test_only_answers_tied_at_the_best_are_rewritten() -> None:
    *left_out, row = group_with((0.5, 0.6), (0.5, 0.9), (0.2, 1.0))
    assert left_out == [LeftOut(NOT_REWRITTEN, "count/2/2")]
    assert texts(row) == ["a0", "a1", "b1"]


def test_a_group_with_a_right_answer_is_left_as_it_is() -> None:
    *left_out, row = made(*worked_example())
    assert left_out == [LeftOut(NOT_REWRITTEN, "count/1/2"), LeftOut(NOT_REWRITTEN, "count/2/2")]
    assert weigh(row) == grpo.weigh(row)
    *left_out, row = group_with((1.0, 1.0), (0.2,))
    assert left_out == [LeftOut(NOT_REWRITTEN, "count/0/2")]
    assert texts(row) == ["a0", "a1"]


def test_a_rewrite_as_good_as_the_best_is_usable_and_a_worse_one_is_not() -> None:
    (row,) = group_with((0.5, 0.5), (0.2,))
    assert texts(row) == ["a0", "b0"]
    (row,) = group_with((0.5, 0.4), (0.2,))
    assert texts(row) == ["a0", "a1"]


def test_the_bonus_is_a_share_of_what_the_rewrite_gained() -> None:
    (row,) = group_with((0.5, 0.8), (0.2,), (0.1,))
    paid = [
        0.5 + 0.05 * (0.8 - 0.5) if text == "a0" else {"b0": 0.8, "a1": 0.2, "a2": 0.1}[text]
        for text in texts(row)
    ]
    assert weigh(row) == pytest.approx(standardised(paid))
    assert [sample.reward for sample in row.samples][0] == 0.5, "rewards in the row are raw"


def test_the_bonus_is_negative_where_the_rewrite_was_worse() -> None:
    (row,) = group_with((0.5, 0.1), (0.2,))
    assert weigh(row) == pytest.approx(standardised([0.5 - 0.05 * 0.4, 0.2]))


def test_the_bonus_is_spread_over_the_tokens_that_were_spoken() -> None:
    (row,) = made(
        log("count/0", Tried(["look", "two"], 0.5, told="Why."), Tried("2", 0.9)),
        log("count/1", Tried("three", 0.2)),
    )
    sample = row.samples[0]
    assert sum(sample.token_rewards) == pytest.approx(0.4)
    spread = {
        reward > 0 for reward, own in zip(sample.token_rewards, sample.segment_mask, strict=True) if own
    }
    assert spread == {True}
    assert all(
        not reward for reward, own in zip(sample.token_rewards, sample.segment_mask, strict=True) if not own
    )


def test_an_attempt_that_was_not_rewritten_is_paid_its_score() -> None:
    (row,) = group_with((0.5, 0.8), (0.5,), (0.1,))
    for text, sample in zip(texts(row), row.samples, strict=True):
        assert (sample.token_rewards is not None) == (text == "a0")


def test_without_rewrites_and_bonus_it_is_grpo() -> None:
    (row,) = group_with((0.5,), (0.2,), (0.1,))
    assert weigh(row) == grpo.weigh(row)
    (row,) = group_with((0.5, 0.1), (0.2,))
    assert weigh(row, bonus=0.0) == pytest.approx(grpo.weigh(row))


def test_a_rewritten_answer_and_its_rewrite_are_two_slots() -> None:
    (row,) = group_with((0.5, 1.0), (0.2,))
    assert [(sample.member, sample.turn) for sample in row.samples] == [("count/0", 0), ("count/0", 1)]
    assert weigh(row, bonus=0.0) == pytest.approx(standardised([0.5, 1.0]))


def test_equal_rewards_weigh_exactly_nothing() -> None:
    (row,) = group_with((0.5, 0.5), (0.5, 0.5), (0.5,))
    assert weigh(row) == [0.0, 0.0, 0.0]


def test_a_group_without_a_usable_first_attempt_is_left_out() -> None:
    found = made(log("count/0", Tried("x", error="model: broke"), Tried("two", 1.0)))
    assert found == [LeftOut(NO_FIRST, "count")]


@given(st.text(max_size=20), st.lists(st.sampled_from([0.0, 0.3, 0.6]), min_size=1, max_size=6))
def test_the_best_is_never_replaced_unless_all_are_equal(group_id: str, scores: list[float]) -> None:
    slot = replaced(group_id, scores)
    assert slot == replaced(group_id, scores)
    assert scores[slot] < max(scores) or len(set(scores)) == 1


def test_groups_differ_in_the_slot_that_is_replaced() -> None:
    assert {replaced(f"task-{n}", [0.0] * 4) for n in range(50)} == {0, 1, 2, 3}


@given(st.lists(st.tuples(st.floats(0, 0.99), st.floats(0, 1)), min_size=2, max_size=5))
def test_at_most_one_sample_is_a_rewrite_and_the_size_of_the_group_holds(scores: list) -> None:
    row = group_with(*scores)[-1]
    assert len(row.samples) == len(scores)
    assert sum(sample.off_policy for sample in row.samples) <= 1
    assert sum(weigh(row)) == pytest.approx(0.0, abs=1e-6)
