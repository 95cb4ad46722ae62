"""RAFT rows: of each group the best first answer, and none where nothing earned a reward."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export import write_export
from agentloop.export.groups import Group, read_groups
from agentloop.export.methods.raft import best, rows, token_rows
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, decode, lines, log, spoken, worked_example


def group_of(*trajectories: Trajectory) -> Group:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return group


def made(*trajectories: Trajectory) -> list[SftRow | LeftOut]:
    return list(rows(group_of(*trajectories), Prompts()))


def test_the_best_first_answer_stands_under_its_prompt() -> None:
    (row,) = made(log("count/0", Tried("six", 0.25)), log("count/1", Tried("two", 0.75)))
    assert row.messages == (
        {"role": "user", "content": TASK.prompt, "loss": False},
        {"role": "assistant", "content": "two", "loss": True},
    )
    assert (row.meta.method, row.meta.attempts) == ("raft", ("count/1/1",))


def test_of_equally_good_answers_the_first_is_taken_and_no_other() -> None:
    (row,) = made(*worked_example())
    assert row.messages[-1]["content"] == "two"


def test_an_answer_after_feedback_is_no_sample_of_the_first_prompt() -> None:
    found = made(log("count/0", Tried("six", 0.5, told="No."), Tried("two", 1.0)))
    assert [row.messages[-1]["content"] for row in found] == ["six"]


def test_a_group_in_which_nothing_earned_a_reward_gives_no_row() -> None:
    found = made(log("count/0", Tried("six", 0.0)), log("count/1", Tried("two", -1.0)))
    assert found == [LeftOut("no first answer of its group has a reward above 0", "count")]


def test_without_a_threshold_the_best_is_taken_whatever_its_reward() -> None:
    group = group_of(log("count/0", Tried("six", -2.0)), log("count/1", Tried("two", -1.0)))
    (kept,) = best(group, above=float("-inf"))
    assert kept.attempt.text == "two"


def test_a_group_without_a_first_answer_gives_nothing() -> None:
    trajectory = log("count/0", Tried("six", error="model: TimeoutError"), Tried("two", 1.0))
    assert made(trajectory) == []


def test_tokens_are_those_that_were_sampled() -> None:
    trajectories = worked_example()
    (row,) = token_rows(group_of(*trajectories), Prompts())
    reply = trajectories[0].calls[0].replies[0]
    assert isinstance(row, SftTokensRow)
    assert row.input_ids == reply.prompt_token_ids + reply.token_ids
    assert row.loss_mask == (0,) * len(reply.prompt_token_ids) + (1,) * len(reply.token_ids)


def test_of_many_steps_the_agents_own_are_trained() -> None:
    (row,) = token_rows(group_of(log("count/0", Tried(["look", "two"], 1.0))), Prompts())
    own = [each for each, mask in zip(row.input_ids, row.loss_mask, strict=True) if mask]
    assert decode(own) == "looktwo"
    assert "saw look" in decode(row.input_ids)


def test_format_tokens_needs_no_tokenizer_for_them(tmp_path: Path) -> None:
    report = write_export(worked_example(), method="raft", format="tokens", to=tmp_path / "x")
    assert [spoken(line) for line in lines(report.path)] == ["two"]


@given(st.lists(st.integers(-3, 8), min_size=1, max_size=9))
def test_no_first_answer_is_better_than_the_one_taken_nor_as_good_before_it(scores: list[int]) -> None:
    group = group_of(*(log(f"count/{n}", Tried(f"a{n}", score / 8)) for n, score in enumerate(scores)))
    (kept,) = best(group)
    if max(scores) <= 0:
        assert isinstance(kept, LeftOut)
    else:
        assert kept.attempt.text == f"a{scores.index(max(scores))}"
