"""Critique-GRPO: one refinement made under a critique joins the group of first answers.

Critique-GRPO: Advancing LLM Reasoning with Natural Language and Numerical Feedback, arXiv 2506.03106.
Of a group's n first answers, the one in slot 0 is replaced by one refinement: the first whose score
is 1, else the best. The refinement's tokens, as sampled, stand under the first prompt x0, without
log-probs, since no ratio is taken for them. The advantage of all n is ``A_i = R_i - mean(R)``, as in
the paper (the released run divides by the standard deviation, because it sets another option than
the one its trainer reads). For tokens of role ``refinement`` a trainer puts p / (p + 0.1) in place of
the ratio.

The refinement is the member's second attempt. Published runs refine right answers too; here an agent
that has passed has stopped. A group without any refinement is left out: it would be plain GRPO.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods.method import CALLS, FEEDBACK, FIRST_LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, mean, rewards, under_first_prompt
from agentloop.prompts import Prompts

SHAPING = 0.1
"""Gamma of the shaped weight p / (p + gamma) that a trainer gives to tokens of a refinement."""

NO_FIRST = "no first attempt of its group can be used"
NO_REFINEMENT = "no attempt after feedback in its group"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for the group: the kept refinement in slot 0, then the other first answers."""
    first = [each for member in group.members if (each := member.attempt(1))]
    refined: list[Try] = []
    for each in (each for member in group.members if (each := member.attempt(2))):
        if group.tokens_under_x0(each) is None:
            yield LeftOut(NOT_MOVABLE, each.attempt.id)
        else:
            refined.append(each)
    if not first or not refined:
        yield LeftOut(NO_REFINEMENT if first else NO_FIRST, group.id)
        return
    kept = keep_one(refined)
    samples: list[Sample] = list(under_first_prompt(group, kept, turn=1, role="refinement") or ())
    for each in first[1:]:
        samples += as_sampled(group, each, turn=0)
    yield GroupRow(
        group_id=group.id,
        prompt_ids=group.x0_ids,
        samples=tuple(samples),
        meta=group.meta("critique-grpo", [kept, *first[1:]]),
    )


def keep_one(refined: list[Try]) -> Try:
    """The first refinement with score 1, else the first of the best."""
    return next((each for each in refined if each.score >= 1.0), max(refined, key=lambda each: each.score))


def weigh(row: GroupRow, *, strength: float = 1.0) -> list[float]:
    """``A_i = R_i - mean(R)`` over the n slots, the refinement among them.

    ``strength`` scales the refinement's weight alone; it is 1 in the paper.
    """
    slots = [*rewards(row.samples, turn=1).values(), *rewards(row.samples, turn=0).values()]
    middle = mean(slots)
    return [
        (strength if sample.role == "refinement" else 1.0) * (sample.reward - middle)
        for sample in row.samples
    ]


METHOD = Method(
    name="critique-grpo",
    about="group-relative policy gradient with one critique-guided refinement in each group",
    source="arXiv 2506.03106",
    nothing="groups with an attempt after feedback in which not all did equally well",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK, TOKEN_IDS, FIRST_LOGPROBS),
    weigh=weigh,
    attempts=2,
)
