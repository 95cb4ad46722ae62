"""Format trl: JSON Lines with the columns that TRL's trainers read.

TRL ignores ``loss``, ``weight`` and ``loss_mask`` without a word and then trains every token. So a row of
messages becomes ``prompt`` and ``completion``, of which TRL trains the completion only; an attempt of
several turns becomes one line a turn, each under all that was said before it, which trains exactly
the agent's own turns, once each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agentloop.errors import UnsupportedExport
from agentloop.export.formats.format import Carrying, Format, rendered
from agentloop.export.formats.lines import write_lines
from agentloop.export.rows import (
    CriticRow,
    FlaggedMessage,
    GroupRow,
    PreferenceRow,
    SftRow,
    SftTokensRow,
    UnpairedRow,
    to_values,
)
from agentloop.types import Message


def sft(row: SftRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One ``prompt`` and ``completion`` for each trained message."""
    if row.weight != 1.0:
        raise UnsupportedExport(f"no trainer of TRL reads a row's weight ({row.weight}); use --format tokens")
    for prompt, completion in turns(row.messages):
        _check_prefix(carrying, prompt, completion)
        yield {"prompt": prompt, "completion": completion, "meta": to_values(row.meta)}


def preference(row: PreferenceRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt``, ``chosen``, ``rejected``: what the DPO trainer reads."""
    for answer in (row.chosen, row.rejected):
        _check_prefix(carrying, row.prompt, answer)
    yield to_values(row)


def unpaired(row: UnpairedRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt``, ``completion``, ``label``: what the KTO trainer reads."""
    _check_prefix(carrying, row.prompt, row.completion)
    yield to_values(row)


def critic(row: CriticRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt`` and ``completion``; a score of the critique has no place in TRL's SFT."""
    for prompt, completion in turns(row.messages):
        _check_prefix(carrying, prompt, completion)
        yield {"prompt": prompt, "completion": completion, "meta": to_values(row.meta)}


def turns(messages: Sequence[FlaggedMessage]) -> Iterator[tuple[list[Message], list[Message]]]:
    """Each trained message with all that stands before it."""
    plain: list[Message] = [{"role": each["role"], "content": each["content"]} for each in messages]
    for index, message in enumerate(messages):
        if message["loss"]:
            yield plain[:index], [plain[index]]


def _check_prefix(carrying: Carrying, prompt: Sequence[Message], answer: Sequence[Message]) -> None:
    """With a tokenizer at hand: TRL only logs a warning when the prompt is no prefix, and masks wrongly."""
    if carrying.render is not None:
        rendered(carrying.render, prompt, answer)


_GROUPS = (
    "TRL's trainers draw their own samples and have no column for logged ones, their log-probs or a signed "
    "weight for each token (its SFT trainer would train wrong answers and right ones alike); use "
    "--format tokens and agentloop's trainer"
)

FORMAT = Format(
    name="trl",
    about="JSON Lines for TRL: prompt and completion for SFT, prompt, chosen and rejected for DPO",
    file="rows.jsonl",
    carries={SftRow: sft, PreferenceRow: preference, UnpairedRow: unpaired, CriticRow: critic},
    refuses={
        GroupRow: _GROUPS,
        SftTokensRow: "use the method's rows of messages",
    },
    write=write_lines,
)
