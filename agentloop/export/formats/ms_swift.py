"""Format ms-swift: JSON Lines in the standard data set form of ms-swift.

Follows the page "Custom Dataset" and the preprocessors of ms-swift 4.6: ``messages``, where ``loss`` of an
assistant's message says whether it is trained and goes before ``--loss_scale``; ``rejected_response`` for
pairs; ``label`` for labelled answers. ``loss_scale`` of a message may be any number, but it is taken for 1
unless ``--is_binary_loss_scale false`` is given, so weights other than 1 are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agentloop.errors import UnsupportedExport
from agentloop.export.formats.conversations import check_alternation, one_answer, plain
from agentloop.export.formats.demands import until_trained
from agentloop.export.formats.format import Carried, Carrying, Format
from agentloop.export.formats.lines import open_lines
from agentloop.export.rows import (
    ContextRow,
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

NAME = "ms-swift"


def sft(row: SftRow | CriticRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation, each message of the assistant with ``loss``."""
    yield {"messages": _messages(until_trained(row.messages)), "meta": to_values(row.meta)}


def preference(row: PreferenceRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation with the better answer, and the text of the worse one."""
    chosen, rejected = one_answer(row.chosen, NAME), one_answer(row.rejected, NAME)
    if chosen == rejected:
        raise UnsupportedExport(
            f"ms-swift drops a pair of equal answers, and a row of {row.meta.attempts} is one"
        )
    yield {
        "messages": _answered(row.prompt, chosen),
        "rejected_response": rejected,
        "meta": to_values(row.meta),
    }


def unpaired(row: UnpairedRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation with its answer, and whether it is a good one."""
    yield {
        "messages": _answered(row.prompt, one_answer(row.completion, NAME)),
        "label": row.label,
        "meta": to_values(row.meta),
    }


def _answered(prompt: Sequence[Message], answer: str) -> list[dict[str, Any]]:
    shown: list[FlaggedMessage] = [
        {"role": each["role"], "content": each["content"], "loss": False} for each in prompt
    ]
    return _messages([*shown, {"role": "assistant", "content": answer, "loss": True}])


def _messages(messages: Sequence[FlaggedMessage]) -> list[dict[str, Any]]:
    check_alternation(plain(messages), NAME)
    return [
        {**message, "loss": each["loss"]} if each["role"] == "assistant" else {**message}
        for message, each in zip(plain(messages), messages, strict=True)
    ]


_TOKENS = "use --format tokens and agentloop's trainer"

FORMAT = Format(
    name="ms-swift",
    about="JSON Lines for ms-swift: messages with loss, rejected_response for pairs, label for KTO",
    carries={
        SftRow: Carried("sft", sft),
        CriticRow: Carried("critic", sft),
        PreferenceRow: Carried("preference", preference),
        UnpairedRow: Carried("unpaired", unpaired),
    },
    refuses={
        GroupRow: f"ms-swift draws its own samples and has no place for logged ones; {_TOKENS}",
        SftTokensRow: "ms-swift takes text, not token ids; use --format trl or tokens",
        ContextRow: "ms-swift has no column for a privileged context; use --format trl",
    },
    lacks={
        "weights": f"ms-swift takes a weight for 1 unless its command line says otherwise; {_TOKENS}",
        "others' words": "ms-swift reads loss of the assistant's messages only; "
        "use --format axolotl, trl or tokens",
    },
    open=open_lines,
    training={
        "sft": "`swift sft --dataset {file}`.",
        "critic": "`swift sft --dataset {file}`, for the model that is to be the critic.",
        "preference": "`swift rlhf --rlhf_type dpo --dataset {file}`.",
        "unpaired": "`swift rlhf --rlhf_type kto --dataset {file}`.",
    },
)
