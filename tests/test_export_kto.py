"""KTO rows: every judged answer once under the first prompt, with its label."""

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.groups import read_groups
from agentloop.export.methods.dpo import CONTRADICTED, STEPS
from agentloop.export.methods.kto import rows
from agentloop.export.rows import LeftOut, UnpairedRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, log, worked_example


def made(*trajectories: Trajectory) -> list[UnpairedRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def labels(found: list[UnpairedRow | LeftOut]) -> dict[str, bool]:
    return {row.completion[0]["content"]: row.label for row in found if isinstance(row, UnpairedRow)}


def test_first_and_later_answers_stand_once_with_their_label() -> None:
    found = made(*worked_example())
    assert labels(found) == {
        "two": True,
        "two!": True,
        "2": True,
        "three": False,
        "four": False,
        "five": False,
    }
    assert len(found) == 6


def test_a_later_answer_stands_under_the_first_prompt_without_the_feedback() -> None:
    for row in made(*worked_example()):
        assert row.prompt == ({"role": "user", "content": TASK.prompt},)


def test_the_role_tells_how_many_there_are_of_each() -> None:
    assert [row.meta.role for row in made(*worked_example())] == ["desirable"] * 3 + ["undesirable"] * 3


def test_equal_texts_count_once() -> None:
    found = made(log("count/0", Tried("two", 1.0)), log("count/1", Tried(" two\n", 1.0)))
    assert len(found) == 1


def test_a_text_that_both_passed_and_failed_is_left_out() -> None:
    found = made(
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried("two", 0.0)),
        log("count/2", Tried("three", 0.0)),
    )
    assert found[0] == LeftOut(CONTRADICTED, "count/0/1")
    assert labels(found) == {"three": False}


def test_an_attempt_that_nobody_judged_has_no_label_and_no_row() -> None:
    assert made(log("count/0", Tried("two"))) == []


def test_an_attempt_of_several_steps_is_left_out() -> None:
    assert made(log("count/0", Tried(["look", "two"], 1.0))) == [LeftOut(STEPS, "count/0/1")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=8))
def test_every_text_has_exactly_the_label_that_all_its_scores_agree_on(answers: list) -> None:
    found = made(*(log(f"count/{n}", Tried(text, score)) for n, (text, score) in enumerate(answers)))
    said = {text: {score >= 1.0 for other, score in answers if other == text} for text, _ in answers}
    assert labels(found) == {text: verdict.pop() for text, verdict in said.items() if len(verdict) == 1}
