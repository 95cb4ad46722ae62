"""ILF: the best refinement made after feedback, under the prompt without it.

Training Language Models with Language Feedback at Scale, arXiv 2303.16755. A first answer y0 was told
c0, and k refinements y1 were sampled; the one that takes up most of the feedback is trained under
the first prompt x0, from which y0 and c0 are gone:

    y* = argmax over the k refinements of their score,   L = -log pi(y* | x0)

The refinements of a group are the second attempts of its members whose first answer did not pass, each
made after an answer and feedback of its own; the paper has one y0 with k refinements. The paper's
scorers ask another model which refinement takes up the feedback; here the logged score stands in for
them, the first of equal ones is taken, and a best refinement whose score is not above ``ABOVE`` is left
out, since 0 says that nothing of it is right. The published variant that trains on the feedback as
well is not made. Longer answers win human comparisons, so look at lengths before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods.answers import as_messages, as_tokens
from agentloop.export.methods.method import CALLS, FEEDBACK, SCORE, TOKEN_IDS, Method
from agentloop.export.methods.rltf_sd import AFTER_A_PASS, NO_FIRST
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts

ABOVE = 0.0
"""The score that the best refinement must exceed."""


def rows(group: Group, _: Prompts) -> Iterator[SftRow | LeftOut]:
    """The best refinement as messages."""
    yield from as_messages(group, best(group, group.messages_under_x0), method="ilf")


def token_rows(group: Group, _: Prompts) -> Iterator[SftTokensRow | LeftOut]:
    """The best refinement as the token ids that were sampled."""
    yield from as_tokens(group, best(group, group.tokens_under_x0), method="ilf")


def best(
    group: Group, moved: Callable[[Try], object | None], *, above: float = ABOVE
) -> Iterator[Try | LeftOut]:
    """The best refinement that ``moved`` puts under ``x0``; with ``above`` of minus infinity any will do."""
    refined: list[Try] = []
    for member in group.members:
        first, second = member.attempt(1), member.attempt(2)
        if second is None:
            continue
        if first is None or first.passed:
            yield LeftOut(NO_FIRST if first is None else AFTER_A_PASS, second.attempt.id)
        elif moved(second) is None:
            yield LeftOut(NOT_MOVABLE, second.attempt.id)
        else:
            refined.append(second)
    kept = max(refined, key=lambda each: each.score, default=None)
    if kept is not None and kept.score > above:
        yield kept
    elif kept is not None:
        yield LeftOut(f"no refinement of its group has a score above {above:g}", group.id)


METHOD = Method(
    name="ilf",
    about="supervised fine-tuning on the best refinement of each task, with answer and feedback dropped",
    source="ILF, arXiv 2303.16755",
    nothing="an attempt after feedback on one that failed, with a score above 0",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK),
    token_rows=token_rows,
    token_kinds=(SftTokensRow,),
    token_needs=(TOKEN_IDS,),
    attempts=2,
)
