"""Critique-GRPO rows: one refinement in slot 0 of the group, under the prompt without the critique."""

import pytest

from agentloop.export.groups import read_groups
from agentloop.export.methods.critique_grpo import NO_REFINEMENT, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def test_the_advantages_are_those_of_the_worked_example() -> None:
    (row,) = made(*worked_example())
    assert [sample.reward for sample in row.samples] == [1.0, 0.0, 0.0, 1.0]
    assert weigh(row) == pytest.approx([0.5, -0.5, -0.5, 0.5])


def test_exactly_one_sample_of_a_group_is_off_policy_and_it_is_the_first() -> None:
    (row,) = made(*worked_example())
    assert [sample.off_policy for sample in row.samples] == [True, False, False, False]
    refinement, *others = row.samples
    assert (refinement.role, refinement.lp) == ("refinement", None)
    assert [sample.member for sample in others] == ["count/1", "count/2", "count/3"]
    assert all(sample.lp is not None for sample in others)


def test_the_refinement_holds_neither_critique_nor_failed_attempt() -> None:
    (row,) = made(*worked_example())
    text = decode(row.prompt_ids + row.samples[0].ids)
    assert "two!" in text
    assert not any(words in text for words in ("Deleted", "three", "feedback"))


def test_the_first_right_refinement_is_kept() -> None:
    (row,) = made(
        log("count/0", Tried("a", 0.0, told="No."), Tried("b", 0.5)),
        log("count/1", Tried("c", 0.0, told="No."), Tried("d", 1.0)),
        log("count/2", Tried("e", 0.0, told="No."), Tried("f", 1.0)),
    )
    assert decode(row.samples[0].ids) == "d"


def test_without_a_right_one_the_best_refinement_is_kept_and_pushed_down() -> None:
    (row,) = made(
        log("count/0", Tried("a", 0.0, told="No."), Tried("b", 0.1)),
        log("count/1", Tried("c", 0.2, told="No."), Tried("d", 0.3)),
        log("count/2", Tried("e", 1.0)),
    )
    assert decode(row.samples[0].ids) == "d"
    assert weigh(row)[0] == pytest.approx(0.3 - 0.5)


def test_a_group_all_right_or_all_wrong_weighs_exactly_nothing() -> None:
    (row,) = made(
        *(log(f"count/{n}", Tried(f"a{n}", 0.0, told="No."), Tried(f"b{n}", 0.0)) for n in range(3))
    )
    assert weigh(row) == [0.0, 0.0, 0.0]


def test_a_group_without_a_refinement_is_left_out() -> None:
    assert made(log("count/0", Tried("two", 1.0))) == [LeftOut(NO_REFINEMENT, "count")]


def test_an_attempt_in_several_parts_counts_once_in_the_mean() -> None:
    (row,) = made(
        log("count/0", Tried("a", 0.0, told="No."), Tried(["x", "b"], 1.0, cuts_replies_otherwise=True)),
        log("count/1", Tried("c", 0.0)),
    )
    assert weigh(row) == [0.5, 0.5, -0.5]


def test_the_strength_scales_the_refinement_alone() -> None:
    (row,) = made(*worked_example())
    assert weigh(row, strength=0.5) == pytest.approx([0.25, -0.5, -0.5, 0.5])
    assert weigh(row, strength=0.0)[0] == 0.0
