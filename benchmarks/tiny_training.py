"""The training of ``local/tiny``: conversations to weighted tokens, and one pass of AdamW over them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tiny_data import Conversations, Said


class Example(NamedTuple):
    """The tokens of a conversation, and the weight of each in the loss."""

    ids: list[int]
    weights: list[float]


class Settings(NamedTuple):
    """What one phase of training is set to.

    The rate falls from ``rate`` to ``last_rate`` of it by half a cosine that ends at ``falls_until``
    tokens; ``noted`` is the share of conversations with one answer and notes, ``rivals`` how often other
    houses' notes on the same words stand beside.
    """

    tokens: int
    falls_until: int
    rate: float
    noted: float
    seed: int
    rivals: float = 0.0
    last_rate: float = 0.02
    batch: int = 16
    warm_up: int = 100
    decay: float = 0.05
    pool: int = 1024


class Size(NamedTuple):
    """How large a Llama is."""

    width: int = 128
    inner: int = 384
    layers: int = 4
    heads: int = 4


def new_model(tokenizer: Any, seed: int, size: Size | None = None) -> Any:
    """A small Llama with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    size = size or Size()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        attention_bias=False,
    )
    return LlamaForCausalLM(config)


def examples(tokenizer: Any, conversations: Sequence[Sequence[Said]]) -> list[Example]:
    """The conversations as the chat template lays them out."""
    texts = [said.text for talk in conversations for said in talk]
    encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    role_ids = {role: tokenizer.convert_tokens_to_ids(f"<{role}>") for role in ("user", "assistant")}
    made = []
    for talk in conversations:
        ids, weights = [tokenizer.bos_token_id], [0.0]
        for said in talk:
            pieces = next(encoded)
            ids += [role_ids[said.role], *pieces, tokenizer.eos_token_id]
            weights += [0.0, *[said.weight] * (len(pieces) + 1)]
        made.append(Example(ids, weights))
    return made


def batches(tokenizer: Any, source: Conversations, settings: Settings) -> Iterator[list[Example]]:
    """Batches of examples of like length, in random order."""
    draw = random.Random(settings.seed)
    while True:
        pool = sorted(
            examples(tokenizer, [source.next() for _ in range(settings.pool)]), key=lambda each: len(each.ids)
        )
        cut = [pool[at : at + settings.batch] for at in range(0, len(pool), settings.batch)]
        draw.shuffle(cut)
        yield from cut


def train(
    model: Any, tokenizer: Any, source: Conversations, settings: Settings
) -> Iterator[tuple[int, float]]:
    """Train in place; yields the tokens seen and the mean loss of right answers, every 200 steps."""
    import torch

    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.rate, betas=(0.9, 0.98), weight_decay=settings.decay, fused=True
    )
    model.train()
    seen, losses, began = 0, [], time.time()
    for step, batch in enumerate(batches(tokenizer, source, settings)):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * _slope(step, seen, settings)
        loss, answer_loss = _loss(model, batch, tokenizer.pad_token_id)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        seen += sum(len(each.ids) for each in batch)
        losses.append(answer_loss)
        if step % 200 == 199 or seen >= settings.tokens:
            print(
                f"{seen:>9} tokens, loss {sum(losses) / len(losses):.3f}, {time.time() - began:.0f} s",
                flush=True,
            )
            yield seen, sum(losses) / len(losses)
            losses = []
        if seen >= settings.tokens:
            return


def _slope(step: int, seen: int, settings: Settings) -> float:
    warm = min(1.0, (step + 1) / settings.warm_up)
    done = min(1.0, seen / settings.falls_until)
    return warm * (settings.last_rate + (1 - settings.last_rate) * 0.5 * (1 + math.cos(math.pi * done)))


def _loss(model: Any, batch: Sequence[Example], pad: int) -> tuple[Any, float]:
    """The weighted loss, computed only where a weight stands, and the mean over right answers."""
    import torch
    from torch.nn.functional import cross_entropy

    longest, device = max(len(each.ids) for each in batch), model.device
    ids = torch.tensor([each.ids + [pad] * (longest - len(each.ids)) for each in batch]).to(device)
    weights = torch.tensor([each.weights + [0.0] * (longest - len(each.weights)) for each in batch]).to(
        device
    )
    wanted, counted = ids[:, 1:], weights[:, 1:]
    chosen = counted > 0
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][chosen]
        logits = model.lm_head(hidden)
    each = cross_entropy(logits.float(), wanted[chosen], reduction="none")
    weight = counted[chosen]
    right = each.detach()[weight == 1.0]
    return (each * weight).sum() / weight.sum(), float(right.mean())
