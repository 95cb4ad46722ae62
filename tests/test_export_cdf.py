"""CDF rows: critiques of easy tasks, revisions of middling ones, pairs of hard ones."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.cdf import NO_GAIN, bucket, critiques, preferences, revisions, rows
from agentloop.export.methods.rltf_sd import NO_FIRST
from agentloop.export.methods.words import LEAKING, NO_WORDS
from agentloop.export.rows import LeftOut, PreferenceRow, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Task, Trajectory
from tests.export_logs import TASK, Tried, log, worked_example

SECRET = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741", 2]]})


def made(*trajectories: Trajectory) -> list[SftRow | PreferenceRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def roles(found: list[SftRow | PreferenceRow | LeftOut]) -> set[str]:
    return {row.meta.role for row in found if not isinstance(row, LeftOut)}


def group(passed: int, failed: int) -> list[Trajectory]:
    right = [log(f"count/{n}", Tried(f"r{n}", 1.0, told="Right.")) for n in range(passed)]
    wrong = [
        log(f"count/{n}", Tried(f"w{n}", 0.0, told="No."), Tried(f"v{n}", 1.0, told="Right."))
        for n in range(passed, passed + failed)
    ]
    return right + wrong


@pytest.mark.parametrize(
    ("passed", "failed", "role"),
    [
        (1, 0, "critique"),
        (2, 1, "critique"),
        (3, 2, "revision"),
        (1, 1, "revision"),
        (1, 2, "revision"),
        (1, 3, "preference"),
        (0, 1, "preference"),
    ],
)
def test_the_pass_rate_of_the_first_answers_decides(passed: int, failed: int, role: str) -> None:
    found = made(*group(passed, failed))
    assert roles(found) == {role}
    assert {row.meta.context.split("; ")[1] for row in found} == {
        f"{passed} of {passed + failed} first answers passed"
    }


@given(st.integers(0, 6), st.integers(0, 6))
def test_every_task_is_in_exactly_one_bucket(passed: int, failed: int) -> None:
    if passed + failed:
        assert len(roles(made(*group(passed, failed)))) == 1


@given(st.fractions(0, 1))
def test_an_easier_task_is_never_in_a_harder_bucket(rate: Fraction) -> None:
    order = [preferences, revisions, critiques]
    assert order.index(bucket(rate)) <= order.index(bucket(min(Fraction(1), rate + Fraction(1, 10))))


def test_a_critique_row_trains_the_feedback_on_task_and_answer_and_nothing_else() -> None:
    right, wrong = made(
        log("count/0", Tried("two", 1.0, told="Right.")),
        log("count/1", Tried("2", 1.0, told=" ")),
        log("count/2", Tried("three", 0.0, told="Deleted users count.")),
    )[::2]
    request, answer = wrong.messages
    assert (request["role"], request["loss"]) == ("user", False)
    assert TASK.prompt in request["content"]
    assert "three" in request["content"]
    assert "Deleted" not in request["content"]
    assert answer == {"role": "assistant", "content": "Deleted users count.", "loss": True}
    assert right.messages[1]["content"] == "Right."


def test_a_revision_row_is_the_better_second_answer_under_the_prompt_with_feedback() -> None:
    (row,) = (row for row in made(*worked_example()) if isinstance(row, SftRow))
    assert [each["content"] for each in row.messages[:2]] == [TASK.prompt, "three"]
    assert "Deleted users count." in row.messages[2]["content"]
    assert [each["loss"] for each in row.messages] == [False, False, False, True]
    assert row.messages[3]["content"] == "two!"
    assert row.meta.context.startswith("x1; ")


def test_a_second_answer_that_is_no_better_is_left_out() -> None:
    assert LeftOut(NO_GAIN, "count/2/2") in made(*worked_example())


def test_a_hard_task_gives_a_better_and_a_worse_answer_under_the_first_prompt() -> None:
    (row,) = made(log("count/0", Tried("three", 0.0, told="No."), Tried("two", 1.0)))
    assert isinstance(row, PreferenceRow)
    assert (row.chosen[0]["content"], row.rejected[0]["content"]) == ("two", "three")
    assert row.prompt == ({"role": "user", "content": TASK.prompt},)


def test_every_row_names_the_method() -> None:
    for trajectories in (group(1, 0), group(1, 1), group(0, 1)):
        assert {row.meta.method for row in made(*trajectories)} == {"cdf"}


def test_feedback_with_hidden_data_or_without_words_is_no_critique() -> None:
    found = made(
        log("count/0", Tried("two", 1.0, told="As in XYZZY-7741."), task=SECRET),
        log("count/1", Tried("2", 1.0), task=SECRET),
    )
    assert found == [LeftOut(LEAKING, "count/0/1"), LeftOut(NO_WORDS, "count/1/1")]


def test_a_critique_by_a_privileged_critic_is_marked() -> None:
    (row,) = made(log("count/0", Tried("two", 1.0, told="Right.", privileged=True)))
    assert row.meta.privileged


def test_a_group_without_a_first_answer_is_left_out() -> None:
    trajectory = log("count/0", Tried("six", error="model: TimeoutError"), Tried("two", 1.0))
    assert made(trajectory) == [LeftOut(NO_FIRST, "count")]
