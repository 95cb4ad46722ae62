"""LeTI: every answer under a mark that says whether it is right, and under what was said of a wrong one.

LeTI: Learning to Generate from Textual Interactions, arXiv 2305.10314. The text of a row is

    <|good|> x y                                                   where y passed
    <|bad|> <|lang_feedback|> c <|/lang_feedback|> x y             where y failed and c is known
    <|bad|> x y                                                    where y failed and nothing was said

and every token of it is trained, mark, feedback and problem included, as published:
``L = -sum_t log pi(token_t | tokens before)``. The marks are text (texts/leti_good.md, leti_bad.md,
leti_told.md) and no new tokens. Answers that passed get no feedback, as in the paper's runs without
post-processing feedback. The paper takes samples of the first prompt only; here an answer after
feedback is one more answer to the same question, under x0 as well. The published mixing in of
pre-training text is the trainer's.

A model trained so is asked under the good mark: ``conditioned``. Answers that were sampled under it
in an earlier round get the mark they earned in its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods import condition
from agentloop.export.methods.answers import flagged, under
from agentloop.export.methods.method import CALLS, SCORE, Method
from agentloop.export.methods.words import said_and_seen, told_by_privileged, words_on
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts

GOOD, BAD, TOLD = "leti_good", "leti_bad", "leti_told"


def rows(group: Group, prompts: Prompts, *, coarse_only: bool = False) -> Iterator[SftRow | LeftOut]:
    """A row for every answer; with ``coarse_only`` the mark stands alone (the paper's ablation)."""
    for member in group.members:
        for each in member.tries:
            words = "" if each.passed or coarse_only else words_on(each, known=said_and_seen(each))
            if isinstance(words, LeftOut):
                yield words
            else:
                yield from _rows(group, prompts, each, words)


def _rows(group: Group, prompts: Prompts, each: Try, words: str) -> Iterator[SftRow | LeftOut]:
    name = GOOD if each.passed else TOLD if words else BAD
    x0 = condition.under_condition(prompts, group.x0, name, names=(GOOD, TOLD, BAD), feedback=words)
    pieces = None if x0 is None else under(x0, each)
    if pieces is None:
        yield LeftOut(condition.NO_QUESTION if x0 is None else NOT_MOVABLE, each.attempt.id)
        return
    meta = group.meta("leti", [each], context=f"x0 under {name}", role="sft")
    privileged = meta.privileged or (bool(words) and told_by_privileged(each))
    for piece in pieces:
        yield SftRow(
            messages=tuple(flagged(message, loss=True) for message in piece.prompt + piece.items),
            meta=meta.replace(privileged=privileged),
        )


def conditioned(text: str, *, prompts: Prompts | None = None) -> str:
    """A question under the good mark, or a ``task.md`` with its ``{task}`` that puts every task under it."""
    return condition.conditioned(prompts or Prompts(), GOOD, text)


METHOD = Method(
    name="leti",
    about="supervised fine-tuning on answers under a mark for right or wrong and the feedback on wrong ones",
    source="LeTI, arXiv 2305.10314",
    nothing="an attempt that passed or failed",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE),
    demands=("others' words",),
)
