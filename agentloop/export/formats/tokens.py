"""Format tokens: token ids as sampled, labels, a signed weight for each token; for agentloop's trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentloop.errors import BadInput
from agentloop.export.formats.format import Carrying, Format, rendered
from agentloop.export.formats.lines import write_lines
from agentloop.export.rows import (
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
from agentloop.types import Message

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
    yield to_values(_supervised(row.input_ids, row.loss_mask, weight=row.weight, meta=row.meta))


def sft_messages(row: SftRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One line for a text that no model sampled, through the checkpoint's own tokenizer."""
    if carrying.render is None:
        raise BadInput(
            f"method {carrying.method.name} trains on text that the model did not sample, for which format "
            "tokens needs the checkpoint's tokenizer; give write_export(render=...), or --tokenizer PATH"
        )
    messages: list[Message] = [{"role": each["role"], "content": each["content"]} for each in row.messages]
    if [each["loss"] for each in row.messages] != [False] * (len(messages) - 1) + [True]:
        raise BadInput("a row whose text was not sampled can train its last message only")
    whole, start = rendered(carrying.render, messages[:-1], messages[-1:])
    mask = (0,) * start + (1,) * (len(whole) - start)
    yield to_values(_supervised(tuple(whole), mask, weight=row.weight, meta=row.meta))


def _sample(row: GroupRow, sample: Sample, weight: float) -> TokenRow:
    prompt = row.prompt_ids if sample.prompt_ids is None else sample.prompt_ids
    before, own = len(prompt), sample.segment_mask
    return TokenRow(
        input_ids=prompt + sample.ids,
        labels=(IGNORED,) * before + _labels(sample.ids, own),
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


def _supervised(ids: tuple[int, ...], mask: tuple[int, ...], *, weight: float, meta: Meta) -> TokenRow:
    return TokenRow(
        input_ids=ids,
        labels=_labels(ids, mask),
        weights=tuple(weight if each else 0.0 for each in mask),
        role=meta.role,
        attempt=meta.attempts[0],
        policy=meta.policies[0],
        meta=meta,
    )


def _labels(ids: tuple[int, ...], mask: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(each if own else IGNORED for each, own in zip(ids, mask, strict=True))


_PAIRS = (
    "a row of weighted tokens holds one answer, not a pair; use --format trl, whose DPO trainer takes pairs"
)

FORMAT = Format(
    name="tokens",
    about="JSON Lines for agentloop's trainer: input_ids, labels, signed weights, sampling log-probs",
    file="rows.jsonl",
    carries={GroupRow: group_rows, SftTokensRow: sft_tokens, SftRow: sft_messages},
    refuses={
        PreferenceRow: _PAIRS,
        UnpairedRow: "KTO compares an answer with others of its batch; use --format trl",
        CriticRow: "critiques are not logged as tokens of the policy; use --format trl",
    },
    write=write_lines,
    wants_tokens=True,
)
