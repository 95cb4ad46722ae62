"""Kinds of models and precisions: LoRA, sixteen bits, another family, one that gives all its logits."""

from pathlib import Path
from typing import Any

import pytest

from agentloop.training import Recipe, Step, train
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import equal_weights, practice, quick, small, torch, two_turn_log, weights_of

transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'train'")


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


def test_lora_changes_nothing_but_what_it_was_put_on(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    done = train(
        quick("raft"), model=base, out=tmp_path, log=two_turn_log(), settings=small(steps=1, lora_rank=2)
    )
    before, after = weights_of(base), weights_of(done.checkpoint)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed
    assert all(".layers." in name and "_proj" in name for name in changed)
    assert (done.checkpoint / "adapter" / "adapter_model.safetensors").is_file()


def test_lora_with_a_divergence_and_checkpointed_layers_practises(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    done = train(
        quick("grpo", kl=0.05),
        model=base,
        out=tmp_path,
        practice=practice(),
        settings=small(lora_rank=2, gradient_checkpointing=True),
    )
    assert len(done.steps) == 2
    assert not equal_weights(done.checkpoint, base)


def test_sixteen_bits_run_after_a_training_in_thirty_two(base: Path, tmp_path: Path) -> None:
    losses = {}
    for precision in ("no", "bf16"):
        done = train(
            quick("raft"),
            model=base,
            out=tmp_path / precision,
            log=two_turn_log(),
            settings=small(steps=1, precision=precision),
        )
        losses[precision] = done.steps[0]["loss"]
        assert {each.dtype for each in weights_of(done.checkpoint).values()} == {torch.float32}
    assert losses["no"] != losses["bf16"]
    assert losses["no"] == pytest.approx(losses["bf16"], rel=0.05)


class WholeConfig(transformers.GPT2Config):
    """The config of a model of one's own."""

    model_type = "whole-gpt2"


class WholeModel(transformers.GPT2LMHeadModel):
    """A GPT-2 that can only give the logits of every token."""

    config_class = WholeConfig

    def forward(self, input_ids: Any = None, attention_mask: Any = None, **other: Any) -> Any:
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **other)


transformers.AutoConfig.register(WholeConfig.model_type, WholeConfig, exist_ok=True)
transformers.AutoModelForCausalLM.register(WholeConfig, WholeModel, exist_ok=True)


@pytest.fixture(
    scope="module", params=[transformers.GPT2LMHeadModel, WholeModel], ids=["gpt2", "whole logits"]
)
def another(base: Path, tmp_path_factory: Any, request: Any) -> Path:
    """A GPT-2 with tied embeddings and dropout, under the random checkpoint's tokenizer."""
    folder = tmp_path_factory.mktemp("another")
    torch.manual_seed(0)
    sizes = request.param.config_class(
        vocab_size=298, n_positions=256, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2
    )
    request.param(sizes).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((base / name).read_bytes())
    return folder


def test_a_model_of_another_family_practises(another: Path, tmp_path: Path) -> None:
    done = train(quick("grpo"), model=another, out=tmp_path, practice=practice(), settings=small(steps=1))
    assert done.steps[0]["rows"] > 0
    assert not equal_weights(done.checkpoint, another)


class Stopped(Exception):
    """What ends a training after its first step."""


def check_resumed(base: Path, to: Path, recipe: Recipe, **changes: Any) -> None:
    """Train without a break, and with one after the first step: to the same losses and weights."""
    settings = small(save_every=1, **changes)

    def stop(step: Step) -> None:
        raise Stopped

    def trained(name: str, **named: Any) -> Any:
        return train(recipe, model=base, out=to / name, log=two_turn_log(), settings=settings, **named)

    whole = trained("whole")
    with pytest.raises(Stopped):
        trained("cut", progress=stop)
    again = trained("cut", resume=True)
    assert [step["loss"] for step in again.steps] == [step["loss"] for step in whole.steps]
    assert equal_weights(again.checkpoint, whole.checkpoint)
    assert not equal_weights(again.checkpoint, base)


def test_a_model_of_another_family_is_resumed(another: Path, tmp_path: Path) -> None:
    check_resumed(another, tmp_path, quick("rltf-sd"))


def test_a_divergence_is_still_measured_from_the_first_weights_after_a_break(
    base: Path, tmp_path: Path
) -> None:
    check_resumed(base, tmp_path, quick("grpo", kl=0.5))


def test_lora_is_resumed_with_its_matrices_and_its_divergence(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    check_resumed(base, tmp_path, quick("grpo", kl=0.5), lora_rank=2)
