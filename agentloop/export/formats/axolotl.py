"""Format axolotl: JSON Lines for axolotl, and the stanzas of its configuration that read them.

Follows the documentation and prompt strategies of axolotl 0.18. For type ``chat_template`` every message
says with ``train`` whether it is trained, which axolotl reads when ``message_field_training: train`` is
set; without it every answer would be trained, so the stanza is written beside. A trained message is its
text and its end, never the marks that open a turn. Pairs are of type ``chat_template.default``;
labelled answers of ``chatml.ultra`` or ``llama3.ultra``, which know one question and an optional system
message only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentloop.errors import UnsupportedExport
from agentloop.export.formats.conversations import one_answer
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

NAME = "axolotl"


def sft(row: SftRow | CriticRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """The conversation, each message with ``train``."""
    messages = [
        {"role": each["role"], "content": each["content"], "train": each["loss"]}
        for each in until_trained(row.messages)
    ]
    yield {"messages": messages, "meta": to_values(row.meta)}


def preference(row: PreferenceRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """``messages`` before the answers, ``chosen`` and ``rejected``, one message each."""
    for answer in (row.chosen, row.rejected):
        _check_found(one_answer(answer, NAME))
    yield {
        "messages": list(row.prompt),
        "chosen": dict(row.chosen[0]),
        "rejected": dict(row.rejected[0]),
        "meta": to_values(row.meta),
    }


def unpaired(row: UnpairedRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """``system``, ``prompt``, ``completion``, ``label``, all but the last as text."""
    roles = [each["role"] for each in row.prompt]
    if roles not in (["user"], ["system", "user"]):
        raise UnsupportedExport(
            f"axolotl's types for labelled answers know one question and a system message, and a row has "
            f"{', '.join(roles)}; use --format trl"
        )
    yield {
        "system": row.prompt[0]["content"] if roles[0] == "system" else "",
        "prompt": row.prompt[-1]["content"],
        "completion": one_answer(row.completion, NAME),
        "label": row.label,
        "meta": to_values(row.meta),
    }


def _check_found(answer: str) -> None:
    if answer in "system user [[dummy_message]] assistant":
        raise UnsupportedExport(
            f"axolotl cuts an answer out of a rendered conversation where its text first stands, and would "
            f"find {answer!r} in the question already; use --format trl"
        )


def stanzas(files: Mapping[str, str]) -> dict[str, str]:
    """One YAML file for each part, to be merged into a training configuration."""
    return {f"axolotl.{part}.yaml": _STANZAS[part].replace("{file}", file) for part, file in files.items()}


_SFT = """datasets:
  - path: {file}
    ds_type: json
    type: chat_template
    field_messages: messages
    message_property_mappings:
      role: role
      content: content
    roles_to_train: []
    train_on_eos: turn
    message_field_training: train
"""
_STANZAS = {
    "sft": _SFT,
    "critic": _SFT,
    "preference": """rl: dpo
datasets:
  - path: {file}
    ds_type: json
    split: train
    type: chat_template.default
    field_messages: messages
    field_chosen: chosen
    field_rejected: rejected
""",
    "unpaired": """rl: kto
remove_unused_columns: false
datasets:
  - path: {file}
    ds_type: json
    split: train
    type: chatml.ultra
""",
}
_TOKENS = "use --format tokens and agentloop's trainer"
_STANZA = "Merge the stanza of `axolotl.{part}.yaml` into the configuration"

FORMAT = Format(
    name="axolotl",
    about="JSON Lines for axolotl: messages with train, or a pair; with the stanzas that read them",
    carries={
        SftRow: Carried("sft", sft),
        CriticRow: Carried("critic", sft),
        PreferenceRow: Carried("preference", preference),
        UnpairedRow: Carried("unpaired", unpaired),
    },
    refuses={
        GroupRow: f"axolotl has no place for logged samples and signed weights; {_TOKENS}",
        SftTokensRow: "the rows are written for axolotl as messages only; use --format trl or tokens",
        ContextRow: "axolotl has no trainer that reads a privileged context; use --format trl",
    },
    lacks={"weights": f"axolotl reads no weight of a row but 0 or 1; {_TOKENS}"},
    open=open_lines,
    training={
        "sft": f"{_STANZA}: without `message_field_training` every answer is trained.",
        "critic": f"{_STANZA}: without `message_field_training` every answer is trained.",
        "preference": f"{_STANZA}.",
        "unpaired": f"{_STANZA}; `llama3.ultra` in place of `chatml.ultra` for models of that template.",
    },
    beside=stanzas,
)
