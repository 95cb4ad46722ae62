"""CDF: another kind of row for easy, middling and hard tasks.

Constructive Large Language Models Alignment with Diverse Feedback, arXiv 2310.06450. With q the share
of a group's first answers that passed, every group is in exactly one bucket:

    q >= 2/3         easy       critique rows     -log pi(c0 | x0, y0)
    1/3 <= q < 2/3   middling   revision rows     -log pi(y1 | x0, y0, c0)
    q < 1/3          hard       preference rows   a better and a worse answer under x0

How the paper measures difficulty, and how the three losses are weighted, is unspecified; the pass rate
and its borders are a choice of ours, and the rows carry no weights. A row's ``role`` names its bucket
and its ``context`` the pass rate. Critiques are those of all first answers, right or wrong. A revision is
a second attempt that scored higher than the first, under the prompt it was sampled from. The pairs
are those of method dpo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from agentloop.export.groups import Group, Try
from agentloop.export.methods import dpo
from agentloop.export.methods.answers import first_answers, flagged, masked
from agentloop.export.methods.method import CALLS, FEEDBACK, SCORE, Method
from agentloop.export.methods.rltf_sd import NO_FIRST
from agentloop.export.methods.words import question, retold, said_and_seen, some_words_on, told_by_privileged
from agentloop.export.rows import LeftOut, PreferenceRow, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Message

EASY, HARD = Fraction(2, 3), Fraction(1, 3)
"""Least pass rate of an easy task, and the rate below which one is hard (unspecified by the paper)."""

NO_GAIN = "it scored no higher than the attempt before it"

Rows = Iterator[SftRow | PreferenceRow | LeftOut]


def rows(group: Group, prompts: Prompts) -> Rows:
    """The rows of the one bucket that the group is in."""
    first = first_answers(group)
    if not first:
        yield LeftOut(NO_FIRST, group.id)
        return
    passed = sum(each.passed for each in first)
    rate = f"{passed} of {len(first)} first answers passed"
    for row in bucket(Fraction(passed, len(first)))(group, prompts):
        if isinstance(row, LeftOut):
            yield row
        else:
            yield row.replace(meta=row.meta.replace(method="cdf", context=f"{row.meta.context}; {rate}"))


def bucket(rate: Fraction) -> Callable[[Group, Prompts], Rows]:
    """What makes the rows of a group with this pass rate."""
    if rate >= EASY:
        return critiques
    return revisions if rate >= HARD else preferences


def critiques(group: Group, prompts: Prompts) -> Rows:
    """The feedback on each first answer, given the task and the answer."""
    for each in first_answers(group):
        words = some_words_on(each, known=said_and_seen(each))
        if isinstance(words, LeftOut):
            yield words
            continue
        asked = prompts.render("critique", task=question(group), attempt=retold(each))
        request: Message = {"role": "user", "content": asked}
        answer: Message = {"role": "assistant", "content": words}
        meta = group.meta("cdf", [each], context="request for a critique", role="critique")
        yield SftRow(
            messages=(flagged(request, loss=False), flagged(answer, loss=True)),
            meta=meta.replace(privileged=meta.privileged or told_by_privileged(each)),
        )


def revisions(group: Group, _: Prompts) -> Rows:
    """Each second attempt that improved on the first, under the prompt with answer and feedback."""
    for member in group.members:
        first, second = member.attempt(1), member.attempt(2)
        if second is None:
            continue
        if first is None or second.score <= first.score:
            yield LeftOut(NO_FIRST if first is None else NO_GAIN, second.attempt.id)
        else:
            yield from _revision(group, second)


def _revision(group: Group, second: Try) -> Iterator[SftRow]:
    meta = group.meta("cdf", [second], context="x1", role="revision")
    for piece in second.message_pieces():
        yield SftRow(messages=masked(piece), meta=meta)


def preferences(group: Group, prompts: Prompts) -> Rows:
    """Pairs of an answer that passed and one that failed."""
    for pair in dpo.rows(group, prompts):
        if isinstance(pair, LeftOut):
            yield pair
        else:
            yield pair.replace(meta=pair.meta.replace(role="preference"))


METHOD = Method(
    name="cdf",
    about="critiques of easy tasks, revisions of middling ones and preference pairs of hard ones",
    source="CDF, arXiv 2310.06450",
    nothing="feedback on an easy task, a better second attempt at a middling one, or a pair of a hard one",
    kinds=(SftRow, PreferenceRow),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK),
    demands=("untrained answers",),
)
