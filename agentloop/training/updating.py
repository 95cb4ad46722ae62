"""One optimiser step on a batch of rows: the same numbers in one process or in several."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from agentloop.errors import BadInput
from agentloop.export import TokenRow
from agentloop.training.batches import Item, MicroBatch, in_order, items_of, micro_batches, tensors_of
from agentloop.training.losses import entropy, kl_k3, token_logprobs
from agentloop.training.objective import token_losses
from agentloop.training.recipes import Recipe
from agentloop.training.settings import Settings


class Learnt(NamedTuple):
    """One optimiser step in figures."""

    loss: float
    gradient_norm: float
    rows: int
    tokens: int


class Updater:
    """The policy in training with its optimiser, as accelerate has prepared them.

    Every process holds all rows of a batch and computes its share of them; the scales of the rows rest
    on the whole batch, so gradients add up to those of a single process.
    """

    def __init__(self, accelerator: Any, module: Any, recipe: Recipe, settings: Settings) -> None:
        import inspect

        import torch
        from transformers import get_scheduler

        self.accelerator, self.recipe, self.settings = accelerator, recipe, settings
        if settings.gradient_checkpointing:
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.reference = _Reference(module) if recipe.kl else None
        bare = module.get_base_model() if hasattr(module, "peft_config") else module
        self._sparse_logits = "logits_to_keep" in inspect.signature(bare.forward).parameters
        trained = [each for each in module.parameters() if each.requires_grad]
        rate = recipe.learning_rate
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=settings.weight_decay)
        assert settings.steps is not None, "train() knows how many"
        # accelerate steps a scheduler once for each process
        updates = settings.steps * recipe.updates * accelerator.num_processes
        schedule = get_scheduler(
            settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
            optimizer,
            num_warmup_steps=settings.warmup * accelerator.num_processes,
            num_training_steps=updates,
        )
        self.model, self.optimizer, self.schedule = accelerator.prepare(module, optimizer, schedule)

    def learn(self, rows: Sequence[TokenRow]) -> Learnt:
        """The optimiser steps of one batch; each takes an equal part of the rows."""
        _ready(self.model)
        parts = _parts(rows, self.recipe.updates)
        learnt = [self._update(part) for part in parts if part]
        return Learnt(
            loss=sum(each.loss for each in learnt),
            gradient_norm=max((each.gradient_norm for each in learnt), default=0.0),
            rows=sum(each.rows for each in learnt),
            tokens=sum(each.tokens for each in learnt),
        )

    def _update(self, rows: Sequence[TokenRow]) -> Learnt:
        import torch

        items = items_of(rows, self.recipe)
        if not items:
            return Learnt(0.0, 0.0, 0, 0)
        lots = self._lots(items)
        processes = self.accelerator.num_processes
        total = torch.zeros((), device=self.accelerator.device)
        self.optimizer.zero_grad()
        for last, batch in _with_last(lots):
            with self._gathering(last):
                loss = self._loss(batch)
                self.accelerator.backward(loss * processes)
            total += loss.detach()
        norm = float(self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm))
        loss_sum = float(self.accelerator.reduce(total, reduction="sum"))
        if not (math.isfinite(norm) and math.isfinite(loss_sum)):
            raise BadInput(
                f"the loss became {loss_sum} with gradient norm {norm}: training has diverged; "
                "give a smaller --learning-rate (the state before this step is kept)"
            )
        self.optimizer.step()
        self.schedule.step()
        return Learnt(
            loss_sum,
            norm,
            len(items),
            sum(sum(each.row.weights[at] != 0 for at in range(each.first, each.end)) for each in items),
        )

    def _lots(self, items: Sequence[Item]) -> list[list[Item]]:
        """The micro batches of this process; as many as any other has, since gathering waits for all."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        ordered = in_order(items)
        shares = [
            list(micro_batches(ordered[at::world], tokens=self.settings.micro_batch)) for at in range(world)
        ]
        most = max(map(len, shares))
        idle = [_silent(ordered[0])]
        return shares[rank] + [idle] * (most - len(shares[rank]))

    def _gathering(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _loss(self, items: Sequence[Item]) -> Any:
        batch = tensors_of(items, self.accelerator.device)
        logits = self._logits(self.model, batch)
        logprobs = token_logprobs(logits, batch.labels)
        losses = token_losses(self.recipe, batch, logprobs)
        if self.reference is not None:
            module = self.accelerator.unwrap_model(self.model)
            with self.accelerator.autocast(), self.reference.weights(module) as frozen:
                before = token_logprobs(self._logits(frozen, batch), batch.labels)
            losses = losses + self.recipe.kl * kl_k3(logprobs, before)
        if self.recipe.entropy:
            losses = losses - self.recipe.entropy * entropy(logits)
        return (losses.masked_fill(batch.mask == 0, 0.0) * batch.scale).sum()

    def _logits(self, model: Any, batch: MicroBatch) -> Any:
        """The logits (B, T, V) that foretell the batch's labels, divided by the sampling temperature."""
        ids, mask = batch.input_ids, batch.attention_mask
        if self._sparse_logits:
            logits = model(
                input_ids=ids, attention_mask=mask, logits_to_keep=batch.logits_at, use_cache=False
            ).logits
        else:
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, batch.logits_at]
        return logits if self.settings.temperature == 1.0 else logits / self.settings.temperature


class _Reference:
    """The weights that training began with: a frozen copy, or LoRA switched off."""

    def __init__(self, module: Any) -> None:
        self.copy = (
            None if hasattr(module, "disable_adapter") else copy.deepcopy(module).requires_grad_(False)
        )

    def weights(self, module: Any) -> _Frozen:
        """The reference model, without gradients, for the time of a with statement."""
        return _Frozen(self.copy, module)


class _Frozen:
    def __init__(self, frozen: Any, module: Any) -> None:
        import torch

        self.frozen, self.module = frozen, module
        self.still = torch.no_grad()
        self.bare = nullcontext() if frozen is not None else module.disable_adapter()

    def __enter__(self) -> Any:
        self.still.__enter__()
        self.bare.__enter__()
        return self.module if self.frozen is None else self.frozen

    def __exit__(self, *raised: Any) -> None:
        self.bare.__exit__(*raised)
        self.still.__exit__(*raised)


def _ready(model: Any) -> None:
    """Ready to learn: without dropout, since on policy the ratio has to be 1 and not nearly so.

    Layers compute again in the backward pass only where they think that they train.
    """
    model.eval()
    for each in model.modules():
        each.training = bool(getattr(each, "gradient_checkpointing", False))


def _parts(rows: Sequence[TokenRow], count: int) -> list[Sequence[TokenRow]]:
    """The rows in ``count`` parts of whole groups, in their order."""
    if count == 1:
        return [rows]
    groups = list(dict.fromkeys(row.meta.group_id for row in rows))
    part = {group: at * count // len(groups) for at, group in enumerate(groups)}
    return [[row for row in rows if part[row.meta.group_id] == at] for at in range(count)]


def _silent(item: Item) -> Item:
    """The item with no share in the loss."""
    from dataclasses import replace

    return replace(item, scale=0.0)


def _with_last(lots: Sequence[list[Item]]) -> Iterator[tuple[bool, list[Item]]]:
    for at, lot in enumerate(lots):
        yield at == len(lots) - 1, lot
