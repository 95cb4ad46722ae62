"""Attempts as samples of a group row: under the prompt they were sampled from, or under the first prompt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from statistics import fmean
from typing import Literal

from agentloop.export.groups import Group, Try
from agentloop.export.pieces import Piece
from agentloop.export.rows import Sample


def as_sampled(group: Group, each: Try, *, turn: int) -> list[Sample]:
    """The attempt under its own prompt, with the log-probs of sampling: for losses with a ratio."""
    return [
        _sample(each, piece, part).replace(
            turn=turn,
            lp=_logprobs(each, piece),
            prompt_ids=None if piece.prompt == group.x0_ids else piece.prompt,
        )
        for part, piece in enumerate(each.token_pieces())
    ]


def under_first_prompt(
    group: Group, each: Try, *, turn: int, role: Literal["sd", "refinement"]
) -> list[Sample] | None:
    """The attempt's tokens, as sampled, after ``x0`` instead of the prompt with feedback.

    There are no log-probs: those of sampling belong to another prompt. None where the attempt's
    prompts do not begin with its first one, so that they cannot be put under ``x0``.
    """
    pieces = group.tokens_under_x0(each)
    if pieces is None:
        return None
    return [
        _sample(each, piece, part).replace(
            turn=turn,
            role=role,
            off_policy=True,
            prompt_ids=None if piece.prompt == group.x0_ids else piece.prompt,
        )
        for part, piece in enumerate(pieces)
    ]


def _sample(each: Try, piece: Piece[int], part: int) -> Sample:
    last = each.turns[piece.turns[-1]]
    return Sample(
        ids=piece.items,
        lp=None,
        reward=each.score,
        segment_mask=tuple(map(int, piece.own)),
        truncated=last.reply.finish_reason == "length",
        policy_version=last.policy,
        member=each.trajectory.id,
        attempt=each.attempt.id,
        part=part,
    )


def _logprobs(each: Try, piece: Piece[int]) -> tuple[float, ...]:
    spoken: Iterator[float] = iter(
        [value for index in piece.turns for value in each.turns[index].reply.logprobs or ()]
    )
    return tuple(next(spoken) if own else 0.0 for own in piece.own)


def rewards(samples: Sequence[Sample], *, turn: int | None = None) -> dict[str, float]:
    """Each member's raw reward once, however many parts its attempt has."""
    return {each.member: each.reward for each in samples if turn is None or each.turn == turn}


def mean(values: Collection[float]) -> float:
    """The mean; of equal values exactly their value, so that equal rewards give weights of exactly zero."""
    return min(values) if min(values) == max(values) else fmean(values)
