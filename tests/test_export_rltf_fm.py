"""RLTF-FM rows: the two turns, and the feedback foretold from the question and the attempt."""

import pytest

from agentloop.export.groups import read_groups
from agentloop.export.methods.rltf_fm import NOT_SHOWN, rows, weigh
from agentloop.export.rows import GroupRow, LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, log, worked_example


def made(*trajectories: Trajectory, prompts: Prompts | None = None) -> list[GroupRow | SftRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, prompts or Prompts()))


def test_the_worked_example_gives_one_group_and_two_feedback_rows() -> None:
    group, *feedback = made(*worked_example())
    assert [sample.role for sample in group.samples] == ["rl"] * 6
    assert weigh(group) == pytest.approx([0.475, -0.425, 0.5, -0.525, -0.5, 0.475])
    assert [row.messages[-1]["content"] for row in feedback] == ["Deleted users count.", "Look at dates."]


def test_a_feedback_row_asks_about_the_question_and_the_attempt_and_trains_the_answer_only() -> None:
    _, row = made(worked_example()[1])
    request, answer = row.messages
    assert (request["role"], request["loss"], answer["role"], answer["loss"]) == (
        "user",
        False,
        "assistant",
        True,
    )
    assert TASK.prompt in request["content"]
    assert "three" in request["content"]
    assert "Deleted" not in request["content"]
    assert row.weight == 0.1


def test_the_target_is_what_the_second_prompt_showed() -> None:
    _, row = made(worked_example()[1])
    shown = worked_example()[1].calls[1].messages[-1]["content"]
    assert row.messages[-1]["content"] in shown


def test_feedback_that_was_not_shown_as_it_stands_is_left_out() -> None:
    trajectory = worked_example()[1]
    second = trajectory.calls[1]
    other = {"role": "user", "content": "<feedback>\nTry again.\n</feedback>"}
    blanked = second.replace(messages=(*second.messages[:-1], other))
    found = made(trajectory.replace(calls=(trajectory.calls[0], blanked)))
    assert found[1] == LeftOut(NOT_SHOWN, "count/1/1")


def test_a_row_that_trains_privileged_words_is_marked() -> None:
    _, row = made(log("count/0", Tried("three", 0.0, told="Not 3.", privileged=True), Tried("two", 1.0)))
    assert row.meta.privileged


def test_a_checkpoints_own_text_is_used_for_the_request() -> None:
    prompts = Prompts({"feedback_modelling": "{task}|{attempt}|why?"})
    _, row = made(worked_example()[1], prompts=prompts)
    assert row.messages[0]["content"] == f"{TASK.prompt}|three|why?"


def test_an_attempt_of_several_steps_is_retold_with_what_it_saw() -> None:
    _, row = made(log("count/0", Tried(["look", "three"], 0.0, told="Not 3."), Tried("two", 1.0)))
    assert "look\n\nsaw look\n\nthree" in row.messages[0]["content"]
