"""C3PO rows: pairs where the feedback holds, first answers kept where it does not."""

import pytest

from agentloop.export.groups import read_groups
from agentloop.export.methods.c3po import NO_REVISION, SAME, SCOPE, WORSE, rows
from agentloop.export.methods.dpo import STEPS
from agentloop.export.rows import LeftOut, PreferenceRow, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Task, Trajectory
from tests.export_logs import Tried, log


def scoped(scope: str) -> Task:
    return Task(id="count", prompt="How many users?", public={"scope": scope})


def made(*trajectories: Trajectory) -> list[PreferenceRow | SftRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def in_scope(*tries: Tried, name: str = "count/0") -> Trajectory:
    return log(name, *tries, task=scoped("in"))


def test_in_scope_the_answer_revised_under_feedback_is_preferred_to_the_first() -> None:
    (row,) = made(in_scope(Tried("ten", told="Use digits."), Tried("10")))
    assert row.prompt == ({"role": "user", "content": "How many users?"},)
    assert (row.chosen[0]["content"], row.rejected[0]["content"]) == ("10", "ten")
    assert row.meta.role == "in_scope"


def test_no_row_holds_the_feedback() -> None:
    (row,) = made(in_scope(Tried("ten", told="Use digits."), Tried("10")))
    assert "digits" not in str((row.prompt, row.chosen, row.rejected))


@pytest.mark.parametrize(("scope", "role"), [("near", "hard_negative"), ("general", "soft_negative")])
def test_out_of_scope_the_first_answer_is_kept_and_nothing_is_preferred(scope: str, role: str) -> None:
    trajectory = log("count/0", Tried("ten", told="Use digits."), Tried("10"), task=scoped(scope))
    (row,) = made(trajectory)
    assert [(each["content"], each["loss"]) for each in row.messages] == [
        ("How many users?", False),
        ("ten", True),
    ]
    assert (row.meta.role, row.weight) == (role, 1.0)


def test_equal_answers_and_equal_pairs_of_a_group_count_once() -> None:
    tries = Tried("ten", told="Use digits."), Tried("10")
    assert len(made(in_scope(*tries), in_scope(*tries, name="count/1"))) == 1
    near = [log(f"count/{n}", Tried("ten"), task=scoped("near")) for n in range(2)]
    assert len(made(*near)) == 1


def test_an_answer_without_a_revision_makes_no_pair() -> None:
    assert made(in_scope(Tried("ten", told="Use digits."))) == [LeftOut(NO_REVISION, "count/0")]


def test_a_revision_that_changed_nothing_or_made_it_worse_makes_no_pair() -> None:
    unchanged = in_scope(Tried("ten", told="Use digits."), Tried("ten"))
    worse = in_scope(Tried("ten", 0.5, told="Use digits."), Tried("9", 0.0), name="count/1")
    assert made(unchanged, worse) == [LeftOut(SAME, "count/0/2"), LeftOut(WORSE, "count/1/2")]


def test_an_attempt_of_several_steps_is_left_out() -> None:
    found = made(in_scope(Tried("ten", told="Use digits."), Tried(["look", "10"])))
    assert found == [LeftOut(STEPS, "count/0/2")]


@pytest.mark.parametrize("scope", [None, "outside", ["in"]])
def test_an_attempt_at_a_task_without_a_scope_lacks_it(scope: object) -> None:
    task = Task(id="count", prompt="How many users?", public={} if scope is None else {"scope": scope})
    (group,), _ = read_groups([log("count/0", Tried("ten"), task=task)], lambda each: None)
    (each,) = group.members[0].tries
    assert SCOPE.lacks(each)
    assert SCOPE.field == 'task.public["scope"], one of in, near, general'


def test_an_attempt_at_a_task_with_a_scope_lacks_nothing() -> None:
    (group,), _ = read_groups([in_scope(Tried("ten"))], lambda each: None)
    assert not SCOPE.lacks(group.members[0].tries[0])
