"""What the tests of the trainer train: small models, rows of weighted tokens, tasks, a critic of letters."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentloop import Attempt, Feedback, Task, reflect_and_retry
from agentloop.export import Meta, TokenRow
from agentloop.training import PUBLISHED, Practice, Recipe, Settings
from agentloop.types import Trajectory
from tests.export_logs import Tried, log

torch = pytest.importorskip("torch", reason="torch is in the extra 'train'")
pytest.importorskip("accelerate", reason="accelerate is in the extra 'train'")

WORDS = 31
"""The vocabulary of the tiny models."""
IGNORED = -100
PLAIN = Recipe(method="grpo", learning_rate=1e-2, normaliser="sum")
"""Sums, nothing clipped, no divergence."""


def small(**changes: Any) -> Settings:
    """Settings for the CPU and a few tokens."""
    return Settings(**{"cpu": True, "max_tokens": 12, "tasks": 3, "samples": 4, "steps": 2, **changes})


def quick(method: str, **changes: Any) -> Recipe:
    """A published method at a rate that moves small weights."""
    return PUBLISHED[method].with_changes(**{"learning_rate": 3e-3, "updates": 1, **changes})


def tiny_llama(seed: int = 0) -> Any:
    """A Llama of two layers in float64, so that gradients can be compared digit by digit."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    module = LlamaForCausalLM(config).double()
    with torch.no_grad():
        for each in module.parameters():
            if each.ndim == 2:
                each.normal_(0, 0.3)
    return module


def row(
    prompt: Sequence[int],
    said: Sequence[int],
    weight: float = 1.0,
    *,
    role: str = "rl",
    logprobs: Sequence[float] | None = None,
    silent: Sequence[int] = (),
    group: str = "g",
    **changes: Any,
) -> TokenRow:
    """A row that trains ``said`` after ``prompt``, but for its places in ``silent``."""
    own = [0] * len(prompt) + [int(at not in silent) for at in range(len(said))]
    ids = [*prompt, *said]
    known = None if logprobs is None else (*([0.0] * len(prompt)), *logprobs)
    return TokenRow(
        input_ids=tuple(ids),
        labels=tuple(each if mine else IGNORED for each, mine in zip(ids, own, strict=True)),
        weights=tuple(weight if mine else 0.0 for mine in own),
        logprobs=known,
        role=role,
        attempt=f"{group}/0/1",
        meta=Meta(method="test", task_id=group, group_id=group, attempts=(f"{group}/0/1",)),
        **changes,
    )


def some_rows(count: int = 6, *, seed: int = 0, role: str = "rl", **changes: Any) -> list[TokenRow]:
    """Rows of all lengths with weights of both signs; some have silent tokens inside."""
    draw = random.Random(seed)
    made = []
    for at in range(count):
        prompt = [draw.randrange(WORDS) for _ in range(draw.randint(1, 9))]
        said = [draw.randrange(WORDS) for _ in range(draw.randint(2, 7))]
        silent = [draw.randrange(len(said) - 1)] if at % 3 == 0 else []
        weight = draw.choice([-1.0, 0.5, 2.0])
        made.append(row(prompt, said, weight, role=role, silent=silent, group=f"g{at}", **changes))
    return made


def logprobs_of(module: Any, each: TokenRow) -> Any:
    """log p of every id of a row given those before it, computed alone; the first one counts as 0."""
    ids = torch.tensor([each.input_ids])
    found = module(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    return torch.cat([found.new_zeros(1), found])


def slope_of(module: Any, rows: Sequence[TokenRow], coefficient: Callable[[TokenRow, Any], Any]) -> list[Any]:
    """The gradient of ``sum of coefficient * log p`` over all trained tokens, the coefficient held fixed."""
    total = 0.0
    for each in rows:
        logprobs = logprobs_of(module, each)
        trained = torch.tensor([label != IGNORED for label in each.labels])
        total = total + (coefficient(each, logprobs.detach()) * logprobs)[trained].sum()
    return list(torch.autograd.grad(total, list(module.parameters())))


def weights_in(each: TokenRow) -> Any:
    """The signed weights of a row's tokens."""
    return torch.tensor(each.weights, dtype=torch.float64)


def updater_of(module: Any, recipe: Recipe = PLAIN, **changes: Any) -> Any:
    """An updater of the module as it is, on this CPU; gradients are not cut unless told so."""
    from agentloop.training.machine import accelerator_for
    from agentloop.training.updating import Updater

    settings = small(**{"steps": 10, "clip_norm": 1e9, **changes})
    return Updater(accelerator_for(settings, Path()), module, recipe, settings)


def gradient_of(module: Any, rows: Sequence[TokenRow], recipe: Recipe = PLAIN, **changes: Any) -> list[Any]:
    """The gradient that one update on the rows takes its step by; the module stays as it is."""
    module = copy.deepcopy(module)
    learner = updater_of(module, recipe, **changes)
    learner.learn(rows)
    return [torch.zeros_like(each) if each.grad is None else each.grad for each in module.parameters()]


def same(left: Sequence[Any], right: Sequence[Any], *, within: float = 1e-10) -> bool:
    """Whether two lists of tensors agree."""
    return all(torch.allclose(a, b, rtol=within, atol=within) for a, b in zip(left, right, strict=True))


def state_of(module: Any) -> list[Any]:
    """A copy of the weights."""
    return [each.detach().clone() for each in module.parameters()]


def weights_of(folder: Path) -> dict[str, Any]:
    """The weights that lie in a checkpoint."""
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def equal_weights(one: Path, other: Path, *, within: float = 0.0) -> bool:
    """Whether two checkpoints hold the same weights."""
    left, right = weights_of(one), weights_of(other)
    return left.keys() == right.keys() and all(
        torch.allclose(left[name], right[name], rtol=within, atol=within) for name in left
    )


def critic_of_letters(attempt: Attempt) -> Feedback:
    """An answer with an even number of characters passes: about half of all do."""
    if len(attempt.text) % 2 == 0:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text=f"No: {len(attempt.text)} letters.", verdict="fail", score=0.0)


def tasks(count: int = 3, *, name: str = "t", split: Any = "train") -> list[Task]:
    """Tasks that ask for some words."""
    return [Task(id=f"{name}{at}", prompt=f"Say {at}.", split=split) for at in range(count)]


def practice(count: int = 3, *, critic: Any = critic_of_letters, **named: Any) -> Practice:
    """An agent that is judged by its letters."""
    return Practice(agent=partial(reflect_and_retry, critic=critic), tasks=tasks(count, **named))


def two_turn_log(groups: int = 3) -> list[Trajectory]:
    """Tasks with three samples each: right at once; right after feedback; wrong both times."""
    made = []
    for at in range(groups):
        name, task = f"q{at}", Task(id=f"q{at}", prompt=f"How many {at}?", split="train")
        tried = [
            [Tried(f"two {at}", 1.0, told="Right.", verdict="pass")],
            [
                Tried(f"three {at}", 0.0, told="Deleted ones count.", verdict="fail"),
                Tried(f"two! {at}", 1.0, told="Right.", verdict="pass"),
            ],
            [
                Tried(f"four {at}", 0.0, told="Look at dates.", verdict="fail"),
                Tried(f"five {at}", 0.0, told="No.", verdict="fail"),
            ],
        ]
        made += [log(f"{name}/{n}", *each, group=name, task=task) for n, each in enumerate(tried)]
    return made
