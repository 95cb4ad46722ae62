"""ReST-EM rows: first answers that passed, each once, ten of a task at most."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export import write_export
from agentloop.export.groups import Group, read_groups
from agentloop.export.methods.rest_em import EQUAL, MOST, kept, rows, token_rows
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, lines, log, spoken, worked_example


def group_of(*trajectories: Trajectory) -> Group:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return group


def made(*trajectories: Trajectory) -> list[SftRow | LeftOut]:
    return list(rows(group_of(*trajectories), Prompts()))


def test_every_first_answer_that_passed_is_a_row_and_no_later_one() -> None:
    found = made(*worked_example())
    assert [row.messages[-1]["content"] for row in found] == ["two", "2"]
    assert all(row.messages[0]["content"] == TASK.prompt for row in found)
    assert {row.meta.method for row in found} == {"rest-em"}


def test_an_answer_that_is_nearly_right_is_no_row() -> None:
    assert made(log("count/0", Tried("two", 0.99)), log("count/1", Tried("three"))) == []


def test_equal_answers_count_once_and_the_others_are_counted() -> None:
    found = made(
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried(" two\n", 1.0)),
        log("count/2", Tried("2", 1.0)),
    )
    assert [each.messages[-1]["content"] for each in found if isinstance(each, SftRow)] == ["two", "2"]
    assert LeftOut(EQUAL, "count/1/1") in found


def test_equal_last_answers_after_different_steps_are_different() -> None:
    found = made(log("count/0", Tried(["look", "two"], 1.0)), log("count/1", Tried(["peek", "two"], 1.0)))
    assert all(isinstance(each, SftRow) for each in found)
    assert len(found) == 2


def test_the_same_text_that_failed_elsewhere_does_not_use_up_its_place() -> None:
    found = made(log("count/0", Tried("two", 0.0)), log("count/1", Tried("two", 1.0)))
    assert [row.meta.attempts for row in found] == [("count/1/1",)]


def test_of_more_than_ten_the_first_ten_are_kept_and_the_rest_counted() -> None:
    found = made(*(log(f"count/{n}", Tried(f"a{n}", 1.0)) for n in range(12)))
    assert [each.messages[-1]["content"] for each in found[:MOST]] == [f"a{n}" for n in range(MOST)]
    assert [each.what for each in found[MOST:]] == ["count/10/1", "count/11/1"]
    assert "10 other answers" in found[-1].reason


def test_tokens_are_those_that_were_sampled() -> None:
    trajectories = worked_example()
    found = list(token_rows(group_of(*trajectories), Prompts()))
    replies = [trajectories[index].calls[0].replies[0] for index in (0, 3)]
    assert [row.input_ids for row in found] == [each.prompt_token_ids + each.token_ids for each in replies]


def test_format_tokens_needs_no_tokenizer_for_them(tmp_path: Path) -> None:
    report = write_export(worked_example(), method="rest-em", format="tokens", to=tmp_path / "x")
    assert [spoken(line) for line in lines(report.path)] == ["two", "2"]


ANSWERS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=12)


@given(ANSWERS, st.integers(1, 5))
def test_every_answer_is_kept_or_counted_if_it_passed(answers: list[tuple[str, bool]], most: int) -> None:
    group = group_of(
        *(log(f"count/{n}", Tried(text, float(passed))) for n, (text, passed) in enumerate(answers))
    )
    found = list(kept(group, most=most))
    texts = [each.attempt.text for each in found if not isinstance(each, LeftOut)]
    right = [text for text, passed in answers if passed]
    assert len(found) == len(right)
    assert texts == list(dict.fromkeys(right))[:most]
