"""Reflect, Retry, Reward: reflections on one failed attempt, each paid if the retry after it passed."""

import pytest

from agentloop.export.groups import LEAKED, Try, read_groups
from agentloop.export.methods.reflect_retry_reward import (
    ALONE,
    METHOD,
    NO_RETRY,
    REFLECTION,
    SECRET,
    rows,
    weigh,
)
from agentloop.export.rows import GroupRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Task, Trajectory
from tests.export_logs import TASK, Tried, decode, log, worked_example


def made(*trajectories: Trajectory) -> list[GroupRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def all_tries(trajectory: Trajectory) -> tuple[Try, ...]:
    (group,), _ = read_groups([trajectory], lambda each: None)
    return group.members[0].tries


def first_try(trajectory: Trajectory) -> Try:
    return all_tries(trajectory)[0]


def reflected(
    n: int, note: str, retry: Tried, *, says: str = "three", task: Task = TASK, told: str = "No."
) -> Trajectory:
    return log(f"count/{n}", Tried(says, 0.0, told=told, reflects=note), retry, task=task)


def two() -> list[Trajectory]:
    return [reflected(0, "I forgot some.", Tried("two", 1.0)), reflected(1, "Bad luck.", Tried("four", 0.0))]


def test_a_group_is_the_reflections_on_one_failed_attempt_and_the_retry_pays() -> None:
    (row,) = made(*two())
    assert [(decode(each.ids), each.reward) for each in row.samples] == [
        ("I forgot some.", 1.0),
        ("Bad luck.", 0.0),
    ]
    assert weigh(row)[0] > 0 > weigh(row)[1]


def test_a_sample_is_the_reflection_alone_as_it_was_sampled() -> None:
    (row,) = made(*two())
    reply = two()[0].call("count/0/1/reflect/0").replies[0]
    sample = row.samples[0]
    assert row.prompt_ids == reply.prompt_token_ids
    assert (sample.ids, sample.lp) == (reply.token_ids, reply.logprobs)
    assert sample.segment_mask == (1,) * len(sample.ids)
    assert (row.meta.models, row.meta.policies, sample.policy_version) == (("r",), ("p2",), "p2")


def test_no_token_of_the_retry_stands_in_a_row() -> None:
    (row,) = made(*two())
    for sample in row.samples:
        text = decode(row.prompt_ids + sample.ids)
        assert "two" not in text
        assert "four" not in text


def test_the_retry_needs_neither_token_ids_nor_log_probs() -> None:
    unseen = [reflected(n, f"note {n}", Tried("two", float(n), ids=False, lp=False)) for n in range(2)]
    for trajectory in unseen:
        assert not any(need.lacks(each) for need in METHOD.needs for each in all_tries(trajectory))
    (row,) = made(*unseen)
    assert [sample.reward for sample in row.samples] == [0.0, 1.0]


def test_a_retry_with_a_partial_score_did_not_pass() -> None:
    (row,) = made(two()[0], reflected(1, "Bad luck.", Tried("four", 0.9)))
    assert [sample.reward for sample in row.samples] == [1.0, 0.0]


def test_when_every_retry_passed_all_weigh_exactly_nothing() -> None:
    (row,) = made(*(reflected(n, f"note {n}", Tried("two", 1.0)) for n in range(3)))
    assert weigh(row) == [0.0, 0.0, 0.0]


def test_reflections_on_other_attempts_are_other_groups() -> None:
    others = [reflected(n, f"note {n}", Tried("two", 1.0), says="five") for n in (2, 3)]
    first, second = made(*two(), *others)
    assert [first.group_id, second.group_id] == ["count#reflections-1", "count#reflections-2"]
    assert [sample.member for sample in second.samples] == ["count/2/1", "count/3/1"]


def test_a_reflection_alone_is_left_out() -> None:
    assert made(two()[0]) == [LeftOut(ALONE, "count/0/1")]
    assert made(two()[0], reflected(1, "Other.", Tried("two", 1.0), says="five")) == [
        LeftOut(ALONE, "count/0/1"),
        LeftOut(ALONE, "count/1/1"),
    ]


def test_two_reflections_of_one_trajectory_on_the_same_words_are_two_members() -> None:
    again = Tried("three", 0.0, told="No.", reflects="Once more.")
    trajectory = log("count/0", again, again, Tried("two", 1.0))
    (row,) = made(trajectory)
    assert [(sample.member, sample.reward) for sample in row.samples] == [
        ("count/0/1", 0.0),
        ("count/0/2", 1.0),
    ]
    assert weigh(row)[1] > 0


def test_a_reflection_without_a_usable_retry_is_left_out() -> None:
    broken = Tried("x", error="model: broke")
    assert made(reflected(0, "Hm.", broken))[0] == LeftOut(NO_RETRY, "count/0/1")


def test_a_right_first_answer_makes_no_row() -> None:
    trajectory = log("count/0", Tried("two", 1.0, told="Right.", reflects="Fine."), Tried("two", 1.0))
    assert made(trajectory) == []


def test_a_reflection_made_from_hidden_data_is_left_out() -> None:
    task = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741"]]})
    leaking = reflected(0, "Hm.", Tried("two", 1.0), task=task, told="Want XYZZY-7741.")
    assert LeftOut(LEAKED, "count/0/1") in made(leaking)


def test_a_reflection_whose_call_was_redacted_is_left_out() -> None:
    trajectory = two()[0]
    calls = [each.replace(redacted=each.role == "reflector") for each in trajectory.calls]
    assert made(trajectory.replace(calls=tuple(calls))) == [LeftOut(SECRET, "count/0/1")]


@pytest.mark.parametrize(
    "change",
    [{"token_ids": None}, {"prompt_token_ids": None}, {"logprobs": None}, {"logprobs": (float("nan"),) * 15}],
)
def test_a_retried_attempt_lacks_a_reflection_without_ids_or_log_probs(change: dict) -> None:
    trajectory = two()[0]
    calls = [
        each.replace(replies=(each.replies[0].replace(**change),)) if each.role == "reflector" else each
        for each in trajectory.calls
    ]
    assert not REFLECTION.lacks(first_try(trajectory))
    assert REFLECTION.lacks(first_try(trajectory.replace(calls=tuple(calls))))


def test_only_a_retried_failure_lacks_a_reflection() -> None:
    retried, alone = worked_example()[1], log("count/9", Tried("three", 0.0, told="No."))
    assert REFLECTION.lacks(first_try(retried))
    assert not REFLECTION.lacks(first_try(alone))
    assert not REFLECTION.lacks(first_try(log("count/8", Tried("two", 1.0), Tried("2", 1.0))))


def test_a_reflection_that_a_function_wrote_cannot_be_trained() -> None:
    trajectory = two()[0]
    written = trajectory.attempts[0].reflection.replace(call=None)
    attempts = (trajectory.attempts[0].replace(reflection=written), *trajectory.attempts[1:])
    changed = trajectory.replace(attempts=attempts)
    assert REFLECTION.lacks(first_try(changed))
    assert made(changed) == []
