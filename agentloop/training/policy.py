"""The model in training: loaded once, sampled from as it is, written as a checkpoint anyone can load."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MissingExtra
from agentloop.models.local import BUNDLED, LocalModel, folder_named, load_weights, no_bars
from agentloop.training.settings import Settings


def is_bundled(model: str | Path) -> bool:
    """Whether a model is one of the small ones that come with the package."""
    return str(model).removeprefix("local/") in BUNDLED


def folder_of(model: str | Path) -> Path:
    """The checkpoint folder that ``local/tiny``, ``local/PATH`` or a path names."""
    folder = folder_named(str(model).removeprefix("local/"))
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{model} is no checkpoint folder to train: {folder} holds no config.json; give local/tiny, or "
            "the folder of a Hugging Face causal model"
        )
    return folder


def context_of(folder: Path) -> int | None:
    """The most tokens that the model can hold at once, as its config says."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return getattr(config, "max_position_embeddings", None)


def load(folder: Path, settings: Settings) -> Any:
    """The weights in float32, with LoRA matrices when settings ask for them."""
    module, adapter = load_weights(folder), lora(settings)
    if adapter is None:
        return module
    from peft import get_peft_model

    return get_peft_model(module, adapter)


def lora(settings: Settings) -> Any:
    """The LoRA matrices that the settings ask for, as peft is told of them; None for all weights."""
    if not settings.lora_rank:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtra("training with LoRA", "peft", "train") from error
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha or 2 * settings.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def sampler(folder: Path, module: Any, settings: Settings) -> LocalModel:
    """A chat model over the weights in training; set its ``policy`` whenever they have changed."""
    return LocalModel(
        folder,
        module=module,
        max_batch=settings.concurrency,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
    )


def write_checkpoint(
    accelerator: Any, module: Any, folder: Path, *, base: Path, texts: Mapping[str, str] | None = None
) -> None:
    """Write the weights, LoRA merged, with the tokenizer and prompt texts of ``base``; all or nothing.

    ``texts`` replace prompt texts of the checkpoint: a model trained under a condition is to be
    asked under it. Every process must call this; the first one writes.
    """
    sharded = str(accelerator.distributed_type).endswith("FSDP")
    state = accelerator.get_state_dict(module) if sharded else None
    bare = accelerator.unwrap_model(module, keep_fp32_wrapper=False)
    if accelerator.is_main_process:
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy_beside_weights(base, partial)
        with no_bars():
            if hasattr(bare, "peft_config"):
                bare.save_pretrained(partial / "adapter", state_dict=state)
                _merged(bare).save_pretrained(partial)
            else:
                bare.save_pretrained(partial, state_dict=state)
        if (base / "generation_config.json").is_file():
            # sampling blanks the loaded one
            shutil.copy2(base / "generation_config.json", partial / "generation_config.json")
        for name, text in (texts or {}).items():
            (partial / "prompts").mkdir(exist_ok=True)
            (partial / "prompts" / f"{name}.md").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    accelerator.wait_for_everyone()


def _copy_beside_weights(base: Path, to: Path) -> None:
    """Tokenizer, chat template, settings and prompt texts as they are; not the weights, not the card."""
    for path in sorted(base.iterdir()):
        weights = path.suffix in (".safetensors", ".bin") or path.name.endswith(".index.json")
        if path.is_file() and not weights and path.name != "README.md":
            shutil.copy2(path, to / path.name)
    if (base / "prompts").is_dir():
        shutil.copytree(base / "prompts", to / "prompts")


def _merged(module: Any) -> Any:
    """The base model with the LoRA matrices added in; the module in training stays as it is."""
    import copy

    return copy.deepcopy(module).merge_and_unload()
