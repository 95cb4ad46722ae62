"""What a training method is to the exporter, and what it may need of a log."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentloop.export.groups import Group, Try, Turn
from agentloop.export.rows import GroupRow, LeftOut, Row
from agentloop.prompts import Prompts

Demand: TypeAlias = Literal["weights", "others' words", "untrained answers"]
"""What rows of messages may demand of a format beyond their type. ``weights``: a row counts more or less than
others. ``others' words``: what another than the model said is trained as well. ``untrained answers``: an
answer of the model is shown, and not trained, before one that is."""

RowsOf: TypeAlias = Callable[[Group, Prompts], Iterator[Row | LeftOut]]


@dataclass(frozen=True, slots=True)
class Need:
    """A field that a log may lack: whether an attempt lacks it, and what would have recorded it."""

    field: str
    recorded_by: str
    lacks: Callable[[Try], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A published training method: from the groups of a log to its rows.

    ``rows`` is called with one group at a time and yields rows of the types in ``kinds``, or says
    what it left out. ``token_rows`` is the variant for formats that take token ids, where the rows
    are messages otherwise. ``weigh`` gives each sample of a group row its signed weight. ``attempts``
    is how many attempts of a trajectory the method looks at; None means all. ``nothing`` says what a
    log must hold for there to be any row.
    """

    name: str
    about: str
    source: str
    nothing: str
    kinds: tuple[type[Row], ...]
    rows: RowsOf
    needs: tuple[Need, ...] = ()
    token_rows: RowsOf | None = None
    token_kinds: tuple[type[Row], ...] = ()
    token_needs: tuple[Need, ...] = ()
    weigh: Callable[[GroupRow], Sequence[float]] | None = None
    attempts: int | None = None
    demands: tuple[Demand, ...] = ()
    """What its rows of messages demand on the logs of agentloop's own agents. A log of another kind may
    demand more, which is found row by row."""

    def describe(self) -> str:
        """What the method is and what it needs of a log, in a few lines."""
        lines = [f"{self.name}: {self.about} ({self.source})", "needs of a log:"]
        lines += [f"  {need.field} (recorded by {need.recorded_by})" for need in self.needs]
        if self.token_needs:
            lines.append("and for format tokens:")
            lines += [f"  {need.field} (recorded by {need.recorded_by})" for need in self.token_needs]
        return "\n".join(lines)


def _retry_without_feedback(each: Try) -> bool:
    return each.number > 1 and each.told is None


def no_token_ids(turns: Sequence[Turn]) -> bool:
    """Whether token ids of a prompt or a reply are missing."""
    return any(not turn.reply.token_ids or not turn.prompt_ids for turn in turns)


def no_logprobs(turns: Sequence[Turn]) -> bool:
    """Whether a reply lacks a finite log-prob for each of its token ids."""
    return any(
        turn.reply.logprobs is None
        or len(turn.reply.logprobs) != len(turn.reply.token_ids or ())
        or not all(map(math.isfinite, turn.reply.logprobs))
        for turn in turns
    )


CALLS = Need(
    "attempts[].calls of role actor, with messages and replies",
    "running the agent in improve() with one of agentloop's models",
    lambda each: not each.turns,
)
SCORE = Need(
    "attempts[].score, or a verdict in attempts[].feedback",
    "improve(grader=...), or a critic that gives a verdict",
    lambda each: each.outcome is None,
)
FEEDBACK = Need(
    "attempts[].feedback before a second attempt",
    "giving the agent a critic, and retrying: an attempt of a search counts if it was shown the feedback",
    _retry_without_feedback,
)
TOLD = Need(
    "attempts[].feedback on the attempt itself",
    "giving the agent a critic",
    lambda each: each.attempt.feedback is None,
)
TOKEN_IDS = Need(
    "replies[].token_ids and prompt_token_ids",
    "sampling from local/PATH or local/tiny: most chat services do not return token ids",
    lambda each: no_token_ids(each.turns),
)
LOGPROBS = Need(
    "replies[].logprobs, one finite number for each token",
    "sampling from local/PATH or local/tiny",
    lambda each: no_logprobs(each.turns),
)
FIRST_LOGPROBS = Need(
    "replies[].logprobs of the first attempt, one finite number for each token",
    "sampling from local/PATH or local/tiny",
    lambda each: each.number == 1 and no_logprobs(each.turns),
)
