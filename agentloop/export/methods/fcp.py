"""FCP: every answer, right or wrong, under the feedback it got, which stands before the question.

Language Models Can Learn from Verbal Feedback Without Scalar Rewards, arXiv 2509.22638. With x0 the
first prompt, y an answer and c the feedback on it, of whatever verdict,

    L = -sum_t log pi(y_t | c, x0, y_<t)

The condition is text (texts/fcp.md); only the answer is trained. No score is used. An answer after
feedback stands under x0 too, under its own feedback and not under that on the attempt before it. An
answer that was sampled under a wished-for condition c+ (online rounds) has the feedback it really got
in place of c+.

A condition that quotes the answer would hand it over, and nobody could write it in advance. So
feedback with a hidden value in it is left out even where the agent had said that value itself; a
critic for this method is best kept to vague words, as the paper's is. The released code trains rows
whose critic failed under an empty condition; here feedback without words is left out.

A model trained so is asked under the feedback one would like to get: ``conditioned``.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods import condition
from agentloop.export.methods.answers import masked, under
from agentloop.export.methods.method import CALLS, TOLD, Method
from agentloop.export.methods.words import some_words_on, told_by_privileged
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts


def rows(group: Group, prompts: Prompts) -> Iterator[SftRow | LeftOut]:
    """A row for every answer whose feedback can be its condition."""
    for member in group.members:
        for each in member.tries:
            words = some_words_on(each)
            if isinstance(words, LeftOut):
                yield words
            else:
                yield from _rows(group, prompts, each, words)


def _rows(group: Group, prompts: Prompts, each: Try, words: str) -> Iterator[SftRow | LeftOut]:
    x0 = condition.under_condition(prompts, group.x0, "fcp", names=("fcp",), feedback=words)
    pieces = None if x0 is None else under(x0, each)
    if pieces is None:
        yield LeftOut(condition.NO_QUESTION if x0 is None else NOT_MOVABLE, each.attempt.id)
        return
    meta = group.meta("fcp", [each], context="x0 under its feedback", role="sft")
    meta = meta.replace(privileged=meta.privileged or told_by_privileged(each))
    yield from (SftRow(messages=masked(piece), meta=meta) for piece in pieces)


def conditioned(text: str, *, feedback: str | None = None, prompts: Prompts | None = None) -> str:
    """A question under ``feedback``, or a ``task.md`` with its ``{task}`` that puts every task under it.

    ``feedback`` is what one would like to be told, best in the words in which the critic of the log
    told it; without it texts/fcp_wish.md.
    """
    texts = prompts or Prompts()
    wish = texts.render("fcp_wish") if feedback is None else feedback
    return condition.conditioned(texts, "fcp", text, feedback=wish)


METHOD = Method(
    name="fcp",
    about="supervised fine-tuning on every answer under the feedback that it got",
    source="FCP, arXiv 2509.22638",
    nothing="an attempt with feedback in words",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, TOLD),
)
