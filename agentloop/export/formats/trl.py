"""Format trl: JSON Lines with the columns that TRL's trainers read (tried with TRL 1.16).

TRL ignores ``loss``, ``weight`` and ``loss_mask`` without a word and then trains every token. So a row of
messages becomes ``prompt`` and ``completion``, of which TRL trains the completion only; an attempt of
several turns becomes one line a turn, each under all that was said before it, which trains exactly
the agent's own turns, once each. A conversation that is to be trained whole stays ``messages``; one that
trains some words of others becomes ``input_ids`` and ``labels``, for which the tokenizer is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentloop.errors import BadInput
from agentloop.export.formats.conversations import check_prefix, labelled, plain, turns
from agentloop.export.formats.demands import demands_of
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

IGNORED = -100


def sft(row: SftRow | CriticRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt`` and ``completion`` for each trained answer, or the conversation whole.

    A score or label of a critique has no place in TRL's SFT.
    """
    meta = to_values(row.meta)
    if all(each["loss"] for each in row.messages):
        yield {"messages": plain(row.messages), "meta": meta}
    elif "others' words" in demands_of(row):
        yield _labels(row, carrying)
    else:
        for prompt, completion in turns(row.messages):
            check_prefix(carrying, prompt, completion)
            yield {"prompt": prompt, "completion": completion, "meta": meta}


def sft_tokens(row: SftTokensRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """``input_ids`` and ``labels``, which TRL takes as they are."""
    labels = [each if own else IGNORED for each, own in zip(row.input_ids, row.loss_mask, strict=True)]
    yield {"input_ids": list(row.input_ids), "labels": labels, "meta": to_values(row.meta)}


def preference(row: PreferenceRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt``, ``chosen``, ``rejected``: what the DPO trainer reads."""
    for answer in (row.chosen, row.rejected):
        check_prefix(carrying, row.prompt, answer)
    yield to_values(row)


def unpaired(row: UnpairedRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt``, ``completion``, ``label``: what the KTO trainer reads."""
    check_prefix(carrying, row.prompt, row.completion)
    yield to_values(row)


def context(row: ContextRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """``prompt`` and ``privileged_context``: what the SDPO trainer reads."""
    yield to_values(row)


def _labels(row: SftRow | CriticRow, carrying: Carrying) -> dict[str, Any]:
    if carrying.render is None:
        raise BadInput(
            f"method {carrying.method.name} trains words of the user as well, which TRL can only be told by "
            "the token; give write_export(render=...), or --tokenizer PATH"
        )
    ids, mask = labelled(carrying.render, row.messages)
    labels = [each if own else IGNORED for each, own in zip(ids, mask, strict=True)]
    return {"input_ids": list(ids), "labels": labels, "meta": to_values(row.meta)}


_GROUPS = (
    "TRL's trainers draw their own samples and have no column for logged ones, their log-probs or a signed "
    "weight for each token (its SFT trainer would train wrong answers and right ones alike); use "
    "--format tokens and agentloop's trainer"
)
_CUT = "Longer rows are cut at `max_length` (1024 tokens unless set)."

FORMAT = Format(
    name="trl",
    about="JSON Lines for TRL: prompt and completion for SFT, prompt, chosen and rejected for DPO",
    carries={
        SftRow: Carried("sft", sft),
        SftTokensRow: Carried("sft", sft_tokens),
        PreferenceRow: Carried("preference", preference),
        UnpairedRow: Carried("unpaired", unpaired),
        CriticRow: Carried("critic", sft),
        ContextRow: Carried("context", context),
    },
    refuses={GroupRow: _GROUPS},
    lacks={"weights": "no trainer of TRL reads a row's weight; use --format tokens and agentloop's trainer"},
    open=open_lines,
    training={
        "sft": f"`SFTTrainer` with its defaults trains exactly what is meant. {_CUT}",
        "critic": f"`SFTTrainer` with its defaults, on the model that is to be the critic. {_CUT}",
        "preference": f"`DPOTrainer`. {_CUT}",
        "unpaired": "`KTOTrainer`, with at least 2 rows a batch on each device.",
        "context": "`SDPOTrainer` (experimental), with `include_environment_feedback=True`.",
    },
)
