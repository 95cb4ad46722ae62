"""Format openrlhf: JSON Lines for OpenRLHF's trainers, as messages to which they apply the chat template.

Follows the data sets of OpenRLHF 0.11: ``input`` and ``output`` for SFT, where only the output is trained,
so an attempt of several turns becomes one line a turn; ``prompt``, ``chosen``, ``rejected`` for DPO and
the reward model. Its KTO trainer, which reads ``input``, ``output`` and ``label``, was taken out after
0.9.6. ``--data.apply_chat_template`` is needed: ``--data.input_template`` is for rows of plain text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentloop.export.formats.conversations import check_prefix, turns
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


def sft(row: SftRow | CriticRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``input`` and ``output`` for each trained answer."""
    for prompt, answer in turns(row.messages):
        check_prefix(carrying, prompt, answer)
        yield {"input": prompt, "output": answer, "meta": to_values(row.meta)}


def preference(row: PreferenceRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt``, ``chosen``, ``rejected``, all as messages."""
    for answer in (row.chosen, row.rejected):
        check_prefix(carrying, row.prompt, answer)
    yield to_values(row)


def unpaired(row: UnpairedRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``input``, ``output``, ``label``."""
    check_prefix(carrying, row.prompt, row.completion)
    yield {
        "input": list(row.prompt),
        "output": list(row.completion),
        "label": row.label,
        "meta": to_values(row.meta),
    }


_TOKENS = "use --format tokens and agentloop's trainer"
_SFT = (
    "`openrlhf.cli.train_sft --data.dataset {file} --data.input_key input --data.output_key output "
    "--data.apply_chat_template`"
)

FORMAT = Format(
    name="openrlhf",
    about="JSON Lines for OpenRLHF: input and output, or prompt, chosen and rejected, as messages",
    carries={
        SftRow: Carried("sft", sft),
        CriticRow: Carried("critic", sft),
        PreferenceRow: Carried("preference", preference),
        UnpairedRow: Carried("unpaired", unpaired),
    },
    refuses={
        GroupRow: f"OpenRLHF draws its own samples and has no place for logged ones; {_TOKENS}",
        SftTokensRow: "OpenRLHF takes text, not token ids; use --format trl or tokens",
        ContextRow: "OpenRLHF has no trainer that reads a privileged context; use --format trl",
    },
    lacks={
        "weights": f"OpenRLHF reads no weight of a row; {_TOKENS}",
        "others' words": "OpenRLHF trains the output alone; use --format axolotl, trl or tokens",
    },
    open=open_lines,
    training={
        "sft": f"{_SFT}.",
        "critic": f"{_SFT}, for the model that is to be the critic.",
        "preference": "`openrlhf.cli.train_dpo --data.dataset {file} --data.prompt_key prompt "
        "--data.chosen_key chosen --data.rejected_key rejected --data.apply_chat_template`.",
        "unpaired": "`openrlhf.cli.train_kto --dataset {file} --input_key input --output_key output "
        "--label_key label --apply_chat_template`, up to OpenRLHF 0.9.6.",
    },
)
