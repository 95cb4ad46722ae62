"""UFO: reinforcement learning over several attempts, after each of which only "try again" is said.

A Simple "Try Again" Can Elicit Multi-Turn LLM Reasoning, arXiv 2507.14295. Every attempt up to the first
that passed is a sample under the prompt it was made under, with the log-probs of sampling. The reward of
the episode stands in each of its samples:

    R = 1 / 2^t  if attempt t (from 0) passed, else 0
    R = R - 0.5 * (1 - unique / valid)

``valid`` counts the answers that are not blank, ``unique`` those that differ in lower case without
spaces. The advantage of every sample is ``R - mean(R)`` over the members of the group.

Departures: the paper runs PPO with GAE (gamma and lambda 1) and a value model; centring by the group is
our choice, so that no value model is needed. The released environment takes 0.1 for an answer of invalid
form and keeps the quarter of the groups whose rewards vary most; here a form is unknown and every group
is kept. The feedback is whatever the log's critic said, so for UFO proper it must have been unary
(``execution_critic("unary")``). An episode ends where an attempt cannot be used,
or, in the log of a search, does not follow on the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentloop.export.groups import Group, Member, Try
from agentloop.export.methods.method import CALLS, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.rows import GroupRow, LeftOut, Sample
from agentloop.export.samples import as_sampled, mean, rewards
from agentloop.prompts import Prompts

DECAY = 0.5
"""What a pass one attempt later is worth of one now."""
REPETITION = 0.5
"""The penalty where all answers but one repeat others, in the limit."""

AFTER_A_PASS = "it came after an answer that had passed"
AFTER_A_GAP = "an attempt before it cannot be used"
NO_RETRY = "it does not follow on the attempt before it"


def rows(group: Group, _: Prompts) -> Iterator[GroupRow | LeftOut]:
    """One row for the group: all attempts of each episode, with the reward of the episode."""
    samples: list[Sample] = []
    used: list[Try] = []
    for member in group.members:
        turns = episode(member)
        for each in member.tries:
            if each not in turns:
                passed = bool(turns) and turns[-1].passed
                unreached = AFTER_A_GAP if each.retries else NO_RETRY
                yield LeftOut(AFTER_A_PASS if passed else unreached, each.attempt.id)
        for turn, each in enumerate(turns):
            sampled = as_sampled(group, each, turn=turn)
            samples += [sample.replace(reward=episode_reward(turns)) for sample in sampled]
        used += turns
    if samples:
        yield GroupRow(
            group_id=group.id,
            prompt_ids=group.x0_ids,
            samples=tuple(samples),
            meta=group.meta("ufo", used, context="x0 and later prompts"),
        )


def episode(member: Member) -> list[Try]:
    """The attempts without a gap from the first on, up to one that passed."""
    turns: list[Try] = []
    for each in member.tries:
        if each.number != len(turns) + 1 or (turns and not each.retries):
            break
        turns.append(each)
        if each.passed:
            break
    return turns


def episode_reward(turns: Sequence[Try]) -> float:
    """R of the formulas at the top of this file."""
    won = [DECAY**turn for turn, each in enumerate(turns) if each.passed]
    answers = ["".join(each.turns[-1].reply.text.lower().split()) for each in turns]
    valid = [answer for answer in answers if answer]
    repeated = 1 - len(set(valid)) / len(valid) if valid else 0.0
    return (won[0] if won else 0.0) - REPETITION * repeated


def weigh(row: GroupRow) -> list[float]:
    """``R - mean(R)`` over the members, the same for every sample of a member."""
    middle = mean(rewards(row.samples).values())
    return [sample.reward - middle for sample in row.samples]


METHOD = Method(
    name="ufo",
    about="reinforcement learning over several attempts with a reward that halves from one to the next",
    source="arXiv 2507.14295",
    nothing="groups whose episodes did not all do equally well",
    kinds=(GroupRow,),
    rows=rows,
    needs=(CALLS, SCORE, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
)
