"""SDPO rows: the first prompt and the feedback on a failed attempt, never what is hidden."""

from agentloop.export.groups import read_groups
from agentloop.export.methods.sdpo import METHOD, NO_USER, SAID_BEFORE, rows
from agentloop.export.methods.words import LEAKING
from agentloop.export.rows import ContextRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Task, Trajectory
from tests.export_logs import TASK, Tried, log, worked_example


def made(*trajectories: Trajectory, keep: object = lambda each: None) -> list[ContextRow | LeftOut]:
    (group,), _ = read_groups(trajectories, keep)
    return list(rows(group, Prompts()))


def needed(each: object) -> str | None:
    return next((need.field for need in METHOD.needs if need.lacks(each)), None)


def test_a_row_is_the_first_prompt_and_the_feedback_word_for_word() -> None:
    found = made(*worked_example())
    assert [(row.prompt, row.privileged_context) for row in found] == [
        (({"role": "user", "content": TASK.prompt},), "Deleted users count."),
        (({"role": "user", "content": TASK.prompt},), "Look at dates."),
        (({"role": "user", "content": TASK.prompt},), "No."),
    ]


def test_feedback_on_an_answer_that_passed_makes_no_row() -> None:
    assert made(log("count/0", Tried("two", 1.0, told="Right."))) == []


def test_equal_feedback_counts_once_in_a_group() -> None:
    found = made(*(log(f"count/{n}", Tried(f"a{n}", 0.0, told="No.")) for n in range(3)))
    assert found[1:] == [LeftOut(SAID_BEFORE, "count/1/1"), LeftOut(SAID_BEFORE, "count/2/1")]


def test_feedback_that_tells_hidden_data_is_left_out() -> None:
    task = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741"]]})
    found = made(log("count/0", Tried("three", 0.0, told="Want XYZZY-7741."), task=task))
    assert found == [LeftOut(LEAKING, "count/0/1")]


def test_feedback_that_repeats_the_agents_own_hidden_value_is_left_out_too() -> None:
    task = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741"]]})
    found = made(log("count/0", Tried("XYZZY-7741", 0.0, told="XYZZY-7741 and more."), task=task))
    assert found == [LeftOut(LEAKING, "count/0/1")], "the teacher is not shown the attempt"


def test_a_row_of_privileged_feedback_says_so() -> None:
    (row,) = made(log("count/0", Tried("three", 0.0, told="Two are deleted.", privileged=True)))
    assert row.meta.privileged


def test_a_failed_attempt_without_feedback_lacks_it() -> None:
    (group,), left_out = read_groups(
        [log("count/0", Tried("three", 0.0), Tried("two", 0.0, told="No."))],
        needed,
    )
    assert left_out == [LeftOut("attempts[].feedback on an attempt that failed", "count/0/1")]
    assert [row.privileged_context for row in rows(group, Prompts())] == ["No."]


def test_a_prompt_that_ends_with_another_than_the_user_is_left_out() -> None:
    task = Task(id="count", prompt="")
    trajectory = log("count/0", Tried("three", 0.0, told="No."), task=task)
    (call,) = trajectory.calls
    begun = call.replace(messages=(*call.messages, {"role": "assistant", "content": "It is"}))
    assert made(trajectory.replace(calls=(begun,))) == [LeftOut(NO_USER, "count/0/1")]
