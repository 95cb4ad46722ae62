"""Joins the turns of an attempt into as few sequences as the log allows, never making up a token.

The same rule serves token ids and messages. A turn's prompt either begins with all that came before
it in the attempt (prompt and reply), and then the turns share one sequence in which what lies between
two replies is not trained; or it does not (a chat template that drops earlier reasoning, a reply that
the tokenizer cuts otherwise when it is read back), and then the turn begins a sequence of its own.
So each reply is trained under exactly the prompt it was sampled from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Said(NamedTuple, Generic[T]):
    """One turn: the prompt of a call, and the reply to it."""

    prompt: tuple[T, ...]
    reply: tuple[T, ...]


class Piece(NamedTuple, Generic[T]):
    """A prompt and what follows it; ``own`` is True where the agent spoke.

    ``turns`` are the places of its turns in the attempt.
    """

    prompt: tuple[T, ...]
    items: tuple[T, ...]
    own: tuple[bool, ...]
    turns: tuple[int, ...]


def join(turns: Sequence[Said[T]]) -> list[Piece[T]]:
    """The turns of one attempt as sequences, in order; one sequence where every prompt runs on."""
    pieces: list[Piece[T]] = []
    for index, turn in enumerate(turns):
        spoke = (True,) * len(turn.reply)
        last = pieces[-1] if pieces else None
        if last is not None and begins_with(turn.prompt, last.prompt + last.items):
            between = turn.prompt[len(last.prompt) + len(last.items) :]
            pieces[-1] = Piece(
                last.prompt,
                last.items + between + turn.reply,
                last.own + (False,) * len(between) + spoke,
                (*last.turns, index),
            )
        else:
            pieces.append(Piece(turn.prompt, turn.reply, spoke, (index,)))
    return pieces


def moved(pieces: Sequence[Piece[T]], *, start: tuple[T, ...], to: tuple[T, ...]) -> list[Piece[T]] | None:
    """The same sequences with the attempt's first prompt ``start`` replaced by another one.

    None when a prompt does not begin with ``start``, since what to replace cannot be told then.
    """
    if any(not begins_with(piece.prompt, start) for piece in pieces):
        return None
    return [piece._replace(prompt=to + piece.prompt[len(start) :]) for piece in pieces]


def begins_with(whole: tuple[T, ...], start: tuple[T, ...]) -> bool:
    """Whether ``whole`` begins with ``start``."""
    return whole[: len(start)] == start
