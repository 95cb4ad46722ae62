"""Format llama-factory: JSON Lines in LLaMA-Factory's sharegpt form, with their dataset_info.json.

Follows ``data/README.md`` and the sharegpt converter of LLaMA-Factory 0.9.6. ``conversations`` holds
``{"from", "value"}`` with human and gpt in turn after an optional system message; a row of any other
order would be dropped with a warning, so it is an error here. Every gpt turn is trained and none can be
left out by the data, so a row that shows an untrained answer is refused. Pairs hold ``chosen`` and
``rejected`` (``ranking``); labelled answers ``kto_tag``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentloop.errors import UnsupportedExport
from agentloop.export.formats.conversations import check_alternation, one_answer, plain
from agentloop.export.formats.demands import until_trained
from agentloop.export.formats.format import Carried, Carrying, Format
from agentloop.export.formats.lines import open_lines
from agentloop.export.rows import (
    ContextRow,
    CriticRow,
    GroupRow,
    PreferenceRow,
    SftRow,
    SftTokensRow,
    UnpairedRow,
    to_values,
)
from agentloop.types import Message

NAME = "LLaMA-Factory"
_FROM = {"system": "system", "user": "human", "assistant": "gpt"}
_COLUMNS = {
    "preference": {"chosen": "chosen", "rejected": "rejected"},
    "unpaired": {"kto_tag": "kto_tag"},
}


def sft(row: SftRow | CriticRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation, every gpt turn of which is trained."""
    yield {"conversations": _turns(plain(until_trained(row.messages))), "meta": to_values(row.meta)}


def preference(row: PreferenceRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation before the answers, and the two answers."""
    answers = {
        side: {"from": "gpt", "value": one_answer(answer, NAME)}
        for side, answer in (("chosen", row.chosen), ("rejected", row.rejected))
    }
    yield {"conversations": _turns(row.prompt), **answers, "meta": to_values(row.meta)}


def unpaired(row: UnpairedRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation with its answer, and whether it is a good one."""
    if not one_answer(row.completion, NAME):
        raise UnsupportedExport(f"{NAME} takes an empty answer for a bad one, and a row has one")
    conversation = _turns([*row.prompt, *row.completion])
    yield {"conversations": conversation, "kto_tag": row.label, "meta": to_values(row.meta)}


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    check_alternation(messages, NAME)
    return [{"from": _FROM[each["role"]], "value": each["content"]} for each in messages]


def dataset_info(files: Mapping[str, str]) -> dict[str, str]:
    """The ``dataset_info.json`` that names each file as a data set, ``agentloop_`` and its part."""
    described = {
        f"agentloop_{part}": {
            "file_name": file,
            "formatting": "sharegpt",
            **({"ranking": True} if part == "preference" else {}),
            "columns": {"messages": "conversations", **_COLUMNS.get(part, {})},
        }
        for part, file in files.items()
    }
    return {"dataset_info.json": json.dumps(described, indent=2) + "\n"}


_TOKENS = "use --format tokens and agentloop's trainer"
_HERE = "`dataset_dir` is this folder, `dataset: agentloop_{part}`"

FORMAT = Format(
    name="llama-factory",
    about="JSON Lines for LLaMA-Factory, sharegpt form, with dataset_info.json",
    carries={
        SftRow: Carried("sft", sft),
        CriticRow: Carried("critic", sft),
        PreferenceRow: Carried("preference", preference),
        UnpairedRow: Carried("unpaired", unpaired),
    },
    refuses={
        GroupRow: f"{NAME} has no place for logged samples and signed weights; {_TOKENS}",
        SftTokensRow: f"{NAME} takes text, not token ids; use --format trl or tokens",
        ContextRow: f"{NAME} has no trainer that reads a privileged context; use --format trl",
    },
    lacks={
        "weights": f"{NAME} reads no weight of a row; {_TOKENS}",
        "others' words": f"{NAME} trains gpt's turns alone; use --format axolotl, trl or tokens",
        "untrained answers": f"{NAME} would train the answers that are only shown as well; "
        "use --format axolotl, ms-swift, openai or trl, which can leave a message out",
    },
    open=open_lines,
    training={
        "sft": f"`stage: sft`, {_HERE}; leave `mask_history` and `train_on_prompt` off.",
        "critic": f"`stage: sft`, {_HERE}, for the model that is to be the critic.",
        "preference": f"`stage: dpo`, {_HERE}.",
        "unpaired": f"`stage: kto`, {_HERE}.",
    },
    beside=dataset_info,
)
