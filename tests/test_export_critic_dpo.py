"""Critic DPO: two critiques of one failed answer, ranked by what the retries gained."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.critic_dpo import ALONE, PAIRS, rows
from agentloop.export.methods.words import LEAKING
from agentloop.export.rows import LeftOut, PreferenceRow
from agentloop.prompts import Prompts
from agentloop.types import Feedback, Task, Trajectory
from tests.export_logs import TASK, Tried, log, worked_example

SECRET = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741"]]})


def made(*trajectories: Trajectory) -> list[PreferenceRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def told(
    n: int, critique: str, gained: float, *, says: str = "three", task: Task = TASK, first: float = 0.0
) -> Trajectory:
    tries = Tried(says, first, told=critique, verdict="fail"), Tried(f"a{n}", first + gained)
    return log(f"count/{n}", *tries, task=task)


def ranked(found: list[PreferenceRow | LeftOut]) -> list[tuple[str, str]]:
    return [
        tuple(json.loads(answer[0]["content"])["feedback"] for answer in (row.chosen, row.rejected))
        for row in found
        if isinstance(row, PreferenceRow)
    ]


def test_the_critique_whose_retry_gained_more_is_chosen() -> None:
    assert ranked(made(told(0, "Hm.", 0.0), told(1, "Deleted users count.", 1.0))) == [
        ("Deleted users count.", "Hm.")
    ]
    assert ranked(made(told(0, "Hm.", 0.3), told(1, "Worse.", -0.2))) == [("Hm.", "Worse.")]


def test_the_prompt_shows_the_critic_the_task_and_the_attempt() -> None:
    (row,) = made(told(0, "Hm.", 0.0), told(1, "Deleted users count.", 1.0))
    (message,) = row.prompt
    assert message["role"] == "user"
    assert TASK.prompt in message["content"]
    assert "<attempt>\nthree\n</attempt>" in message["content"]
    assert row.meta.role == "critic"
    assert row.meta.attempts == ("count/1/1", "count/1/2", "count/0/1", "count/0/2")


def test_neither_critique_nor_retry_nor_hidden_data_stands_in_the_prompt() -> None:
    (row,) = made(told(0, "Hm.", 0.0, task=SECRET), told(1, "Deleted users count.", 1.0, task=SECRET))
    assert not any(words in row.prompt[0]["content"] for words in ("Hm.", "Deleted", "a1", "XYZZY"))


def test_a_critique_that_tells_hidden_data_is_left_out_though_the_retry_did_not_see_it() -> None:
    trajectory = told(0, "Hm.", 0.0, task=SECRET)
    leaking = trajectory.attempts[0].replace(feedback=Feedback(text="Want XYZZY-7741."))
    changed = trajectory.replace(attempts=(leaking, trajectory.attempts[1]))
    assert made(changed, told(1, "Other.", 1.0, task=SECRET)) == [
        LeftOut(LEAKING, "count/0/1"),
        LeftOut(ALONE, "count/1/1"),
    ]


def test_a_critique_may_quote_what_the_attempt_itself_says() -> None:
    said_itself = [told(n, f"XYZZY-7741 is {n}.", n, says="XYZZY-7741", task=SECRET) for n in range(2)]
    assert len(ranked(made(*said_itself))) == 1


def test_critiques_of_other_attempts_are_not_compared() -> None:
    assert made(*worked_example()) == [LeftOut(ALONE, "count/1/1"), LeftOut(ALONE, "count/2/1")]


def test_equal_gains_and_equal_critiques_are_no_pair() -> None:
    assert made(told(0, "Hm.", 1.0), told(1, "Deleted users count.", 1.0)) == []
    assert made(told(0, "Hm.", 1.0), told(1, " Hm.\n", 0.0)) == [LeftOut(ALONE, "count/0/1")]


def test_a_critique_given_several_times_gains_the_mean_of_its_retries() -> None:
    found = made(told(0, "Hm.", 1.0), told(1, "Hm.", 0.0), told(2, "Deleted users count.", 0.75))
    assert ranked(found) == [("Deleted users count.", "Hm.")]


def test_critiques_of_an_answer_that_passed_are_not_compared() -> None:
    passed = [log(f"count/{n}", Tried("two", 1.0, told=f"Hm {n}."), Tried("2", float(n))) for n in range(2)]
    assert made(*passed) == []


def test_a_pair_that_rests_on_a_privileged_critique_says_so() -> None:
    plain = told(0, "Hm.", 0.0)
    privileged = log("count/1", Tried("three", 0.0, told="Two.", privileged=True), Tried("two", 1.0))
    (row,) = made(plain, privileged)
    assert row.meta.privileged
    (row,) = made(plain, told(1, "Two.", 1.0))
    assert not row.meta.privileged


@given(st.lists(st.sampled_from([-0.5, 0.0, 0.25, 1.0]), min_size=2, max_size=7))
def test_every_pair_is_of_unequal_gains_and_there_are_not_too_many(gains: list[float]) -> None:
    found = ranked(made(*(told(n, f"c{n}", gain) for n, gain in enumerate(gains))))
    unequal = sum(a > b for a in gains for b in gains)
    assert len(found) == len(set(found)) == min(PAIRS, unequal)
    widths = [gains[int(chosen[1:])] - gains[int(rejected[1:])] for chosen, rejected in found]
    assert all(width > 0 for width in widths)
    assert widths == sorted(widths, reverse=True)
