"""What a training is asked to do, beside its method, its model and its tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentloop.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a training is carried out. None leaves a value to the method's recipe (recipes.py)."""

    steps: int | None = None
    """Batches of rollouts (None is 20), or of logged rows (None is as many as hold each row once)."""
    completions: int | None = None
    """Stop before the step that, going by the one before it, would sample more replies than this in all."""
    learning_rate: float | None = None
    tasks: int | None = None
    """Tasks of each step, when the policy draws its own rollouts."""
    samples: int | None = None
    """Rollouts of each task."""
    rows: int = 64
    """Rows of each step, when a log is trained on."""
    updates: int | None = None
    """Optimiser steps for each batch."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = 0
    """Optimiser steps over which the learning rate rises."""
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    """The gradient's norm is cut to this."""
    micro_batch: int = 8192
    """Tokens, padding included, that pass through the model at once; more accumulate their gradients."""
    precision: Literal["auto", "no", "bf16"] = "auto"
    """``auto`` is bf16 on a GPU and float32 elsewhere."""
    gradient_checkpointing: bool = False
    lora_rank: int = 0
    """Above 0, only LoRA matrices of this rank are trained (peft)."""
    lora_alpha: int | None = None
    """None is twice the rank."""
    temperature: float = 1.0
    max_tokens: int = 256
    """Most tokens of one reply."""
    concurrency: int = 64
    seed: int = 0
    save_every: int = 5
    """Steps between states from which a training that was cut off goes on."""
    threads: int | None = None
    """torch's threads; None leaves them as they are."""
    cpu: bool = False
    """Train on the CPU even where there is a GPU."""
    trackers: tuple[str, ...] = ()
    """``tensorboard``, ``wandb``, ``mlflow``: whatever accelerate knows and is installed."""
    publish: Callable[[Path], object] | None = None
    """Called after each step with a folder that holds the weights as they are, for a server that samples."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in (
            "steps",
            "completions",
            "tasks",
            "samples",
            "rows",
            "updates",
            "micro_batch",
            "max_tokens",
            "save_every",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} must be at least 1, got {value}")
        for name, known in (
            ("schedule", ("constant", "linear", "cosine")),
            ("precision", ("auto", "no", "bf16")),
        ):
            if getattr(self, name) not in known:
                raise BadInput(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name in ("learning_rate", "temperature", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"{name} must be above 0, got {value}")
        if self.lora_rank < 0 or self.warmup < 0 or self.weight_decay < 0:
            raise BadInput("lora_rank, warmup and weight_decay must not be negative")
