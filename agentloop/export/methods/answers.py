"""Chosen answers as rows under the first prompt: as messages, or as the token ids that were sampled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.pieces import Piece, moved
from agentloop.export.rows import FlaggedMessage, LeftOut, SftRow, SftTokensRow
from agentloop.types import Message


def first_answers(group: Group) -> list[Try]:
    """The first attempts of the group that can be used: samples of the policy under ``x0``."""
    return [each for member in group.members if (each := member.attempt(1))]


def as_messages(group: Group, chosen: Iterable[Try | LeftOut], *, method: str) -> Iterator[SftRow | LeftOut]:
    """The chosen answers under ``x0``; what is left out already stays so."""
    for each in chosen:
        if isinstance(each, LeftOut):
            yield each
            continue
        pieces = group.messages_under_x0(each)
        if pieces is None:
            yield LeftOut(NOT_MOVABLE, each.attempt.id)
            continue
        meta = group.meta(method, [each], role="sft")
        yield from (SftRow(messages=masked(piece), meta=meta) for piece in pieces)


def as_tokens(
    group: Group, chosen: Iterable[Try | LeftOut], *, method: str
) -> Iterator[SftTokensRow | LeftOut]:
    """The chosen answers under ``x0`` as the token ids that were sampled."""
    for each in chosen:
        if isinstance(each, LeftOut):
            yield each
            continue
        pieces = group.tokens_under_x0(each)
        if pieces is None:
            yield LeftOut(NOT_MOVABLE, each.attempt.id)
            continue
        for piece in pieces:
            yield SftTokensRow(
                input_ids=piece.prompt + piece.items,
                loss_mask=(0,) * len(piece.prompt) + tuple(map(int, piece.own)),
                meta=group.meta(method, [each], role="sft"),
            )


def under(prompt: tuple[Message, ...], each: Try) -> list[Piece[Message]] | None:
    """The attempt's messages, its first prompt replaced by ``prompt``; None where that cannot be told."""
    return moved(each.message_pieces(), start=each.turns[0].call.messages, to=prompt)


def masked(piece: Piece[Message]) -> tuple[FlaggedMessage, ...]:
    """A prompt and what follows it, trained where the agent spoke."""
    prompt = untrained(piece.prompt)
    said = zip(piece.items, piece.own, strict=True)
    return (*prompt, *(flagged(message, loss=own) for message, own in said))


def flagged(message: Message, *, loss: bool) -> FlaggedMessage:
    """The message with its loss flag."""
    return {"role": message["role"], "content": message["content"], "loss": loss}


def untrained(messages: Sequence[Message]) -> tuple[FlaggedMessage, ...]:
    """Messages of which none is trained."""
    return tuple(flagged(message, loss=False) for message in messages)


def said(each: Try) -> tuple[str, ...]:
    """What the agent said, by which equal answers are known; blanks at the ends do not count."""
    return tuple(turn.reply.text.strip() for turn in each.turns)
