"""Format tokens: token ids as sampled, labels, a signed weight for each token; for agentloop's trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentloop.errors import BadInput
from agentloop.export.formats.conversations import Labelled, labelled
from agentloop.export.formats.format import Carried, Carrying, Format
from agentloop.export.formats.lines import open_lines
from agentloop.export.rows import (
    ContextRow,
    CriticRow,
    GroupRow,
    Meta,
    PreferenceRow,
    Sample,
    SftRow,
    SftTokensRow,
    TokenRow,
    UnpairedRow,
    to_values,
)
from agentloop.export.samples import mean, rewards

IGNORED = -100
"""The label of a token that is not trained."""


def group_rows(row: GroupRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One line for each sample, with the method's signed weight on each token the agent spoke."""
    weigh = carrying.method.weigh
    assert weigh is not None, "a method of group rows says how it weighs them"
    for sample, weight in zip(row.samples, weigh(row), strict=True):
        yield to_values(_sample(row, sample, weight))


def sft_tokens(row: SftTokensRow, _: Carrying) -> Iterator[dict[str, Any]]:
    """One line, every trained token with the row's weight."""
    yield to_values(_supervised(Labelled(row.input_ids, row.loss_mask), weight=row.weight, meta=row.meta))


def sft_messages(row: SftRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One line for text that no model sampled as it stands, through the checkpoint's own tokenizer."""
    yield to_values(_supervised(labelled(_render(carrying), row.messages), weight=row.weight, meta=row.meta))


def critique(row: CriticRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One line for a critique, likewise; the reward is its score. Its label has no place."""
    line = _supervised(labelled(_render(carrying), row.messages), weight=1.0, meta=row.meta)
    yield to_values(line.replace(role=line.role or "critic", reward=row.score))


def _render(carrying: Carrying) -> Any:
    if carrying.render is None:
        raise BadInput(
            f"method {carrying.method.name} trains on text that the model did not sample, for which format "
            "tokens needs the checkpoint's tokenizer; give write_export(render=...), or --tokenizer PATH"
        )
    return carrying.render


def _sample(row: GroupRow, sample: Sample, weight: float) -> TokenRow:
    prompt = row.prompt_ids if sample.prompt_ids is None else sample.prompt_ids
    before, own = len(prompt), sample.segment_mask
    return TokenRow(
        input_ids=prompt + sample.ids,
        labels=(IGNORED,) * before + _labels(Labelled(sample.ids, own)),
        weights=(0.0,) * before + tuple(weight if each else 0.0 for each in own),
        logprobs=None if sample.lp is None else (0.0,) * before + sample.lp,
        reward=sample.reward,
        baseline=mean(rewards(row.samples).values()) if sample.role == "nft" else None,
        role=sample.role,
        turn=sample.turn,
        off_policy=sample.off_policy,
        truncated=sample.truncated,
        member=sample.member,
        attempt=sample.attempt,
        policy=sample.policy_version,
        meta=row.meta,
    )


def _supervised(tokens: Labelled, *, weight: float, meta: Meta) -> TokenRow:
    return TokenRow(
        input_ids=tokens.ids,
        labels=_labels(tokens),
        weights=tuple(weight if each else 0.0 for each in tokens.mask),
        role=meta.role,
        attempt=next(iter(meta.attempts), ""),
        policy=next(iter(meta.policies), ""),
        meta=meta,
    )


def _labels(tokens: Labelled) -> tuple[int, ...]:
    return tuple(each if own else IGNORED for each, own in zip(tokens.ids, tokens.mask, strict=True))


_PAIRS = (
    "a row of weighted tokens holds one answer, not a pair; use --format trl, whose DPO trainer takes pairs"
)

FORMAT = Format(
    name="tokens",
    about="JSON Lines for agentloop's trainer: input_ids, labels, signed weights, sampling log-probs",
    carries={
        GroupRow: Carried("rows", group_rows),
        SftTokensRow: Carried("rows", sft_tokens),
        SftRow: Carried("rows", sft_messages),
        CriticRow: Carried("rows", critique),
    },
    refuses={
        PreferenceRow: _PAIRS,
        UnpairedRow: "KTO compares an answer with others of its batch; use --format trl",
        ContextRow: "the answers are drawn in training, and a row of tokens holds one; use --format trl",
    },
    open=open_lines,
    wants_tokens=True,
    training={"rows": "Read by agentloop's trainer; a line is one sequence with its own labels and weights."},
)
