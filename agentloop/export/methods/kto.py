"""KTO: single answers, each labelled right or wrong, for when right and wrong ones do not come in pairs.

KTO: Model Alignment as Prospect Theoretic Optimization, arXiv 2402.01306. Every answer, first or
later, stands once under the first prompt ``x0`` with its label: an answer given after feedback teaches
what should have been said without it. Equal texts of a group count once; a text that both passed and
failed tells nothing and is left out. An attempt that nobody judged is in no row.

The roles on the card, ``desirable`` and ``undesirable``, tell how many there are of each; where they are
far apart, the paper evens them out by weights (TRL: ``desirable_weight``, ``undesirable_weight``). TRL's
trainer pairs prompts and answers of a batch crosswise for its reference point, so a device needs a
batch of at least 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group
from agentloop.export.methods.dpo import judged
from agentloop.export.methods.method import CALLS, SCORE, Method
from agentloop.export.rows import LeftOut, UnpairedRow
from agentloop.prompts import Prompts


def rows(group: Group, _: Prompts) -> Iterator[UnpairedRow | LeftOut]:
    """The group's different answers, those that passed first."""
    passed, failed, left_out = judged(group)
    yield from left_out
    for answer in (*passed, *failed):
        right = answer.each.passed
        yield UnpairedRow(
            prompt=group.x0,
            completion=answer.messages,
            label=right,
            meta=group.meta("kto", [answer.each], role="desirable" if right else "undesirable"),
        )


METHOD = Method(
    name="kto",
    about="single answers labelled right or wrong, under the first prompt",
    source="arXiv 2402.01306",
    nothing="an answer that passed or failed",
    kinds=(UnpairedRow,),
    rows=rows,
    needs=(CALLS, SCORE),
)
