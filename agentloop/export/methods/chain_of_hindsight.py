"""Chain of Hindsight: a good and a bad answer, alone and after one another, each behind its marker.

Chain of Hindsight Aligns Language Models with Feedback, arXiv 2302.02676. A pair of a good answer g
and a bad one b to the prompt x0 gives four rows, in which what stands in brackets is not trained:

    P   [x0 good-marker] g                   PN  [x0 good-marker] g [bad-marker] b
    N   [x0 bad-marker] b                    NP  [x0 bad-marker] b [good-marker] g

    L = -sum over the tokens of g and b of log pi(token_t | tokens before)

The second half of a chain is a marker without the prompt, as published for summaries and questions.
The pairs are those of method dpo: an answer that passed and one that failed, none of several steps.
There is one pair of markers (texts/hindsight_good.md, hindsight_bad.md); the paper's many wordings are
not made. The rows of a pair come in an order that is drawn by the group's id, the same in every
export. Packing, the random masking of past tokens and the mixing in of pre-training text, weighted
0.01, are the trainer's.

A model trained so is asked behind the good marker: ``conditioned``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentloop.export.groups import Group
from agentloop.export.methods import condition, dpo
from agentloop.export.methods.answers import flagged, untrained
from agentloop.export.methods.method import CALLS, SCORE, Method
from agentloop.export.rows import FlaggedMessage, LeftOut, PreferenceRow, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Message, digest

GOOD, BAD = "hindsight_good", "hindsight_bad"

CHAINS: dict[str, tuple[str, ...]] = {"P": (GOOD,), "N": (BAD,), "PN": (GOOD, BAD), "NP": (BAD, GOOD)}
"""The rows of a pair by the paper's names (positive, negative): the markers in their order."""


def rows(group: Group, prompts: Prompts) -> Iterator[SftRow | LeftOut]:
    """The four rows of each pair of the group."""
    for pair in dpo.rows(group, prompts):
        if isinstance(pair, LeftOut):
            yield pair
        else:
            yield from (_row(group, prompts, pair, kind) for kind in _shuffled(group.id, *pair.meta.attempts))


def _shuffled(*names: str) -> list[str]:
    return sorted(CHAINS, key=lambda kind: digest(*names, kind))


def _row(group: Group, prompts: Prompts, pair: PreferenceRow, kind: str) -> SftRow | LeftOut:
    answers = {GOOD: pair.chosen, BAD: pair.rejected}
    first, *rest = CHAINS[kind]
    x0 = condition.under_condition(prompts, pair.prompt, first, names=(GOOD, BAD))
    if x0 is None:
        return LeftOut(condition.NO_QUESTION, group.id)
    chain = [*untrained(x0), *_trained(answers[first])]
    for marker in rest:
        turn: Message = {"role": "user", "content": prompts.render(marker, task="")}
        chain += [flagged(turn, loss=False), *_trained(answers[marker])]
    meta = pair.meta.replace(method="chain-of-hindsight", context="x0 with a marker", role=kind)
    return SftRow(messages=tuple(chain), meta=meta)


def _trained(answer: Sequence[Message]) -> list[FlaggedMessage]:
    return [flagged(message, loss=True) for message in answer]


def conditioned(text: str, *, prompts: Prompts | None = None) -> str:
    """A question with the good marker, or a ``task.md`` with its ``{task}`` that gives it to every task."""
    return condition.conditioned(prompts or Prompts(), GOOD, text)


METHOD = Method(
    name="chain-of-hindsight",
    about="supervised fine-tuning on a right and a wrong answer behind markers, alone and after one another",
    source="Chain of Hindsight, arXiv 2302.02676",
    nothing="a task with both an answer that passed and one that failed",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE),
)
