"""Format openai: JSON Lines for OpenAI's fine-tuning of chat models, by supervision or by preference.

Follows the API description 2.3 (``FineTuneChatRequestInput``, ``FineTunePreferenceRequestInput``): a line
is ``{"messages": [...]}``, where ``weight`` of an assistant's message is 1 if it is trained and 0 if not,
or ``{"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}``. A
conversation ends with the assistant, so what follows the last trained message is left away. Other keys
are not described there, so a row's ``meta`` stands in a file beside, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentloop.export.formats.conversations import one_answer
from agentloop.export.formats.demands import until_trained
from agentloop.export.formats.format import Carried, Carrying, Format
from agentloop.export.formats.lines import open_lines_apart
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


def sft(row: SftRow | CriticRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation, each message of the assistant with its ``weight``."""
    messages = [_message(each) for each in until_trained(row.messages)]
    yield {"messages": messages, "meta": to_values(row.meta)}


def preference(row: PreferenceRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """``input``, ``preferred_output``, ``non_preferred_output``."""
    for answer in (row.chosen, row.rejected):
        one_answer(answer, "OpenAI")
    yield {
        "input": {"messages": list(row.prompt)},
        "preferred_output": list(row.chosen),
        "non_preferred_output": list(row.rejected),
        "meta": to_values(row.meta),
    }


def _message(each: FlaggedMessage) -> dict[str, Any]:
    message = {"role": each["role"], "content": each["content"]}
    return {**message, "weight": int(each["loss"])} if each["role"] == "assistant" else message


_TOKENS = "use --format tokens and agentloop's trainer"

FORMAT = Format(
    name="openai",
    about="JSON Lines for OpenAI's fine-tuning: messages with weight 0 or 1, or two outputs to one input",
    carries={
        SftRow: Carried("sft", sft),
        CriticRow: Carried("critic", sft),
        PreferenceRow: Carried("preference", preference),
    },
    refuses={
        GroupRow: f"OpenAI's fine-tuning takes no logged samples with their log-probs; {_TOKENS}",
        SftTokensRow: "OpenAI's fine-tuning takes text, not token ids; use --format trl or tokens",
        UnpairedRow: "OpenAI's fine-tuning takes pairs, not labelled answers; use --format trl",
        ContextRow: "OpenAI's fine-tuning has no privileged context; use --format trl",
    },
    lacks={
        "weights": f"a message's weight may only be 0 or 1; {_TOKENS}",
        "others' words": "only messages of the assistant are trained; use --format axolotl, trl or tokens",
    },
    open=open_lines_apart,
    apart=True,
    training={
        "sft": "Upload the file with purpose `fine-tune`; method `supervised`; at least 10 lines.",
        "critic": "The same, for the model that is to be the critic.",
        "preference": "Upload the file with purpose `fine-tune`; method `dpo`; at least 10 lines.",
    },
)
