"""What is said of parts of a completion: characters to tokens, rewards of tokens, and segments that train.

Shapes: ``T`` tokens of one completion, ``B`` rows. Offsets are the tokenizer's own (for each token the
characters it stands for, end exclusive): words are never matched against tokens by their spelling.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agentloop.errors import BadInput
from agentloop.training.advantages import group_means
from agentloop.types import Span

if TYPE_CHECKING:
    from torch import Tensor

    from agentloop.training.advantages import Groups


class Segment(NamedTuple):
    """A stretch of a row: what it is (``reflection``, ``prompt``, ...) and how many tokens it has."""

    kind: str
    tokens: int


def locate(text: str, quotes: Sequence[tuple[str, float]]) -> list[Span]:
    """Quotes of ``text`` with their weights, as spans: ``text[start:end]`` is the quote.

    A quote that is not in the text, or empty, is dropped (Text2Grad drops what it cannot find); one
    that occurs several times means its first place. A departure: only exact matches count, where
    Text2Grad goes on to fuzzy ones.
    """
    found = [(text.find(quote), quote, weight) for quote, weight in quotes if quote]
    return [Span(start=at, end=at + len(quote), weight=weight) for at, quote, weight in found if at >= 0]


def span_rewards(
    offsets: Sequence[tuple[int, int]], spans: Sequence[Span], *, outside: float = 0.0
) -> Tensor:
    """A reward for each token, ``(T,)`` in float32, from the weights of the spans it touches.

    Text2Grad (Wang et al. 2025): good +1, poor -1, the minimum where spans overlap; ``outside`` is the
    reward of a token in no span, there 0 for prose and +1 for code. A token that stands for no
    characters (a special token) gets 0. A span that no token touches, beyond the end or empty,
    changes nothing.
    """
    import torch

    weighed = [(span, _weight(span)) for span in spans if span.start < span.end]
    rewards = []
    for start, end in offsets:
        touching = [weight for span, weight in weighed if span.start < end and start < span.end]
        rewards.append(min(touching, default=outside) if start < end else 0.0)
    return torch.tensor(rewards, dtype=torch.float32)


def span_advantages(
    token_rewards: Tensor,
    mask: Tensor,
    *,
    groups: Groups = None,
    discount: float = 1.0,
) -> Tensor:
    """``A_t = G_t - b`` with the reward to come ``G_t = sum_{s >= t} discount^(s - t) reward_s``, ``(B, T)``.

    Goes into ``policy_gradient``. A departure from Text2Grad, Fine-Grained RLHF and DRLC, which train
    with PPO and a value model: here the baseline b is one number for each group, the mean over its
    rows of the mean ``G_t`` of a row, and nothing is whitened. An undiscounted reward on the
    last token alone gives the advantage of Dr. GRPO on every token. Without ``groups`` the rows are
    one group. Rewards where the mask is 0 are not read, and the advantage there is 0.
    """
    import torch

    active = mask != 0
    rewards = token_rewards.masked_fill(~active, 0.0)
    returns, later = torch.zeros_like(rewards), rewards.new_zeros(len(rewards))
    for place in reversed(range(rewards.shape[1])):
        later = rewards[:, place] + discount * later
        returns[:, place] = later
    # measured from the first one, so that the mean of equal numbers is that number
    beyond = (returns - returns[:, :1]).masked_fill(~active, 0.0)
    means = returns[:, :1].sum(-1) + beyond.sum(-1) / active.sum(-1).clamp(min=1)
    baseline = group_means(means, groups)
    return (returns - baseline.unsqueeze(-1)).masked_fill(~active, 0.0)


def penalised(
    token_rewards: Tensor, logprobs: Tensor, reference_logprobs: Tensor, *, coefficient: float
) -> Tensor:
    """``reward_t - coefficient (log p - log p_ref)``, ``(B, T)``, without a gradient.

    The divergence inside the reward, as Text2Grad (0.2, 0.05 and 0.07) and Fine-Grained RLHF (0.3) have
    it; adding ``kl_k3`` to the loss is the other way, and both together count twice.
    """
    return token_rewards - coefficient * (logprobs - reference_logprobs).detach()


def segment_mask(rows: Sequence[Sequence[Segment]], kinds: Collection[str]) -> Tensor:
    """The loss mask ``(B, T)`` that is 1 on the tokens of segments of these ``kinds``, padded with 0.

    Reflect, Retry, Reward (Bensal et al. 2025) trains ``{"reflection"}``: neither the attempts nor what
    was shown, though the retry's success is the reward. A kind that no row has is an error, since its
    mask would silently train nothing.
    """
    import torch

    known = {segment.kind for row in rows for segment in row}
    missing = set(kinds) - known
    if not kinds or missing:
        raise BadInput(f"no segment is of the kinds {sorted(missing)}; the rows have {sorted(known)}")
    width = max(sum(segment.tokens for segment in row) for row in rows)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        start = 0
        for segment in row:
            mask[number, start : start + segment.tokens] = segment.kind in kinds
            start += segment.tokens
    return mask


def _weight(span: Span) -> float:
    if span.weight is None:
        raise BadInput(f"the span {span.start} to {span.end} has no weight; say what its tokens are worth")
    return span.weight
