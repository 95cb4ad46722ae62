"""ReST-EM: every first answer that passed, equal ones once, at most ten of a task.

Beyond Human Data: Scaling Self-Training for Problem-Solving with Language Models, arXiv 2312.06585.
E-step: first answers are sampled under the first prompt x0 and filtered by a binary reward; M-step:

    L = -sum_i 1[y_i passed] log pi(y_i | x0)

``MOST`` answers of a task are kept, so that easy tasks do not outweigh hard ones; which ones is
unspecified by the paper, here the first. A task that was run again with another first prompt (memory
had grown) or in another run is another group, with a cap of its own. The paper's M-step begins with
the base model each time, not with the last checkpoint; that is the trainer's.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group, Try
from agentloop.export.methods.answers import as_messages, as_tokens, first_answers, said
from agentloop.export.methods.method import CALLS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import LeftOut, SftRow, SftTokensRow
from agentloop.prompts import Prompts

MOST = 10
"""Most answers of one group (the paper's cap of solutions to a problem)."""

EQUAL = "the same answer is in another row"


def rows(group: Group, _: Prompts) -> Iterator[SftRow | LeftOut]:
    """The kept answers as messages."""
    yield from as_messages(group, kept(group), method="rest-em")


def token_rows(group: Group, _: Prompts) -> Iterator[SftTokensRow | LeftOut]:
    """The kept answers as the token ids that were sampled."""
    yield from as_tokens(group, kept(group), method="rest-em")


def kept(group: Group, *, most: int = MOST) -> Iterator[Try | LeftOut]:
    """The first answers that passed, each text once, and no more than ``most``."""
    seen: set[tuple[str, ...]] = set()
    for each in first_answers(group):
        if not each.passed:
            continue
        if said(each) in seen:
            yield LeftOut(EQUAL, each.attempt.id)
        elif len(seen) == most:
            yield LeftOut(f"{most} other answers to its task are in rows", each.attempt.id)
        else:
            seen.add(said(each))
            yield each


METHOD = Method(
    name="rest-em",
    about="supervised fine-tuning on the first answers that passed, at most ten different ones of a task",
    source="ReST-EM, arXiv 2312.06585",
    nothing="a first answer that passed",
    kinds=(SftRow,),
    rows=rows,
    needs=(CALLS, SCORE),
    token_rows=token_rows,
    token_kinds=(SftTokensRow,),
    token_needs=(TOKEN_IDS,),
    attempts=1,
)
