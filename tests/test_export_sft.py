"""sft rows: right answers under the prompt without feedback, the agent's own turns and nothing else."""

from agentloop.export.groups import read_groups
from agentloop.export.methods.sft import rows, token_rows
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, decode, log, worked_example


def made(make: object, *trajectories: Trajectory) -> list[SftRow | SftTokensRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(make(group, Prompts()))


def trained(row: SftTokensRow) -> str:
    return decode([each for each, own in zip(row.input_ids, row.loss_mask, strict=True) if own])


def test_only_attempts_that_passed_are_rows() -> None:
    found = made(rows, *worked_example())
    assert [row.messages[-1]["content"] for row in found] == ["two", "two!", "2"]


def test_an_answer_after_feedback_stands_under_the_prompt_without_feedback() -> None:
    (row,) = made(rows, worked_example()[1])
    assert row.messages == (
        {"role": "user", "content": TASK.prompt, "loss": False},
        {"role": "assistant", "content": "two!", "loss": True},
    )
    assert (row.meta.context, row.meta.attempts) == ("x0", ("count/1/2",))


def test_tokens_are_those_that_were_sampled_after_the_first_prompts_own() -> None:
    trajectory = worked_example()[1]
    (row,) = made(token_rows, trajectory)
    first, second = (call.replies[0] for call in trajectory.calls)
    assert row.input_ids == first.prompt_token_ids + second.token_ids
    assert row.loss_mask == (0,) * len(first.prompt_token_ids) + (1,) * len(second.token_ids)


def test_no_feedback_stands_in_any_row() -> None:
    for make in (rows, token_rows):
        for row in made(make, *worked_example()):
            text = decode(row.input_ids) if isinstance(row, SftTokensRow) else str(row.messages)
            assert "Deleted" not in text
            assert "three" not in text


def test_each_turn_of_a_many_step_attempt_is_trained_and_no_observation_is() -> None:
    trajectory = log("count/0", Tried(["look", "count", "two"], 1.0))
    (row,) = made(rows, trajectory)
    assert [(each["content"], each["loss"]) for each in row.messages] == [
        (TASK.prompt, False),
        ("look", True),
        ("saw look", False),
        ("count", True),
        ("saw count", False),
        ("two", True),
    ]
    (tokens,) = made(token_rows, trajectory)
    assert trained(tokens) == "lookcounttwo"
    assert "saw look" in decode(tokens.input_ids)


def test_a_many_step_attempt_after_feedback_keeps_its_steps_under_the_first_prompt() -> None:
    trajectory = log("count/0", Tried("three", 0.0, told="Deleted users."), Tried(["look", "two"], 1.0))
    (row,) = made(rows, trajectory)
    assert [each["content"] for each in row.messages] == [TASK.prompt, "look", "saw look", "two"]
    (tokens,) = made(token_rows, trajectory)
    assert decode(tokens.input_ids) == TASK.prompt + "looksaw looktwo"


def test_an_attempt_whose_ids_do_not_run_on_gives_one_row_a_call() -> None:
    trajectory = log("count/0", Tried(["look", "two"], 1.0, cuts_replies_otherwise=True))
    found = made(token_rows, trajectory)
    assert [trained(row) for row in found] == ["look", "two"]
    for row, call in zip(found, trajectory.calls, strict=True):
        reply = call.replies[0]
        assert row.input_ids == reply.prompt_token_ids + reply.token_ids


def test_the_chosen_attempt_is_taken_when_several_passed() -> None:
    trajectory = log("count/0", Tried("two", 1.0), Tried("better", 1.0))
    (row,) = made(rows, trajectory.replace(chosen=2))
    assert row.messages[-1]["content"] == "better"
    (row,) = made(rows, trajectory.replace(chosen=None))
    assert row.messages[-1]["content"] == "two"


def test_a_prompt_that_leaves_out_its_beginning_is_left_out() -> None:
    trajectory = log("count/0", Tried("three", 0.0, told="No."), Tried(["look", "two"], 1.0))
    last = trajectory.calls[-1]
    cut = last.replace(messages=last.messages[1:])
    (item,) = made(rows, trajectory.replace(calls=(*trajectory.calls[:-1], cut)))
    assert isinstance(item, LeftOut)
    assert item.what == "count/0/2"
