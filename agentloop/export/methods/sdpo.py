"""SDPO: prompts with the feedback that the policy's own teacher is told beside them.

Reinforcement Learning via Self-Distillation, arXiv 2601.20802, as TRL's experimental SDPO trainer reads
it. The trainer samples its answers itself; the policy that was also told the feedback then scores each
token of them, and the policy without it is drawn towards that. A row is the first prompt ``x0`` and, as
``privileged_context``, the feedback on one failed attempt, word for word; equal words count once in a group.

In the paper the feedback is on the very answer that is scored. A logged one is on an earlier answer to
the same prompt, which the teacher is not shown: feedback that makes sense without it serves best. TRL
passes over the feedback with a warning unless ``include_environment_feedback=True``, and takes only
prompts that end with a user's message. Feedback that tells hidden data is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group
from agentloop.export.methods.method import CALLS, SCORE, Method, Need
from agentloop.export.methods.words import some_words_on, told_by_privileged
from agentloop.export.rows import ContextRow, LeftOut
from agentloop.prompts import Prompts

SAID_BEFORE = "the same feedback was given to another attempt of its group"
NO_USER = "its first prompt does not end with a user's message"

FEEDBACK_ON_FAILURE = Need(
    "attempts[].feedback on an attempt that failed",
    "giving the agent a critic",
    lambda each: each.failed and not (each.attempt.feedback and each.attempt.feedback.text.strip()),
)


def rows(group: Group, _: Prompts) -> Iterator[ContextRow | LeftOut]:
    """One row for each different feedback on a failed attempt."""
    seen: set[str] = set()
    for each in (each for member in group.members for each in member.tries if each.failed):
        words = some_words_on(each)
        if isinstance(words, LeftOut):
            yield words
        elif group.x0[-1]["role"] != "user" or words in seen:
            yield LeftOut(SAID_BEFORE if words in seen else NO_USER, each.attempt.id)
        else:
            seen.add(words)
            meta = group.meta("sdpo", [each], role="context")
            yield ContextRow(
                prompt=group.x0,
                privileged_context=words,
                meta=meta.replace(privileged=meta.privileged or told_by_privileged(each)),
            )


METHOD = Method(
    name="sdpo",
    about="prompts with the feedback that only the policy's own teacher is told",
    source="arXiv 2601.20802",
    nothing="an attempt that failed and was told why",
    kinds=(ContextRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK_ON_FAILURE),
)
