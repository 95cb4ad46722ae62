"""What of a log can be used: attempts, scores, groups, and the border that hidden data may not cross."""

import pytest

from agentloop.export.groups import Group, Try, outcome, read_groups, tells_hidden
from agentloop.export.rows import LeftOut
from agentloop.types import Attempt, Call, Feedback, Reply, Task, Trajectory
from tests.export_logs import TASK, Tried, log


def read(*trajectories: Trajectory) -> tuple[list[Group], list[LeftOut]]:
    return read_groups(trajectories, lambda each: None)


def tries(groups: list[Group]) -> list[Try]:
    return [each for group in groups for member in group.members for each in member.tries]


def graded(**values: object) -> Attempt:
    return Attempt(id="t/1", trajectory="t", task=TASK, number=1, **values)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (graded(score=1.0), (1.0, True, "grader")),
        (graded(score=0.4), (0.4, False, "grader")),
        (graded(score=0.9, passed=True), (0.9, True, "grader")),
        (graded(passed=True), (1.0, True, "grader")),
        (graded(passed=True, feedback=Feedback(text="", verdict="pass")), (1.0, True, "feedback")),
        (graded(feedback=Feedback(text="", verdict="fail", score=0.3)), (0.3, False, "feedback")),
        (graded(feedback=Feedback(text="", score=1.0)), (1.0, True, "feedback")),
        (graded(score=0.0, feedback=Feedback(text="", verdict="pass")), (0.0, False, "grader")),
        (graded(score=float("nan")), None),
        (graded(feedback=Feedback(text="Hm.")), None),
        (graded(), None),
    ],
)
def test_a_graders_score_comes_before_the_critics_word(attempt: Attempt, expected: object) -> None:
    assert outcome(attempt) == expected


def test_an_attempt_that_broke_is_left_out() -> None:
    groups, left_out = read(log("count/0", Tried("two", 1.0), Tried("x", error="model: TimeoutError")))
    assert [each.attempt.id for each in tries(groups)] == ["count/0/1"]
    assert left_out == [LeftOut("the attempt broke", "count/0/2")]


def test_an_attempt_with_a_secret_taken_out_is_left_out() -> None:
    trajectory = log("count/0", Tried("two", 1.0), Tried("three", 0.0))
    redacted = trajectory.calls[1].replace(redacted=True)
    _, left_out = read(trajectory.replace(calls=(trajectory.calls[0], redacted)))
    assert left_out == [LeftOut("a secret was taken out of it", "count/0/2")]
    marked = trajectory.attempts[0].replace(trainable=False)
    _, left_out = read(trajectory.replace(attempts=(marked, trajectory.attempts[1])))
    assert left_out == [LeftOut("a secret was taken out of it", "count/0/1")]


def test_a_trajectory_whose_first_prompt_was_redacted_gives_nothing() -> None:
    trajectory = log("count/0", Tried("two", 0.0), Tried("three", 1.0))
    redacted = trajectory.calls[0].replace(redacted=True)
    groups, left_out = read(trajectory.replace(calls=(redacted, trajectory.calls[1])))
    assert groups == []
    assert LeftOut("the trajectory's first prompt cannot be used", "count/0/2") in left_out


def test_calls_of_critics_are_no_turns_of_the_attempt() -> None:
    trajectory = log("count/0", Tried("two", 1.0))
    critic = Call(
        place="count/0/1/judge/0",
        role="critic",
        model="judge",
        messages=({"role": "user", "content": "Judge."},),
        replies=(Reply(text="Fine."),),
    )
    attempt = trajectory.attempts[0].replace(calls=("count/0/1/act/0", critic.place))
    groups, _ = read(trajectory.replace(attempts=(attempt,), calls=(*trajectory.calls, critic)))
    assert [turn.call.role for turn in tries(groups)[0].turns] == ["actor"]


