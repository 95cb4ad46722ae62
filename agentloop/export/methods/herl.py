"""HeRL: answers rewritten under feedback join the group, and attempts that can be improved are paid more.

Experience is the Best Teacher: Motivating Effective Exploration in Reinforcement Learning for LLMs (2026).
Where the best of a group's n first answers does not reach 1, each of those tied at the best is rewritten
with what it lacks in view; here the rewrite is the second attempt of its member. A rewrite is usable if
its score is above the best, or else equal to it. The first of the best usable ones replaces one first
answer: its tokens, as sampled, stand under the first prompt x0 with role ``refinement``. A rewritten
answer that stays in the group is paid

    R_i + bonus * (R of its rewrite - R_i)      bonus = 0.05; less than R_i where the rewrite was worse

and the advantage is GRPO's over the n slots, ``(R - mean(R)) / (std(R) + 1e-4)``. The row holds raw scores;
``token_rewards`` spreads ``R of its rewrite - R_i`` evenly over the tokens of the answer, before the bonus.

Decisions. The released code replaces a random slot, possibly the best answer itself; here it is never one
tied at the best unless all are, and which one follows from the group's id alone. Where no rewrite is
usable the released code copies the best answer over another; here the group is left as it is, plain GRPO.
In the released run the rewrite is trained under the prompt it was made from; here it is under x0, so
that it is internalised, and has no log-probs, since those of sampling belong to the other prompt. In
place of the ratio a trainer takes rho / (rho + gamma), with rho the ratio to its own log-probs of this row
before the update, or p / (p + gamma): both are variants of the released code (gamma 1 or 0.1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import fsum

from agentloop.export.groups import NOT_MOVABLE, Group, Try
from agentloop.export.methods.grpo import NO_FIRST, advantages
from agentloop.export.methods.method import CALLS, FEEDBACK, FIRST_LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, under_first_prompt
from agentloop.prompts import Prompts
from agentloop.types import digest

BONUS = 0.05
"""Alpha: how much of what its rewrite gained an answer is paid (released configuration)."""
GOOD_ENOUGH = 1.0
"""A group whose best answer reaches this score is not rewritten (released configuration)."""

NOT_REWRITTEN = "only rewrites of a group's best answers that fall short are looked at"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for the group: its first answers, one of them replaced by a rewrite where one is usable."""
    first = [each for member in group.members if (each := member.attempt(1))]
    if not first:
        yield LeftOut(NO_FIRST, group.id)
        return
    best = max(each.score for each in first)
    rewrites: dict[str, Try] = {}
    for original, rewrite in ((member.attempt(1), member.attempt(2)) for member in group.members):
        if rewrite is None:
            continue
        if original is None or original.score < best or best >= GOOD_ENOUGH:
            yield LeftOut(NOT_REWRITTEN, rewrite.attempt.id)
        elif group.tokens_under_x0(rewrite) is None:
            yield LeftOut(NOT_MOVABLE, rewrite.attempt.id)
        else:
            rewrites[original.attempt.id] = rewrite
    yield _row(group, first, rewrites)


def _row(group: Group, first: list[Try], rewrites: dict[str, Try]) -> GroupRow:
    best = max(each.score for each in first)
    usable = [each for each in rewrites.values() if each.score >= best]
    kept = max(usable, key=lambda each: each.score, default=None)
    slot = replaced(group.id, [each.score for each in first]) if kept else None
    samples: list[Sample] = []
    used: list[Try] = []
    for index, each in enumerate(first):
        if kept is not None and index == slot:
            samples += under_first_prompt(group, kept, turn=1, role="refinement") or ()
            used.append(kept)
        else:
            samples += _paid(as_sampled(group, each, turn=0), rewrites.get(each.attempt.id))
            used.append(each)
    return GroupRow(
        group_id=group.id,
        prompt_ids=group.x0_ids,
        samples=tuple(samples),
        meta=group.meta("herl", used),
    )


def replaced(group_id: str, scores: list[float]) -> int:
    """The slot that a rewrite takes: one below the best, any where all are equal; drawn by the group's id."""
    best = max(scores)
    below = [slot for slot, score in enumerate(scores) if score < best]
    open_to_it = below or list(range(len(scores)))
    return open_to_it[int(digest("herl", group_id), 16) % len(open_to_it)]


def _paid(parts: list[Sample], rewrite: Try | None) -> list[Sample]:
    """The answer with what its rewrite gained, spread over all the tokens it spoke."""
    if rewrite is None:
        return parts
    spoken = sum(sum(part.segment_mask) for part in parts)
    each = (rewrite.score - parts[0].reward) / spoken
    return [part.replace(token_rewards=tuple(each * own for own in part.segment_mask)) for part in parts]


def weigh(row: GroupRow, *, bonus: float = BONUS) -> list[float]:
    """GRPO's advantage of what each slot is paid, by the formulas at the top of this file."""
    paid: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for sample in row.samples:
        paid[sample.member, sample.turn] += [bonus * each for each in sample.token_rewards or ()]
    scores = {(sample.member, sample.turn): sample.reward for sample in row.samples}
    slots = {slot: reward + fsum(paid[slot]) for slot, reward in scores.items()}
    advantage = advantages(slots.values())
    return [advantage(slots[sample.member, sample.turn]) for sample in row.samples]


METHOD = Method(
    name="herl",
    about="group-relative policy gradient with rewritten best answers and a bonus for what can be improved",
    source="Experience is the Best Teacher, 2026",
    nothing="groups in which not all first answers did equally well, or whose best was rewritten for better",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK, TOKEN_IDS, FIRST_LOGPROBS),
    weigh=weigh,
    attempts=2,
)
