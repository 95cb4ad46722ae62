"""The shapes of exported rows: what a method makes of a log, before any trainer's format.

Rewards are raw scores. Advantages are never stored in a row; a method's ``weigh`` computes them.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

from typing_extensions import TypedDict

from agentloop.record import Record
from agentloop.types import Message


class FlaggedMessage(TypedDict):
    """A chat message and whether it is trained."""

    role: str
    content: str
    loss: bool


class Meta(Record):
    """Where a row comes from: enough to make it again from the log.

    ``attempts`` are ids of attempts, ``context`` says under which prompt the row trains: ``x0``, the
    first prompt without feedback; ``x1``, the prompt with feedback that was really sampled from.
    ``label_source`` is ``grader``, or ``feedback`` when the log holds no grader's score;
    ``privileged`` is set when the label or a prompt on the way rests on words of a critic that saw
    hidden data.
    """

    method: str
    run: str = ""
    task_id: str
    group_id: str
    attempts: tuple[str, ...]
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    context: str = "x0"
    role: str = ""
    label_source: str = "grader"
    privileged: bool = False


class SftRow(Record):
    """A conversation of which the messages with ``loss`` are trained."""

    messages: tuple[FlaggedMessage, ...]
    weight: float = 1.0
    meta: Meta


class SftTokensRow(Record):
    """Token ids as they were sampled; ``loss_mask`` is 1 where they are trained."""

    input_ids: tuple[int, ...]
    loss_mask: tuple[int, ...]
    weight: float = 1.0
    meta: Meta


class PreferenceRow(Record):
    """Two answers to one prompt, the better one first."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    meta: Meta


class UnpairedRow(Record):
    """One answer and whether it is a good one."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool
    meta: Meta


class ContextRow(Record):
    """A prompt to be answered anew, and what only the teacher of the answer is told beside it."""

    prompt: tuple[Message, ...]
    privileged_context: str
    meta: Meta


class CriticRow(Record):
    """A conversation that ends in a critique, for training the critic."""

    messages: tuple[FlaggedMessage, ...]
    label: dict[str, int] | None = None
    score: float | None = None
    meta: Meta


class Sample(Record):
    """One sampled completion of a group.

    ``ids``, ``lp`` and ``segment_mask`` are equally long; the mask is 0 on what the environment said
    in between, where ``lp`` holds 0. ``lp`` is None for a sample that is trained without a ratio.
    ``reward`` is the attempt's raw score, or what the method pays in its place (its file says so),
    never an advantage; ``token_rewards`` are rewards of single tokens beside it. ``prompt_ids`` is
    None when the group's prompt holds. ``member`` names the trajectory (of reflections the attempt
    they are on), ``turn`` counts its attempts from 0, and an attempt whose token ids do not run on
    has several ``part``s with the same reward, which count as one member.
    """

    ids: tuple[int, ...]
    lp: tuple[float, ...] | None
    reward: float
    segment_mask: tuple[int, ...]
    off_policy: bool = False
    token_rewards: tuple[float, ...] | None = None
    truncated: bool = False
    policy_version: str
    prompt_ids: tuple[int, ...] | None = None
    member: str
    attempt: str
    turn: int = 0
    part: int = 0
    role: Literal["rl", "sd", "refinement", "nft"] = "rl"


class GroupRow(Record):
    """All samples that answer one prompt: group-relative methods compare them with one another."""

    group_id: str
    prompt_ids: tuple[int, ...]
    samples: tuple[Sample, ...]
    meta: Meta


class TokenRow(Record):
    """What a trainer of weighted tokens reads; every list is as long as ``input_ids``.

    The loss is ``-sum_i weights[i] * log p(labels[i] | input_ids[:i])`` over the places where
    ``labels[i]`` is not -100 (they are not shifted). ``logprobs`` are those of sampling, 0 where the
    label is -100, and None where no ratio is to be taken. ``reward`` is that of the sample. Role
    ``nft`` has another loss, which needs ``baseline``: the mean reward of its group.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    weights: tuple[float, ...]
    logprobs: tuple[float, ...] | None = None
    reward: float | None = None
    baseline: float | None = None
    role: str
    turn: int = 0
    off_policy: bool = False
    truncated: bool = False
    member: str = ""
    attempt: str
    policy: str = ""
    meta: Meta


Row: TypeAlias = SftRow | SftTokensRow | PreferenceRow | UnpairedRow | ContextRow | CriticRow | GroupRow
"""Any row that a method may yield."""


class LeftOut(NamedTuple):
    """Something of the log of which no row was made, and why."""

    reason: str
    what: str


def to_values(row: Record) -> dict[str, Any]:
    """The row as JSON values with every field in it, so that all lines of a file have the same keys."""
    from agentloop.record import adapter

    return adapter(type(row)).dump_python(row, mode="json")  # type: ignore[no-any-return]
