"""ILF rows: the best refinement of a group under the first prompt, without the answer and feedback before."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export import write_export
from agentloop.export.groups import NOT_MOVABLE, Group, read_groups
from agentloop.export.methods.ilf import best, rows, token_rows
from agentloop.export.methods.rltf_sd import AFTER_A_PASS
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, decode, lines, log, spoken, worked_example


def group_of(*trajectories: Trajectory) -> Group:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return group


def made(*trajectories: Trajectory) -> list[SftRow | LeftOut]:
    return list(rows(group_of(*trajectories), Prompts()))


def refined(number: int, score: float) -> Trajectory:
    return log(f"count/{number}", Tried("three", 0.0, told="Not 3."), Tried(f"a{number}", score))


def test_the_best_refinement_stands_under_the_first_prompt() -> None:
    (row,) = made(refined(0, 0.25), refined(1, 0.75), refined(2, 0.5))
    assert row.messages == (
        {"role": "user", "content": TASK.prompt, "loss": False},
        {"role": "assistant", "content": "a1", "loss": True},
    )
    assert (row.meta.method, row.meta.context, row.meta.attempts) == ("ilf", "x0", ("count/1/2",))


def test_neither_the_first_answer_nor_the_feedback_is_in_a_row() -> None:
    group = group_of(*worked_example())
    (messages,), (tokens,) = rows(group, Prompts()), token_rows(group, Prompts())
    for text in (str(messages.messages), decode(tokens.input_ids)):
        assert "three" not in text
        assert "Deleted" not in text


def test_of_equally_good_refinements_the_first_is_taken() -> None:
    (row,) = made(refined(0, 0.5), refined(1, 0.5))
    assert row.messages[-1]["content"] == "a0"


def test_a_right_first_answer_is_no_refinement() -> None:
    assert made(worked_example()[0]) == []


def test_an_attempt_after_a_first_answer_that_passed_is_left_out() -> None:
    found = made(log("count/0", Tried("two", 1.0, told="Right."), Tried("2", 1.0)))
    assert found == [LeftOut(AFTER_A_PASS, "count/0/2")]


def test_refinements_that_are_all_useless_give_no_row() -> None:
    found = made(refined(0, 0.0), refined(1, 0.0))
    assert found == [LeftOut("no refinement of its group has a score above 0", "count")]


def test_without_a_threshold_the_best_is_taken_whatever_its_score() -> None:
    group = group_of(refined(0, 0.0))
    (kept,) = best(group, group.messages_under_x0, above=float("-inf"))
    assert kept.attempt.id == "count/0/2"


def test_tokens_are_the_first_prompts_and_those_of_the_refinement_as_sampled() -> None:
    trajectory = worked_example()[1]
    (row,) = token_rows(group_of(trajectory), Prompts())
    first, second = (call.replies[0] for call in trajectory.calls)
    assert row.input_ids == first.prompt_token_ids + second.token_ids
    assert row.loss_mask == (0,) * len(first.prompt_token_ids) + (1,) * len(second.token_ids)


def test_a_refinement_that_cannot_be_moved_makes_room_for_the_next() -> None:
    long = log("count/0", Tried("three", 0.0, told="No."), Tried(["look", "two"], 1.0))
    last = long.calls[-1]
    cut = long.replace(calls=(*long.calls[:-1], last.replace(messages=last.messages[1:])))
    found = made(cut, refined(1, 0.5))
    assert found[0] == LeftOut(NOT_MOVABLE, "count/0/2")
    assert found[1].messages[-1]["content"] == "a1"


def test_format_tokens_needs_no_tokenizer_for_them(tmp_path: Path) -> None:
    report = write_export(worked_example(), method="ilf", format="tokens", to=tmp_path / "x")
    assert [spoken(line) for line in lines(report.path)] == ["two!"]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8))
def test_no_refinement_is_better_than_the_one_taken(scores: list[int]) -> None:
    group = group_of(*(refined(n, score / 8) for n, score in enumerate(scores)))
    (kept,) = best(group, group.messages_under_x0)
    if max(scores) == 0:
        assert isinstance(kept, LeftOut)
    else:
        assert kept.attempt.id == f"count/{scores.index(max(scores))}/2"
