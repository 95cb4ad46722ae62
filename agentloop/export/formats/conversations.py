"""A row of flagged messages as what trainers read: plain messages, a prompt with its answer, token labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export.formats.format import Carrying, Render
from agentloop.export.rows import FlaggedMessage
from agentloop.types import Message


class Labelled(NamedTuple):
    """Token ids of a conversation, and 1 where they are trained."""

    ids: tuple[int, ...]
    mask: tuple[int, ...]


def plain(messages: Sequence[FlaggedMessage]) -> list[Message]:
    """The messages without their flags."""
    return [{"role": each["role"], "content": each["content"]} for each in messages]


def turns(messages: Sequence[FlaggedMessage]) -> Iterator[tuple[list[Message], list[Message]]]:
    """Each trained message with all that stands before it."""
    shown = plain(messages)
    for index, message in enumerate(messages):
        if message["loss"]:
            yield shown[:index], [shown[index]]


def check_prefix(carrying: Carrying, prompt: Sequence[Message], answer: Sequence[Message]) -> None:
    """With a tokenizer at hand, refuse a template under which a trainer would cut the prompt wrongly."""
    if carrying.render is not None:
        whole = list(carrying.render([*prompt, *answer], False))
        _check_begins(whole, list(carrying.render(prompt, True)), prompt[-1])


def check_alternation(messages: Sequence[Message], trainer: str) -> None:
    """Refuse a conversation in which, after a system message, user and assistant do not take turns.

    Some trainers drop such a row, or run its messages together, and say nothing.
    """
    said = [each["role"] for each in messages]
    said = said[1:] if said[:1] == ["system"] else said
    if any(role != ("user", "assistant")[index % 2] for index, role in enumerate(said)):
        raise UnsupportedExport(
            f"{trainer} wants user and assistant to take turns, and a row has {', '.join(said)}; "
            "use --format trl or axolotl"
        )


def one_answer(answer: Sequence[Message], trainer: str) -> str:
    """The text of an answer of one message of the assistant, which is all that some trainers take."""
    if [each["role"] for each in answer] != ["assistant"]:
        raise UnsupportedExport(
            f"{trainer} takes single answers, and a row has one of {len(answer)} messages; use --format trl"
        )
    return answer[0]["content"]


def labelled(render: Render, messages: Sequence[FlaggedMessage]) -> Labelled:
    """The conversation as token ids with every trained message's own tokens marked.

    An answer's own tokens follow the opening of its turn and include its end; another's message has
    its opening as well. What comes before a message must give the same ids alone as in the whole. A
    conversation all of whose messages are trained is trained whole, but for its first token, which
    nothing foretells.
    """
    shown = plain(messages)
    whole = list(render(shown, False))
    mask = [int(all(each["loss"] for each in messages))] * len(whole)
    for index, message in enumerate(messages):
        if message["loss"] and not all(mask):
            before = list(render(shown[:index], message["role"] == "assistant")) if index else []
            until = list(render(shown[: index + 1], False))
            _check_begins(whole, before, shown[index])
            _check_begins(whole, until, shown[index])
            mask[len(before) : len(until)] = [1] * (len(until) - len(before))
    return Labelled(tuple(whole), (0, *mask[1:]))


def _check_begins(whole: list[int], start: list[int], message: Message) -> None:
    if whole[: len(start)] != start:
        raise BadInput(
            "the chat template gives the prompt other token ids alone than before its answer, so a trainer "
            f"would mask the wrong tokens (at {message['content'][:60]!r}); use --format tokens where the "
            "method takes token ids as sampled, or a template whose prompt is a prefix of prompt and answer"
        )
