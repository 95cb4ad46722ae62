"""Preference pairs: right before wrong, the same prompt, evenly used, none of equal texts."""

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.dpo import PAIRS, STEPS, rows
from agentloop.export.rows import LeftOut, PreferenceRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, log, worked_example


def made(*trajectories: Trajectory) -> list[PreferenceRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def texts(found: list[PreferenceRow | LeftOut]) -> list[tuple[str, str]]:
    return [
        (row.chosen[0]["content"], row.rejected[0]["content"])
        for row in found
        if isinstance(row, PreferenceRow)
    ]


def test_a_pair_is_an_answer_that_passed_and_one_that_failed_under_the_first_prompt() -> None:
    (row,) = made(worked_example()[1])
    assert row.prompt == ({"role": "user", "content": TASK.prompt},)
    assert (row.chosen, row.rejected) == (
        ({"role": "assistant", "content": "two!"},),
        ({"role": "assistant", "content": "three"},),
    )
    assert row.meta.attempts == ("count/1/2", "count/1/1")


def test_pairs_within_a_trajectory_come_before_pairs_across_samples() -> None:
    assert texts(made(*worked_example()))[0] == ("two!", "three")
    assert len(texts(made(*worked_example()))) == PAIRS


def test_equal_answers_count_once_and_are_never_a_pair() -> None:
    found = made(
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried(" two ", 1.0)),
        log("count/2", Tried("three", 0.0)),
        log("count/3", Tried("three", 0.0)),
    )
    assert texts(found) == [("two", "three")]


def test_an_answer_that_both_passed_and_failed_is_in_no_pair() -> None:
    found = made(
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried("two", 0.0)),
        log("count/2", Tried("three", 0.0)),
    )
    assert found == [LeftOut("the same answer passed and failed", "count/0/1")]


def test_an_attempt_that_nobody_judged_is_not_a_wrong_one() -> None:
    assert made(log("count/0", Tried("two", 1.0)), log("count/1", Tried("three"))) == []


def test_an_attempt_of_several_steps_is_left_out() -> None:
    found = made(log("count/0", Tried(["look", "two"], 1.0)), log("count/1", Tried("three", 0.0)))
    assert found == [LeftOut(STEPS, "count/0/1")]


@given(st.integers(1, 6), st.integers(1, 6))
def test_every_answer_is_used_before_any_is_used_again(right: int, wrong: int) -> None:
    trajectories = [log(f"count/{n}", Tried(f"r{n}", 1.0)) for n in range(right)]
    trajectories += [log(f"count/{right + n}", Tried(f"w{n}", 0.0)) for n in range(wrong)]
    found = texts(made(*trajectories))
    assert len(found) == len(set(found)) == min(PAIRS, right * wrong)
    uses = [sum(chosen == f"r{n}" for chosen, _ in found) for n in range(right)]
    assert max(uses) - min(uses) <= 1
