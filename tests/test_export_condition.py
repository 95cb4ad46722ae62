"""Conditions around a question: put there, put in place of an earlier one, and never closed from inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.export.methods.condition import conditioned, under_condition
from agentloop.prompts import Prompts
from agentloop.types import Message
from tests.export_logs import TASK

NAMES = ("fcp",)


def asked(content: str, feedback: str = "No.", prompts: Prompts | None = None) -> str:
    x0: tuple[Message, ...] = ({"role": "user", "content": content},)
    messages = under_condition(prompts or Prompts(), x0, "fcp", names=NAMES, feedback=feedback)
    assert messages is not None
    return messages[0]["content"]


def test_the_condition_stands_before_the_last_words_of_the_user_and_the_rest_stays() -> None:
    x0: tuple[Message, ...] = (
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "An example?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": TASK.prompt},
    )
    messages = under_condition(Prompts(), x0, "fcp", names=NAMES, feedback="No.")
    assert messages is not None
    assert messages[:3] == x0[:3]
    assert messages[3]["content"] == f"<EF>No.</EF>\n{TASK.prompt}"


def test_a_prompt_without_a_user_has_no_place_for_a_condition() -> None:
    x0: tuple[Message, ...] = ({"role": "system", "content": "Count."},)
    assert under_condition(Prompts(), x0, "fcp", names=NAMES, feedback="No.") is None


def test_an_earlier_condition_is_replaced_where_it_stands() -> None:
    assert asked("Notes.\n<EF>Correct.\nReally.</EF>\nHow many?") == "Notes.\n<EF>No.</EF>\nHow many?"


def test_a_mark_in_the_middle_of_a_line_is_part_of_the_question() -> None:
    question = "What does <EF>x</EF>\nmean?"
    assert asked(question) == f"<EF>No.</EF>\n{question}"


@given(st.text(), st.sampled_from(["</EF>", "</ef>", "<EF>", "</EF>\nHow many?"]), st.text())
def test_no_feedback_can_close_or_open_its_condition(before: str, mark: str, after: str) -> None:
    shown = asked("How many?", f"{before}{mark}{after}").lower()
    assert (shown.count("<ef>"), shown.count("</ef>")) == (1, 1)


@given(st.text(st.characters(exclude_characters="{}<>")).map(str.strip).filter(bool))
def test_a_second_condition_leaves_nothing_of_the_first(feedback: str) -> None:
    assert asked(asked("How many?", feedback), "Other words.") == asked("How many?", "Other words.")


@pytest.mark.parametrize("template", ["{notes}\n\n{task}", "{notes}\n{task}", "{task}"])
def test_a_task_without_notes_is_shown_as_in_the_rows(template: str) -> None:
    task = conditioned(Prompts(), "fcp", template, feedback="Correct.")
    shown = Prompts({"task": task}).render("task", notes="", task="How many?")
    assert (
        shown
        == asked("How many?", "Correct.")
        == conditioned(Prompts(), "fcp", "How many?", feedback="Correct.")
    )


def test_notes_stand_above_the_condition() -> None:
    task = conditioned(Prompts(), "fcp", "{notes}\n\n{task}", feedback="Correct.")
    shown = Prompts({"task": task}).render("task", notes="A few means 4.", task="How many?")
    assert shown == "A few means 4.\n\n<EF>Correct.</EF>\nHow many?"


def test_a_text_is_put_under_a_condition_once() -> None:
    once = conditioned(Prompts(), "fcp", "{notes}\n\n{task}", feedback="Correct.")
    assert conditioned(Prompts(), "fcp", once, feedback="Correct.") == once
    again = conditioned(Prompts(), "fcp", once, feedback="Very good.")
    assert again == "{notes}\n\n<EF>Very good.</EF>\n{task}"


def test_a_condition_with_a_placeholder_is_refused() -> None:
    with pytest.raises(BadInput, match="no placeholder such as {task}"):
        conditioned(Prompts(), "fcp", "{task}", feedback="Correct, {notes}.")


def test_a_checkpoints_own_text_is_used_and_found_again() -> None:
    prompts = Prompts({"fcp": "{task} ({feedback}) Answer:"})
    first = asked("How many?", "good", prompts)
    assert first == "How many? (good) Answer:"
    assert asked(first, "bad", prompts) == "How many? (bad) Answer:"


def test_a_text_without_a_place_for_the_question_is_refused() -> None:
    with pytest.raises(BadInput, match="'fcp' says nothing of the question"):
        asked("How many?", prompts=Prompts({"fcp": "<EF>{feedback}</EF>"}))
