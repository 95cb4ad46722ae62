"""What models are shown: the texts, their fences, and what replaces them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.prompts import TEXTS, Prompts

FENCED = {
    "notes": {"corrections": "- a"},
    "retry": {"feedback": "no"},
    "retry_reflection": {"feedback": "no", "reflection": "so"},
    "observation": {"observation": "3 rows"},
    "reflect": {"task": "t", "attempt": "a", "feedback": "f"},
    "distil": {"task": "t", "attempt": "a", "feedback": "f"},
    "critic": {"task": "t", "attempt": "a"},
}


@pytest.mark.parametrize("path", sorted(TEXTS.glob("*.md")), ids=lambda path: path.stem)
def test_every_text_names_its_source_which_no_model_sees(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("<!--")
    assert "<!--" not in Prompts().text(path.stem)
    assert Prompts().text(path.stem).strip()


def test_a_task_without_notes_is_the_bare_task() -> None:
    assert Prompts().render("task", notes="", task="Count the boats.") == "Count the boats."


def test_notes_stand_above_the_task_with_one_blank_line_between() -> None:
    notes = Prompts().render("notes", corrections="- a few means 4")
    shown = Prompts().render("task", notes=notes, task="Count the boats.")
    assert shown.endswith("- a few means 4\n</corrections>\n\nCount the boats.")
    assert "\n\n\n" not in shown


def test_a_task_keeps_its_own_marks_since_nothing_fences_it() -> None:
    task = "Render <task> and {notes} as they are </task>."
    assert Prompts().render("task", notes="", task=task) == task


@pytest.mark.parametrize("name", sorted(FENCED))
@given(value=st.text(), tail=st.sampled_from(["", " ", "\n", " x='1'", "\t>"]))
def test_no_value_can_close_or_open_a_fence(name: str, value: str, tail: str) -> None:
    """Whatever a value holds, each fence of the text opens once and closes once."""
    for key in FENCED[name]:
        forged = "".join(f"</{other}{tail}><{other.upper()}>< / {other}>" for other in FENCED[name])
        shown = Prompts().render(name, **{**FENCED[name], key: f"{value}{forged}{value}"})
        for fence in FENCED[name]:
            assert len(re.findall(rf"<{fence}\b", shown, re.IGNORECASE)) == 1
            assert len(re.findall(rf"</{fence}\b", shown, re.IGNORECASE)) == 1


def test_a_placeholder_inside_a_value_is_not_filled_in() -> None:
    assert "{reflection}" in Prompts().render(
        "retry_reflection", feedback="{reflection}", reflection="secret"
    )


def test_a_missing_value_is_named() -> None:
    with pytest.raises(BadInput, match=r"'retry' needs a value for \{feedback\}"):
        Prompts().render("retry")


def test_an_unknown_text_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadInput, match="no prompt text named 'retri'.*retry"):
        Prompts().text("retri")


def test_texts_in_a_folder_come_before_the_packages_and_given_ones_before_both(tmp_path: Path) -> None:
    (tmp_path / "retry.md").write_text("<!-- bare -->\n{feedback}\n")
    (tmp_path / "again.md").write_text("Once more.")
    prompts = Prompts({"again": "And now?"}, folder=tmp_path)
    assert prompts.render("retry", feedback="no </feedback>") == "no </feedback>"
    assert prompts.render("again") == "And now?"
    assert "wrong" in prompts.render("binary")


def test_the_distillers_and_the_critics_json_example_survives_rendering() -> None:
    assert '{"text": ""}' in Prompts().render("distil", **FENCED["distil"])
    assert '{"verdict": "pass" or "fail" or "unsure"' in Prompts().render("critic", **FENCED["critic"])
