"""The model in training: which folders are taken, what LoRA leaves alone, and checkpoints anyone can load."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from agentloop import ChatModel
from agentloop.errors import BadInput
from agentloop.models import LocalModel, renderer
from agentloop.training.machine import accelerator_for
from agentloop.training.policy import context_of, folder_of, load, sampler, write_checkpoint
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import small, torch, weights_of


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def accelerator() -> Any:
    return accelerator_for(small(), Path())


def test_a_model_is_named_as_everywhere(base: Path) -> None:
    assert folder_of(base) == folder_of(str(base)) == folder_of(f"local/{base}") == base
    assert folder_of("local/tiny").name == "checkpoint"


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "local/nowhere", "."])
def test_what_holds_no_checkpoint_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no checkpoint folder to train.*give local/tiny, or the folder"):
        folder_of(name)


def test_what_the_model_can_hold_is_what_its_config_says(base: Path, tmp_path: Path) -> None:
    assert context_of(base) == 256
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_positions": 77}')
    assert context_of(tmp_path) == 77
    (tmp_path / "config.json").write_text('{"model_type": "bloom"}')
    assert context_of(tmp_path) is None


def test_weights_are_trained_in_float32_whatever_they_were_saved_in(base: Path, tmp_path: Path) -> None:
    half = load(base, small()).to(torch.bfloat16)
    for path in base.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    half.save_pretrained(tmp_path)
    assert {each.dtype for each in load(tmp_path, small()).parameters()} == {torch.float32}


def test_lora_trains_its_matrices_and_nothing_else(base: Path) -> None:
    pytest.importorskip("peft")
    module = load(base, small(lora_rank=3))
    trained = {name for name, each in module.named_parameters() if each.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert module.peft_config["default"].lora_alpha == 6
    assert load(base, small(lora_rank=3, lora_alpha=5)).peft_config["default"].lora_alpha == 5


def written(accelerator: Any, module: Any, to: Path, base: Path, **texts: str) -> Path:
    write_checkpoint(accelerator, module, to, base=base, texts=texts)
    return to


def test_a_checkpoint_holds_the_weights_as_they_are_and_loads_like_any_other(
    accelerator: Any, base: Path, tmp_path: Path
) -> None:
    module = load(base, small())
    with torch.no_grad():
        module.lm_head.weight.add_(1.0)
    out = written(accelerator, module, tmp_path / "out", base)
    assert torch.equal(weights_of(out)["lm_head.weight"], weights_of(base)["lm_head.weight"] + 1)
    model = ChatModel(f"local/{out}", max_tokens=3)
    (reply,) = asyncio.run(model.complete([{"role": "user", "content": "hello"}], seed=1))
    assert len(reply.token_ids or ()) == 3
    model.close()  # type: ignore[union-attr]


def test_tokenizer_template_and_prompt_texts_go_along_and_the_card_does_not(
    accelerator: Any, base: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for path in base.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    (own / "README.md").write_text("the card of the base")
    (own / "prompts").mkdir()
    (own / "prompts" / "retry.md").write_text("Again: {feedback}")
    out = written(accelerator, load(own, small()), tmp_path / "out", own, task="<good>\n{notes}\n{task}")
    assert (out / "prompts" / "retry.md").read_text() == "Again: {feedback}"
    assert (out / "prompts" / "task.md").read_text() == "<good>\n{notes}\n{task}"
    assert not (out / "README.md").exists()
    for name in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        assert (out / name).read_bytes() == (own / name).read_bytes()


def test_how_the_checkpoint_ends_a_reply_survives_its_being_sampled_from(
    accelerator: Any, base: Path, tmp_path: Path
) -> None:
    module = load(base, small())
    model = sampler(base, module, small())
    asyncio.run(model.complete([{"role": "user", "content": "hello"}], seed=1))
    model.close()
    out = written(accelerator, module, tmp_path / "out", base)
    told = json.loads((out / "generation_config.json").read_text())
    assert told == json.loads((base / "generation_config.json").read_text())
    assert told["eos_token_id"] == 2


def test_lora_is_merged_into_the_checkpoint_and_lies_beside_it_too(
    accelerator: Any, base: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    module = load(base, small(lora_rank=2))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, each in module.named_parameters():
            if "lora_" in name:
                each.normal_(0, 0.2)
    before = copy.deepcopy(module.state_dict())
    out = written(accelerator, module, tmp_path / "out", base)
    ids = torch.tensor([[1, 7, 9, 20]])
    with torch.no_grad():
        assert torch.allclose(load(out, small())(ids).logits, module(ids).logits, atol=1e-4)
    assert weights_of(out).keys() == weights_of(base).keys()
    assert (out / "adapter" / "adapter_config.json").is_file()
    after = module.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before), "it goes on training as it was"


def test_a_checkpoint_takes_the_place_of_an_earlier_one_whole(
    accelerator: Any, base: Path, tmp_path: Path
) -> None:
    out, module = tmp_path / "out", load(base, small())
    written(accelerator, module, out, base, task="{task}")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "half").write_text("cut short")
    written(accelerator, module, out, base)
    assert not (out / "prompts").exists()
    assert not (out / "half").exists()
    assert not (tmp_path / "out.partial").exists()


def test_the_sampler_speaks_with_the_weights_in_training_at_the_temperature_asked_for(base: Path) -> None:
    module = load(base, small())
    model = sampler(base, module, small(max_tokens=1, temperature=0.5))
    with torch.no_grad():
        module.lm_head.weight.mul_(0.7)
    (reply,) = asyncio.run(model.complete([{"role": "user", "content": "hello"}], seed=1))
    model.close()
    logits = module(torch.tensor([reply.prompt_token_ids])).logits[0, -1]
    wanted = (logits / 0.5).log_softmax(-1)[reply.token_ids[0]].item()
    assert list(reply.logprobs or ()) == pytest.approx([wanted], abs=1e-4)


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, template=None)
    with pytest.raises(BadInput, match="no chat template; add one to it as chat_template.jinja"):
        renderer(folder)
    model = LocalModel(folder)
    with pytest.raises(BadInput, match="no chat template"):
        asyncio.run(model.complete([{"role": "user", "content": "hello"}]))
    model.close()
