"""What a training will need, told before it begins: memory by part, completions, optimiser steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentloop.training.policy import folder_of
from agentloop.training.recipes import Recipe
from agentloop.training.settings import Settings

ACTIVATIONS = 34
"""Bytes of activations kept for each token, hidden unit and layer at 16 bits, without the attention matrix
(Korthikanti et al., arXiv 2205.05198, section 4.1); twice as many at 32 bits."""
CHECKPOINTED = 2
"""The same with gradient checkpointing: only what enters each layer."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """An estimate for one process. Bytes; the most completions that the rollouts can sample."""

    parameters: int
    trained: int
    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int
    completions: int
    updates: int

    @property
    def total(self) -> int:
        """All bytes together; sampling needs less than training does, unless replies are very long."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.logits

    def to_dict(self) -> dict[str, int]:
        """The forecast for programs."""
        return {**self.__dict__, "total": self.total}

    def summary(self) -> str:
        """The forecast in two lines."""
        parts = ", ".join(
            f"{name} {_size(getattr(self, name))}"
            for name in ("weights", "gradients", "optimiser", "activations", "logits")
        )
        sampled = f"at most {self.completions:,} completions, " if self.completions else ""
        return (
            f"{self.parameters:,} parameters, {self.trained:,} trained; {sampled}{self.updates} updates\n"
            f"memory of a process: about {_size(self.total)} ({parts})"
        )


def forecast(model: str | Path, recipe: Recipe, settings: Settings, *, steps: int) -> Forecast:
    """Estimate from the checkpoint's config, without loading its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config: Any = AutoConfig.from_pretrained(folder_of(model), local_files_only=True)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    parameters = sum(each.numel() for each in module.parameters())
    trained = parameters if not settings.lora_rank else _lora(module, settings.lora_rank)
    sizes = _sizes(config.to_dict())
    # weights stay in float32; bf16 is autocast, which halves activations only
    half = settings.precision == "bf16" or (
        settings.precision == "auto" and torch.cuda.is_available() and not settings.cpu
    )
    unit = CHECKPOINTED if settings.gradient_checkpointing else ACTIVATIONS
    tokens = settings.micro_batch
    activations = tokens * sizes["hidden"] * sizes["layers"] * unit * (1 if half else 2)
    completions = steps * recipe.tasks * recipe.samples * recipe.attempts if recipe.online else 0
    return Forecast(
        parameters=parameters,
        trained=trained,
        weights=4 * parameters * (2 if recipe.kl and not settings.lora_rank else 1),
        gradients=4 * trained,
        optimiser=8 * trained,
        activations=activations,
        logits=2 * 4 * tokens * sizes["vocabulary"],
        completions=completions,
        updates=steps * recipe.updates,
    )


def _sizes(config: Mapping[str, Any]) -> dict[str, int]:
    """Hidden units, layers and vocabulary, by the names that configs use."""
    text = config.get("text_config") or config
    return {
        "hidden": int(text.get("hidden_size") or text.get("n_embd") or 0),
        "layers": int(text.get("num_hidden_layers") or text.get("n_layer") or 0),
        "vocabulary": int(text.get("vocab_size") or 0),
    }


def _lora(module: Any, rank: int) -> int:
    """Parameters of LoRA matrices on every linear layer but the head; GPT-2 calls its own Conv1D."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = module.get_output_embeddings()
    linear = (each for each in module.modules() if isinstance(each, Linear | Conv1D) and each is not head)
    return sum(rank * sum(each.weight.shape) for each in linear)


def _size(count: int) -> str:
    steps = min(4, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**steps:.1f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[steps]}"
