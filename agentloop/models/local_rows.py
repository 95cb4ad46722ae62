"""Sampling the rows of one batch so that no row's text depends on its neighbours.

Each row draws from a random generator of its own: the next token is the one with the greatest
log-probability plus Gumbel noise, which is a sample of the distribution (the Gumbel-max trick). Two
things could still let a neighbour in. Arithmetic in a batch differs from arithmetic alone in the
last digits; so where two tokens are closer than ``CLOSE``, the row is computed again alone and
that decides. And the shape of the batch could change how much noise is drawn; it does not, since each row
draws in blocks of a size that the vocabulary alone fixes. So rows may leave their batch when they have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentloop.models.sampling import Sampling
from agentloop.types import digest

if TYPE_CHECKING:
    import torch

CLOSE = 1e-3
"""How near two float32 logits may come before the row is computed again alone: thirty times what a batch
was seen to change in 14,000 tokens of the bundled model."""
_BLOCK = 16384
SMALL = 8
"""A batch of so few rows stays as it is: to begin anew costs more than the rows that have ended."""


class Noise:
    """One row's stream of Gumbel noise, a vector over the vocabulary a token."""

    def __init__(self, seed: int | None, sample: int) -> None:
        import torch

        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(int(digest("sample", str(seed), str(sample)), 16) >> 1)
        self._block = torch.empty(0, 0)
        self._used = 0

    def next(self, size: int) -> torch.Tensor:
        """The noise for the next token."""
        import torch

        if self._used == len(self._block):
            # float64: in float32 a draw of exactly 0 is common enough to pick an absurd token now and then
            drawn = torch.rand(
                max(1, _BLOCK // size), size, generator=self._generator, dtype=torch.float64
            ).clamp_min_(2.0**-54)
            self._block, self._used = -torch.log(-torch.log(drawn)), 0
        self._used += 1
        return self._block[self._used - 1]


@dataclass
class Row:
    """One sample being made: what it goes on from, its settings, and what has been said so far."""

    prompt: Sequence[int]
    sampling: Sampling
    room: int
    noise: Noise | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None


class Rows:
    """Chooses and records the tokens of a batch; ``choose`` and ``stopped`` are for ``generate``.

    ``alone`` gives the logits after a row's tokens, computed without neighbours or padding.
    ``decoded`` turns token ids into text, to look for stop texts. ``close`` 0 never computes again.
    ``finished`` is told of each row when it ends, since others may go on for long. With ``halves``,
    ``stopped`` says that all rows have ended as soon as half of them have.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        ends: frozenset[int],
        alone: Callable[[Sequence[int]], torch.Tensor],
        decoded: Callable[[Sequence[int]], str],
        close: float,
        finished: Callable[[Row], object] = lambda row: None,
        halves: bool = False,
    ) -> None:
        import torch

        self.rows = rows
        self._halves = halves and len(rows) > SMALL
        self.again = 0
        self._ends, self._alone, self._decoded, self._finished = ends, alone, decoded, finished
        heat = [row.sampling.temperature or 1.0 for row in rows]
        self._heat = torch.tensor(heat).unsqueeze(1)
        self._keep = torch.tensor([row.sampling.top_p for row in rows]).unsqueeze(1)
        self._close = close / self._heat

    def choose(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """A logits processor: leaves each row one token to take, and notes it with its log-probability."""
        import torch

        live = [at for at, row in enumerate(self.rows) if row.finish_reason is None]
        noise = torch.zeros(scores.shape, dtype=torch.float64)
        for at in live:
            stream = self.rows[at].noise
            if stream is not None:
                noise[at] = stream.next(scores.shape[1])
        logprobs = torch.log_softmax(scores.float().cpu() / self._heat, dim=-1)
        tokens, doubtful = _pick(logprobs + noise, logprobs, self._keep, self._close)
        for at in live:
            if doubtful[at]:
                self.again += 1
                row = self.rows[at]
                sure = self._alone([*row.prompt, *row.token_ids]) / self._heat[at]
                logprobs[at] = torch.log_softmax(sure, dim=-1)
                one, exact = logprobs[at : at + 1], torch.zeros(1, 1)
                tokens[at] = _pick(one + noise[at], one, self._keep[at : at + 1], exact)[0]
        said = logprobs.gather(1, tokens.unsqueeze(1)).squeeze(1).tolist()
        for at in live:
            self.rows[at].token_ids.append(int(tokens[at]))
            self.rows[at].logprobs.append(min(said[at], 0.0))
        forced = torch.full_like(scores, float("-inf"))
        return forced.scatter_(1, tokens.unsqueeze(1).to(scores.device), 0.0)

    def stopped(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """A stopping criterion: which rows have said their last token."""
        import torch

        for row in self.rows:
            if row.finish_reason is None and (reason := self._finish(row)) is not None:
                row.finish_reason = reason
                self._finished(row)
        ended = [row.finish_reason is not None for row in self.rows]
        if self._halves and 2 * sum(ended) >= len(ended):
            ended = [True] * len(ended)
        return torch.tensor(ended, device=input_ids.device)

    def _finish(self, row: Row) -> str | None:
        if row.token_ids[-1] in self._ends:
            return "stop"
        if row.sampling.stop:
            text = self._decoded(row.token_ids)
            if any(stop in text for stop in row.sampling.stop):
                return "stop"
        return "length" if len(row.token_ids) >= row.room else None


def speak(
    model: Any, batch: Sequence[Row], *, device: str, make: Callable[..., Rows], selects: bool = True
) -> bool:
    """Sample all rows to their ends; gives whether the model's cache can be cut to some of its rows.

    ``generate`` goes on computing rows that have ended for as long as any has not. So it is stopped when half
    of them have, and begun anew with the others on what it remembers of them. A prompt that several rows
    share is read once. Both need a cache that ``selects`` rows.
    """
    left, width = list(batch), max(len(row.prompt) for row in batch)
    cache = _read(model, batch, device) if selects else None
    while left:
        rows = make(left, halves=selects)
        said = _generate(
            model,
            [[*row.prompt, *row.token_ids] for row in left],
            width=width + len(left[0].token_ids),
            device=device,
            past_key_values=cache,
            room=max(row.room - len(row.token_ids) for row in left),
            logits_processor=[rows.choose],
            stopping_criteria=[rows.stopped],
        )
        keep = [at for at, row in enumerate(left) if row.finish_reason is None]
        if keep:
            cache = _selected(said.past_key_values, keep, device)
            selects = cache is not None
        left = [left[at] for at in keep]
    return selects


def _read(model: Any, batch: Sequence[Row], device: str) -> Any:
    """The cache of all rows up to the last token of their prompts, each different prompt read once.

    None where that saves little, or the model has no cache that can be told to repeat rows.
    """
    prompts = {prompt: at for at, prompt in enumerate(dict.fromkeys(tuple(row.prompt) for row in batch))}
    if 2 * len(prompts) > len(batch) or min(map(len, prompts)) < 2:
        return None
    width = max(map(len, prompts)) - 1
    read = _generate(model, [prompt[:-1] for prompt in prompts], width=width, device=device, room=1)
    return _selected(read.past_key_values, [prompts[tuple(row.prompt)] for row in batch], device)


def _generate(
    model: Any, tokens: Sequence[Sequence[int]], *, width: int, device: str, room: int, **settings: Any
) -> Any:
    import torch
    from transformers import GenerationConfig

    ids = torch.tensor([[0] * (width - len(each)) + list(each) for each in tokens])
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in tokens])
    how = GenerationConfig(do_sample=False, max_new_tokens=room, pad_token_id=0, return_dict_in_generate=True)
    return model.generate(
        input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=how, **settings
    )


def _selected(cache: Any, rows: Sequence[int], device: str) -> Any:
    """The cache with these of its rows, in this order; None where it cannot be told to."""
    import torch

    layers = getattr(cache, "layers", None)
    if not layers or not all(hasattr(layer, "batch_select_indices") for layer in layers):
        return None
    cache.batch_select_indices(torch.tensor(rows, device=device))
    return cache


def _pick(
    keys: torch.Tensor, logprobs: torch.Tensor, keep: torch.Tensor, close: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The token of each row with the greatest key among the likeliest that together have ``keep``.

    Second, whether it is doubtful: another key within ``close``, or the token itself so near the cut
    that rounding could have put it on the other side.
    """
    if (keep == 1).all():
        best = keys.topk(2, dim=-1)
        return best.indices[:, 0], best.values[:, 0] - best.values[:, 1] < close[:, 0]
    ordered = logprobs.sort(dim=-1, descending=True).values
    width = close / 20  # probabilities move less than logits
    last_kept = ordered.gather(1, _kept(ordered, keep + width) - 1)
    first_cut = ordered.gather(1, _kept(ordered, keep - width).clamp_max(ordered.shape[1] - 1))
    maybe = (keep == 1) | (logprobs >= last_kept - close)
    surely = (keep == 1) | (logprobs >= first_cut + close)
    best = keys.masked_fill(~maybe, float("-inf")).topk(2, dim=-1)
    near = best.values[:, 0] - best.values[:, 1] < close[:, 0]
    return best.indices[:, 0], near | ~surely.gather(1, best.indices[:, :1]).squeeze(1)


def _kept(ordered: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """How many tokens are kept: the likeliest that together have ``keep``, at least one."""
    chance = ordered.exp()
    return ((chance.cumsum(dim=-1) - chance) < keep).sum(dim=-1, keepdim=True).clamp_min(1)
