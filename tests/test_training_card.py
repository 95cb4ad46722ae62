"""The card of a trained checkpoint: what was done, as it was done, and what it was worth."""

from pathlib import Path
from typing import Any

from agentloop.comparing import compare_results
from agentloop.training import PUBLISHED, Recipe, Training
from agentloop.training.card import write_card
from tests.training_practice import small


def card(tmp_path: Path, recipe: Recipe = PUBLISHED["rltf-sd"], *, gain: Any = None, **changes: Any) -> str:
    done = Training(
        base="local/tiny",
        folder=tmp_path,
        checkpoint=tmp_path,
        recipe=recipe,
        steps=[{"step": 1}, {"step": 2}],
        completions=12345,
        gain=gain,
    )
    write_card(done, settings=small(**changes))
    return (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_card_says_what_was_trained_and_how(tmp_path: Path) -> None:
    told = card(tmp_path, seed=7, schedule="linear")
    assert "# local/tiny, trained by rltf-sd" in told
    for fact in (
        "| base | local/tiny |",
        "| steps | 2 |",
        "| completions sampled | 12,345 |",
        "| learning rate | 2e-05, linear |",
        "| weights trained | all |",
        "| normaliser | sum |",
        "| options | as published |",
        "| seed | 7 |",
    ):
        assert fact in told
    assert "arXiv 2602.02482" in told
    assert str(tmp_path) not in told, "nobody need know where it lay"


def test_options_that_depart_from_the_paper_are_told(tmp_path: Path) -> None:
    told = card(tmp_path, PUBLISHED["rltf-sd"].with_changes(weigh={"strength": 3.0}), lora_rank=8)
    assert '| options | {"strength": 3.0} |' in told
    assert "| weights trained | LoRA of rank 8 |" in told


def test_the_card_begins_with_the_header_that_hubs_read(tmp_path: Path) -> None:
    head = card(tmp_path).split("---")[1]
    assert "library_name: transformers" in head
    assert "tags: [agentloop, rltf-sd]" in head


def test_the_proof_is_a_table_with_intervals(tmp_path: Path) -> None:
    tasks = [f"h{n}" for n in range(20)]
    gain = compare_results(
        {name: [float(n < 5)] for n, name in enumerate(tasks)},
        {name: [float(n < 15)] for n, name in enumerate(tasks)},
    )
    told = card(tmp_path, gain=gain)
    assert "| before | 25.0% |" in told
    assert "| after | 75.0% |" in told
    assert "Difference on 20 tasks, paired: +50.0 points [" in told
    assert "without feedback" in told


def test_without_held_out_tasks_the_card_says_that_nothing_was_measured(tmp_path: Path) -> None:
    assert "Not measured: no held-out tasks were given." in card(tmp_path)
