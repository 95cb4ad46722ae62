"""Critic DPO: of two critiques of one failed attempt the one is preferred whose retry gained more.

Preference pairs for a critic as in Critic-V (arXiv 2411.18203), ranked as in MultiCritique (arXiv
2410.15287) by what the revision made with a critique gained. Critiques are of the same attempt where
trajectories of a group gave the same failed first answer, so that a critic is shown the very same words;
one that was given several times gains the mean over its retries:

    gain(c) = mean over retries after c of R1 - R0

Prompt and answers are those of critic-sft, so that the trained model can be put in the critic's place.
At most ``PAIRS`` pairs are made of one attempt, those whose gains lie furthest apart first; equal gains
are no pair. Departures: the published scores (overlap with injected errors and a judge's marks; revisions
of several models) are replaced by the retries of the one policy in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from agentloop.export.groups import Group, Try
from agentloop.export.methods.critic_sft import critique, request
from agentloop.export.methods.method import CALLS, FEEDBACK, SCORE, Method
from agentloop.export.methods.words import said_and_seen, some_words_on
from agentloop.export.rows import LeftOut, PreferenceRow
from agentloop.prompts import Prompts
from agentloop.types import Message

PAIRS = 8
"""Most pairs of one attempt: one that was sampled often would outweigh the others."""

ALONE = "no other critique of the same failed attempt was retried"


class Retried(NamedTuple):
    """A failed first attempt, what was said of it, and the attempt after that."""

    first: Try
    words: str
    second: Try


class Critique(NamedTuple):
    """One critique with the retries after it, and what they gained on average."""

    retries: tuple[Retried, ...]
    gain: float

    @property
    def reply(self) -> Message:
        """The critique as the critic's reply."""
        feedback = self.retries[0].first.attempt.feedback
        assert feedback is not None, "what has words is feedback"
        return {"role": "assistant", "content": critique(feedback)}


def rows(group: Group, prompts: Prompts) -> Iterator[PreferenceRow | LeftOut]:
    """The pairs of critiques of each failed first answer of the group."""
    same: dict[str, list[Retried]] = {}
    for member in group.members:
        first, second = member.attempt(1), member.attempt(2)
        if first is None or second is None or not first.failed:
            continue
        words = some_words_on(first, known=said_and_seen(first))
        if isinstance(words, LeftOut):
            yield words
            continue
        asked = request(prompts, first)["content"]
        same.setdefault(asked, []).append(Retried(first, words, second))
    for asked, retries in same.items():
        critiques = _critiques(retries)
        if len(critiques) == 1:
            yield LeftOut(ALONE, retries[0].first.attempt.id)
        for chosen, rejected in pairs(critiques):
            yield _row(group, asked, chosen, rejected)


def pairs(critiques: list[Critique], most: int = PAIRS) -> list[tuple[Critique, Critique]]:
    """At most ``most`` pairs of unequal gain, the better one first; those furthest apart come first."""
    ranked = sorted(critiques, key=lambda each: each.gain, reverse=True)
    unequal = [(better, worse) for better, worse in combinations(ranked, 2) if better.gain > worse.gain]
    return sorted(unequal, key=lambda pair: pair[1].gain - pair[0].gain)[:most]


def _critiques(retries: list[Retried]) -> list[Critique]:
    by_words: dict[str, list[Retried]] = {}
    for each in retries:
        by_words.setdefault(each.words, []).append(each)
    return [
        Critique(tuple(given), fmean(each.second.score - each.first.score for each in given))
        for given in by_words.values()
    ]


def _row(group: Group, asked: str, chosen: Critique, rejected: Critique) -> PreferenceRow:
    retries = (*chosen.retries, *rejected.retries)
    tries = [each for retry in retries for each in (retry.first, retry.second)]
    return PreferenceRow(
        prompt=({"role": "user", "content": asked},),
        chosen=(chosen.reply,),
        rejected=(rejected.reply,),
        meta=group.meta("critic-dpo", tries, context="request for a critique", role="critic"),
    )


METHOD = Method(
    name="critic-dpo",
    about="pairs of critiques of the same failed answer, the one whose retry gained more first",
    source="Critic-V, arXiv 2411.18203; MultiCritique, arXiv 2410.15287",
    nothing="two samples of a task with the same failed first answer, other critiques and other gains",
    kinds=(PreferenceRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK),
    attempts=2,
)
