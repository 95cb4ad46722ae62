"""C3PO: one general feedback is learnt where it holds, and what it does not concern is held fast.

RLVF: Learning from Verbal Feedback without Overgeneralization, arXiv 2402.10893. The scope of a task,
``task.public["scope"]``, says what the feedback is to its prompt:

    in       it holds:            chosen = the answer revised under it, rejected = the first answer
    near     it seems to, wrongly: the first answer, to be kept      (role ``hard_negative``)
    general  it has no bearing:    the first answer, to be kept      (role ``soft_negative``)

All stand under the first prompt ``x0``, without the feedback. The loss is DPO (beta 0.1) on the pairs
plus 0.1 times the likelihood of the hard and 0.2 times that of the soft negatives, the policy's own
answers; the released main configuration has no divergence term in them (its ``kd_lambda`` is 0). TRL has
no trainer for the sum: the rows are its parts.

Three sets of equal size are published, aligned side by side, the shortest one cutting the others off. Rows
are made a group at a time, before the sizes are known, so all of each set are written; the card counts the
roles, and whoever aligns the sets cuts them there. Departures: the revision is the second attempt, and is
left out where its score is known to be worse than the first answer's, or its text is the same (the
published revisions are not scored). Equal texts of a group count once, as do equal pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group, Member
from agentloop.export.methods.answers import flagged
from agentloop.export.methods.dpo import Answer, answer_of, distinct
from agentloop.export.methods.method import CALLS, FEEDBACK, Method, Need
from agentloop.export.rows import LeftOut, PreferenceRow, SftRow
from agentloop.prompts import Prompts

ROLES = {"near": "hard_negative", "general": "soft_negative"}
SCOPES = ("in", *ROLES)

NO_REVISION = "no usable first answer with a revision under feedback"
SAME = "the revision is the same as the first answer"
WORSE = "the revision did worse than the first answer"

SCOPE = Need(
    'task.public["scope"], one of ' + ", ".join(SCOPES),
    "tasks that say whether the feedback holds for them (in), only seems to (near) or does not (general)",
    lambda each: each.trajectory.task.public.get("scope") not in SCOPES,
)


def rows(group: Group, _: Prompts) -> Iterator[PreferenceRow | SftRow | LeftOut]:
    """Pairs of a task in scope, or the first answers of one out of scope."""
    scope = group.task.public.get("scope")
    yield from _pairs(group) if scope == "in" else _kept(group, ROLES[str(scope)])


def _pairs(group: Group) -> Iterator[PreferenceRow | LeftOut]:
    seen: set[tuple[str, str]] = set()
    for member in group.members:
        pair = _pair(group, member)
        if isinstance(pair, LeftOut):
            yield pair
            continue
        first, revised = pair
        if (first.text, revised.text) in seen:
            continue
        seen.add((first.text, revised.text))
        yield PreferenceRow(
            prompt=group.x0,
            chosen=revised.messages,
            rejected=first.messages,
            meta=group.meta("c3po", [revised.each, first.each], role="in_scope"),
        )


def _pair(group: Group, member: Member) -> tuple[Answer, Answer] | LeftOut:
    """The first answer and the one revised under feedback."""
    first, revised = member.attempt(1), member.attempt(2)
    if first is None or revised is None:
        return LeftOut(NO_REVISION, member.trajectory.id)
    if first.outcome and revised.outcome and revised.score < first.score:
        return LeftOut(WORSE, revised.attempt.id)
    before, after = answer_of(group, first), answer_of(group, revised)
    if isinstance(before, LeftOut):
        return before
    if isinstance(after, LeftOut):
        return after
    return LeftOut(SAME, revised.attempt.id) if before.text == after.text else (before, after)


def _kept(group: Group, role: str) -> Iterator[SftRow | LeftOut]:
    first = [each for member in group.members if (each := member.attempt(1))]
    found = [answer_of(group, each) for each in first]
    yield from (answer for answer in found if isinstance(answer, LeftOut))
    answers = distinct([answer for answer in found if isinstance(answer, Answer)])
    for answer in answers.values():
        shown = [flagged(message, loss=False) for message in group.x0]
        spoken = [flagged(message, loss=True) for message in answer.messages]
        yield SftRow(messages=(*shown, *spoken), meta=group.meta("c3po", [answer.each], role=role))


METHOD = Method(
    name="c3po",
    about="answers revised under a general feedback where it holds, first answers kept where it does not",
    source="arXiv 2402.10893",
    nothing="a task in scope with an attempt after feedback, or a task out of scope",
    kinds=(PreferenceRow, SftRow),
    rows=rows,
    needs=(CALLS, FEEDBACK, SCOPE),
    attempts=2,
)
