"""Rows of weighted tokens as tensors: grouped by role and length, each with its share of the batch's loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentloop.errors import BadInput
from agentloop.export import TokenRow
from agentloop.export.formats.tokens import IGNORED
from agentloop.training.recipes import Recipe

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Item:
    """A row in its batch: which tokens it trains, and by what each of their losses is multiplied."""

    row: TokenRow
    index: int
    scale: float
    first: int
    """Place of the first trained token."""
    end: int
    """One past the last trained token."""


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Rows of one role as tensors, padded on the right.

    ``input_ids`` and ``attention_mask`` are (B, L). The others are (B, T), where T covers the places
    from the first trained token of any row to the last: ``logits_at`` (T,) names the positions whose
    logits foretell them. ``mask`` is 1 on trained tokens; ``scale`` is each token's share of the loss.
    """

    role: str
    items: tuple[Item, ...]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    logits_at: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    weights: torch.Tensor
    logprobs: torch.Tensor | None
    scale: torch.Tensor


def items_of(rows: Sequence[TokenRow], recipe: Recipe) -> list[Item]:
    """The rows that train anything, with the scale that the recipe's normaliser gives each.

    The scales rest on the whole batch, so that its loss is the same sum however it is cut into micro
    batches and processes. A row without a weight counts in the batch but is not computed, unless the
    recipe has a divergence or entropy term.
    """
    plain = not (recipe.kl or recipe.entropy)
    trained = [sum(label != IGNORED for label in row.labels) for row in rows]
    total, count = sum(trained), len(rows)
    items = []
    for index, (row, tokens) in enumerate(zip(rows, trained, strict=True)):
        if not tokens or (plain and not any(row.weights)):
            continue
        places = [at for at, label in enumerate(row.labels) if label != IGNORED]
        if places[0] == 0:
            raise BadInput(f"a row of {row.attempt} trains its very first token, which nothing foretells")
        scale = {
            "sum": 1.0 / recipe.constant,
            "tokens": 1.0 / total,
            "sequences": 1.0 / (tokens * count),
            "constant": 1.0 / (recipe.constant * count),
        }[recipe.normaliser]
        items.append(Item(row=row, index=index, scale=scale, first=places[0], end=places[-1] + 1))
    return items


def micro_batches(items: Sequence[Item], *, tokens: int) -> Iterator[list[Item]]:
    """The items in lots of one kind and near lengths, each at most ``tokens`` wide times long.

    Of one kind are rows of one role that all have log-probabilities of their sampling, or all have none. A
    lot that is an eighth full ends before a row that would make an eighth of it padding: padding is computed
    like tokens are, but a small lot costs more than its share.
    """
    lot: list[Item] = []
    filled = 0
    for item in in_order(items):
        length = len(item.row.input_ids)
        area = length * (len(lot) + 1)
        padded = 8 * filled >= tokens and 8 * (filled + length) < 7 * area
        if lot and (_kind(item) != _kind(lot[0]) or area > tokens or padded):
            yield lot
            lot, filled = [], 0
        lot.append(item)
        filled += length
    if lot:
        yield lot


def in_order(items: Sequence[Item]) -> list[Item]:
    """The items of one kind together, the shorter ones first."""
    return sorted(items, key=lambda each: (*_kind(each), len(each.row.input_ids), each.index))


def _kind(item: Item) -> tuple[str, bool]:
    return item.row.role, item.row.logprobs is None


def tensors_of(items: Sequence[Item], device: torch.device | str = "cpu") -> MicroBatch:
    """The items as one micro batch on ``device``."""
    import torch

    width = max(len(item.row.input_ids) for item in items)
    first, end = min(item.first for item in items), max(item.end for item in items)

    def filled(values: Sequence[Sequence[float]], kind: torch.dtype, padding: float) -> torch.Tensor:
        rows = [[*each, *([padding] * (width - len(each)))] for each in values]
        return torch.tensor(rows, dtype=kind)

    rows = [item.row for item in items]
    labels = filled([row.labels for row in rows], torch.long, IGNORED)[:, first:end]
    known = all(row.logprobs is not None for row in rows)
    logprobs = (
        filled([row.logprobs or () for row in rows], torch.float32, 0.0)[:, first:end] if known else None
    )
    mask = (labels != IGNORED).float()
    scale = torch.tensor([item.scale for item in items]).unsqueeze(1) * mask
    return MicroBatch(
        role=rows[0].role,
        items=tuple(items),
        input_ids=filled([row.input_ids for row in rows], torch.long, 0).to(device),
        attention_mask=filled([[1] * len(row.input_ids) for row in rows], torch.long, 0).to(device),
        logits_at=torch.arange(first - 1, end - 1, device=device),
        labels=labels.clamp_min(0).to(device),
        mask=mask.to(device),
        weights=filled([row.weights for row in rows], torch.float32, 0.0)[:, first:end].to(device),
        logprobs=None if logprobs is None else logprobs.to(device),
        scale=scale.to(device),
    )
