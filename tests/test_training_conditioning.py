"""A model trained under a condition carries it: its checkpoint's own prompt text for tasks."""

from pathlib import Path

import pytest

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.training.conditioning import conditioned_texts, own_prompts, usual_praise
from tests.export_logs import Tried, log
from tests.training_practice import two_turn_log


def asked(folder: Path, texts: dict[str, str]) -> str:
    """What a model of this folder is shown for a task."""
    return Prompts(texts, folder=folder).render("task", notes="", task="How many?")


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("leti", "<|good|>\nHow many?"),
        ("chain-of-hindsight", "How many?\n\nA good answer:"),
        ("fcp", "<EF>Well done.</EF>\nHow many?"),
    ],
)
def test_a_task_is_asked_under_the_good_condition(tmp_path: Path, method: str, wanted: str) -> None:
    assert asked(tmp_path, conditioned_texts(method, tmp_path, praise="Well done.")) == wanted


def test_without_praise_in_the_log_the_wish_of_the_texts_is_taken(tmp_path: Path) -> None:
    assert asked(tmp_path, conditioned_texts("fcp", tmp_path)) == "<EF>Correct.</EF>\nHow many?"


@pytest.mark.parametrize("method", ["grpo", "rltf-sd", "critique-grpo", "raft", "ilf", "sft"])
def test_a_method_without_a_condition_changes_no_text(tmp_path: Path, method: str) -> None:
    assert conditioned_texts(method, tmp_path, praise="Well done.") == {}


def test_the_condition_goes_around_the_checkpoints_own_text(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "task.md").write_text("{notes}\nAnswer: {task}")
    assert asked(tmp_path, conditioned_texts("leti", tmp_path)) == "Answer: <|good|>\nHow many?"


def test_notes_still_stand_before_a_conditioned_task(tmp_path: Path) -> None:
    texts = conditioned_texts("leti", tmp_path)
    shown = Prompts(texts).render("task", notes="Remember.", task="How many?")
    assert shown == "Remember.\n\n<|good|>\nHow many?"


def test_a_second_round_does_not_put_a_condition_on_a_condition(tmp_path: Path) -> None:
    once = conditioned_texts("leti", tmp_path)["task"]
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "task.md").write_text(once)
    assert conditioned_texts("leti", tmp_path)["task"] == once


def test_praise_that_reads_like_a_placeholder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="may hold no placeholder"):
        conditioned_texts("fcp", tmp_path, praise="Good {task}.")


def test_the_usual_praise_is_what_is_said_most_of_right_answers() -> None:
    said = ["Fine.", "Right.", "Right.", "Fine.", "Right."]
    told = [log(f"count/{n}", Tried("two", 1.0, told=each, verdict="pass")) for n, each in enumerate(said)]
    blamed = [log(f"count/9{n}", Tried("three", 0.0, told="Wrong.", verdict="fail")) for n in range(9)]
    assert usual_praise([*told, *blamed]) == "Right."
    assert usual_praise(two_turn_log()) == "Right."
    assert usual_praise(blamed) is None
    assert usual_praise([]) is None


def test_praise_is_the_same_for_the_same_log_in_another_order() -> None:
    told = [
        log(f"count/{n}", Tried("two", 1.0, told=each, verdict="pass"))
        for n, each in enumerate(["Fine.", "Right."])
    ]
    assert usual_praise(told) == usual_praise(told[::-1])


def test_a_checkpoint_without_texts_of_its_own_has_the_usual_ones(tmp_path: Path) -> None:
    assert own_prompts(tmp_path).text("task") == Prompts().text("task")