def test_of_several_replies_the_one_that_was_used_is_taken() -> None:
    trajectory = log("count/0", Tried("two", 1.0))
    call = trajectory.calls[0]
    several = call.replace(replies=(Reply(text="nine"), *call.replies))
    groups, _ = read(trajectory.replace(calls=(several,)))
    assert tries(groups)[0].turns[0].reply.text == "two"
    twice = call.replace(replies=call.replies * 2)
    _, left_out = read(trajectory.replace(calls=(twice,)))
    assert left_out[0].reason == "the log does not tell which of several replies was used"


def test_an_answer_that_no_call_gave_is_left_out() -> None:
    trajectory = log("count/0", Tried("two", 1.0))
    attempt = trajectory.attempts[0].replace(text="something a program put together")
    _, left_out = read(trajectory.replace(attempts=(attempt,)))
    assert left_out[0].reason == "the answer is not what the last call replied"


def test_members_are_in_the_order_of_their_numbers_whatever_finished_first() -> None:
    groups, _ = read(*(log(f"count/{n}", Tried("two", 1.0)) for n in (10, 9, 1)))
    assert [member.trajectory.id for member in groups[0].members] == ["count/1", "count/9", "count/10"]


def test_members_that_began_with_another_prompt_are_another_group() -> None:
    groups, _ = read(
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried("two", 1.0), system="Notes: users may be deleted."),
        log("count/2", Tried("three", 0.0)),
    )
    assert [(group.id, len(group.members)) for group in groups] == [("count", 2), ("count#2", 1)]


def test_an_attempt_is_privileged_when_what_led_to_it_was() -> None:
    groups, _ = read(log("count/0", Tried("three", 0.0, told="No.", privileged=True), Tried("two", 1.0)))
    assert [each.privileged for each in tries(groups)] == [False, True]
    unscored = log("count/0", Tried("three", told="No.", verdict="fail", privileged=True))
    groups, _ = read(unscored)
    assert tries(groups)[0].privileged, "its label is what the privileged critic said"


SECRET = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741", 2]]})


def test_a_prompt_that_shows_hidden_data_is_left_out() -> None:
    leaked = log("count/0", Tried("three", 0.0, told="It is XYZZY-7741."), Tried("two", 1.0), task=SECRET)
    groups, left_out = read(leaked)
    assert left_out == [LeftOut("its prompt holds hidden data word for word", "count/0/2")]
    assert [each.number for each in tries(groups)] == [1]


def test_an_answer_copied_from_leaked_feedback_is_left_out_with_all_that_follows() -> None:
    leaked = log(
        "count/0",
        Tried("three", 0.0, told="It is XYZZY-7741."),
        Tried("XYZZY-7741", 0.0, told="Shorter."),
        Tried("two", 1.0),
        task=SECRET,
    )
    groups, left_out = read(leaked)
    assert [each.number for each in tries(groups)] == [1]
    assert [item.what for item in left_out] == ["count/0/2", "count/0/3"]


def test_what_the_agent_found_out_for_itself_is_no_leak() -> None:
    found = log("count/0", Tried(["XYZZY-7741", "two"], 1.0), task=SECRET)
    groups, left_out = read(found)
    assert left_out == []
    assert len(tries(groups)[0].turns) == 2


def test_what_the_task_itself_says_is_no_leak() -> None:
    task = TASK.replace(prompt="How many users named Alexander?", hidden={"rows": "Alexander"})
    _, left_out = read(log("count/0", Tried("two", 1.0), task=task))
    assert left_out == []


def test_a_hidden_value_counts_as_told_unless_the_task_or_what_was_said_shows_it() -> None:
    assert tells_hidden("It is XYZZY-7741.", SECRET)
    assert not tells_hidden("It is two.", SECRET)
    assert not tells_hidden("It is XYZZY-7741.", SECRET, said=iter(["I say XYZZY-7741", "two"]))
    assert not tells_hidden("It is XYZZY-7741.", SECRET.replace(public={"seen": ["XYZZY-7741"]}))
    assert not tells_hidden("It is XYZZY-7741.", SECRET.replace(prompt="Find XYZZY-7741."))
