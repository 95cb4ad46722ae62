"""The forecast by closed form: parameters, bytes, completions, and LoRA's count against peft's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentloop.errors import BadInput
from agentloop.training import PUBLISHED
from agentloop.training.forecast import forecast
from agentloop.training.policy import load
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import small

WIDTH, INNER, LAYERS, WORDS = 64, 192, 3, 298
LAYER = 4 * WIDTH * WIDTH + 3 * WIDTH * INNER + 2 * WIDTH
PARAMETERS = 2 * WORDS * WIDTH + LAYERS * LAYER + WIDTH
"""Of the random checkpoint: embeddings and a head of its own, attention, gated layers, norms."""
GRPO = PUBLISHED["grpo"].with_changes(tasks=4, samples=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: Any) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    GPT2LMHeadModel(
        GPT2Config(vocab_size=99, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    ).save_pretrained(folder)
    return folder


def test_the_closed_form_is_that_of_the_checkpoint(base: Path) -> None:
    assert json.loads((base / "config.json").read_text())["vocab_size"] == WORDS


def test_parameters_and_bytes_are_those_of_the_closed_form(base: Path) -> None:
    found = forecast(base, GRPO, small(micro_batch=1000), steps=7)
    assert found.parameters == found.trained == PARAMETERS
    assert found.parameters == sum(each.numel() for each in load(base, small()).parameters())
    assert (found.weights, found.gradients, found.optimiser) == (
        4 * PARAMETERS,
        4 * PARAMETERS,
        8 * PARAMETERS,
    )
    assert found.activations == 1000 * WIDTH * LAYERS * 34 * 2
    assert found.logits == 2 * 4 * 1000 * WORDS
    assert found.total == 16 * PARAMETERS + found.activations + found.logits
    assert found.to_dict()["total"] == found.total


def test_the_most_completions_are_all_attempts_of_all_samples(base: Path) -> None:
    assert forecast(base, GRPO, small(), steps=7).completions == 7 * 4 * 5
    twice = PUBLISHED["rltf-sd"].with_changes(tasks=4, samples=5)
    assert forecast(base, twice, small(), steps=7).completions == 7 * 4 * 5 * 2
    assert forecast(base, PUBLISHED["fcp"], small(), steps=7).completions == 0


def test_updates_are_steps_times_the_recipes_own(base: Path) -> None:
    assert forecast(base, replace(GRPO, updates=3), small(), steps=7).updates == 21


def test_a_divergence_holds_the_weights_twice_unless_an_adapter_can_be_switched_off(base: Path) -> None:
    recipe = replace(GRPO, kl=0.1)
    assert forecast(base, recipe, small(), steps=1).weights == 8 * PARAMETERS
    assert forecast(base, recipe, small(lora_rank=2), steps=1).weights == 4 * PARAMETERS


def test_sixteen_bits_halve_activations_and_checkpointing_keeps_the_layers_inputs(base: Path) -> None:
    full = forecast(base, GRPO, small(), steps=1)
    half = forecast(base, GRPO, small(precision="bf16"), steps=1)
    kept = forecast(base, GRPO, small(gradient_checkpointing=True), steps=1)
    assert half.activations * 2 == full.activations
    assert half.weights == full.weights
    assert kept.activations * 17 == full.activations


@pytest.mark.parametrize("which", ["base", "gpt2"])
@pytest.mark.parametrize("rank", [1, 4])
def test_loras_count_is_that_of_peft(which: str, rank: int, request: Any) -> None:
    pytest.importorskip("peft")
    folder = request.getfixturevalue(which)
    module = load(folder, small(lora_rank=rank))
    trained = sum(each.numel() for each in module.parameters() if each.requires_grad)
    found = forecast(folder, GRPO, small(lora_rank=rank), steps=1)
    assert found.trained == trained
    assert found.parameters == sum(each.numel() for each in load(folder, small()).parameters())


def test_sizes_are_found_under_other_names_of_a_config(gpt2: Path) -> None:
    found = forecast(gpt2, GRPO, small(micro_batch=10), steps=1)
    assert found.activations == 10 * 16 * 2 * 34 * 2
    assert found.logits == 2 * 4 * 10 * 99


def test_no_weights_are_loaded(base: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((base / "config.json").read_bytes())
    assert forecast(tmp_path, GRPO, small(), steps=1).parameters == PARAMETERS


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no checkpoint folder to train"):
        forecast(tmp_path, GRPO, small(), steps=1)


def test_the_summary_names_every_part(base: Path) -> None:
    told = forecast(base, GRPO, small(micro_batch=1024), steps=7).summary()
    assert f"{PARAMETERS:,} parameters" in told
    assert "at most 140 completions, 7 updates" in told
    for part in ("weights", "gradients", "optimiser", "activations", "logits"):
        assert part in told
    assert "KiB" in told
