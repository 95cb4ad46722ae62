"""What a log holds for export: the groups of a task, their members, and the attempts that can be used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentloop.errors import BadInput
from agentloop.export.pieces import Piece, Said, join, moved
from agentloop.export.rows import LeftOut, Meta
from agentloop.hidden import hidden_values
from agentloop.types import Attempt, Call, Feedback, Message, Reply, Task, Trajectory


class Outcome(NamedTuple):
    """How an attempt ended, and who says so: ``grader``, or ``feedback`` where no grader spoke."""

    score: float
    passed: bool
    source: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of the acting model and the reply that was used."""

    call: Call
    reply: Reply

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Token ids of what the model was shown; empty when the log has none."""
        return self.reply.prompt_token_ids or ()

    @property
    def policy(self) -> str:
        """Which state of which model spoke."""
        return self.call.policy or self.call.model


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt with the turns it consists of."""

    trajectory: Trajectory
    attempt: Attempt
    turns: tuple[Turn, ...]
    outcome: Outcome | None

    @property
    def number(self) -> int:
        """Its number in the trajectory, from 1."""
        return self.attempt.number

    @property
    def score(self) -> float:
        """The raw score; only asked for where the method needs one."""
        if self.outcome is None:
            raise BadInput(f"attempt {self.attempt.id!r} has no score; name `score` among the method's needs")
        return self.outcome.score

    @property
    def passed(self) -> bool:
        """Whether it passed; False when nobody knows."""
        return self.outcome is not None and self.outcome.passed

    @property
    def failed(self) -> bool:
        """Whether it is known to have failed."""
        return self.outcome is not None and not self.outcome.passed

    @property
    def retries(self) -> bool:
        """Whether it answers the feedback on the attempt before it; in a search it need not."""
        return self.attempt.follows is None or self.number - 1 in self.attempt.follows

    @property
    def told(self) -> Feedback | None:
        """The feedback on the attempt before it; None also where it was not shown."""
        before = self.number - 1 if self.retries else None
        return next((a.feedback for a in self.trajectory.attempts if a.number == before), None)

    @property
    def privileged(self) -> bool:
        """Whether its label, or anything said on the way to it, comes from a critic that saw hidden data."""
        before = [a.feedback for a in self.trajectory.attempts if a.number < self.number]
        labels = [self.attempt.feedback] if self.outcome and self.outcome.source == "feedback" else []
        return any(feedback is not None and feedback.privileged for feedback in (*before, *labels))

    def token_pieces(self) -> list[Piece[int]]:
        """Its turns as token ids, as they were sampled."""
        return join([Said(turn.prompt_ids, turn.reply.token_ids or ()) for turn in self.turns])

    def message_pieces(self) -> list[Piece[Message]]:
        """Its turns as messages, as they were shown and answered."""
        return join([Said(turn.call.messages, (_answer(turn.reply),)) for turn in self.turns])


@dataclass(frozen=True, slots=True)
class Member:
    """One trajectory of a group: its first prompt, and the attempts that can be used."""

    trajectory: Trajectory
    opening: Turn
    tries: tuple[Try, ...]

    def attempt(self, number: int) -> Try | None:
        """The attempt of that number, if it can be used."""
        return next((each for each in self.tries if each.number == number), None)


@dataclass(frozen=True, slots=True)
class Group:
    """The trajectories that began with the very same prompt, ``x0``; ordered by their ids."""

    id: str
    task: Task
    members: tuple[Member, ...]

    @property
    def x0(self) -> tuple[Message, ...]:
        """The first prompt as messages: the task as the agent saw it, without any feedback."""
        return self.members[0].opening.call.messages

    @property
    def x0_ids(self) -> tuple[int, ...]:
        """The first prompt as the token ids that were sampled from."""
        return self.members[0].opening.prompt_ids

    def tokens_under_x0(self, each: Try) -> list[Piece[int]] | None:
        """An attempt's token ids, its first prompt replaced by ``x0``; None where that cannot be told."""
        return moved(each.token_pieces(), start=each.turns[0].prompt_ids, to=self.x0_ids)

    def messages_under_x0(self, each: Try) -> list[Piece[Message]] | None:
        """An attempt's messages, its first prompt replaced by ``x0``; None where that cannot be told."""
        return moved(each.message_pieces(), start=each.turns[0].call.messages, to=self.x0)

    def meta(self, method: str, tries: Sequence[Try], *, context: str = "x0", role: str = "") -> Meta:
        """Where a row made of these attempts comes from."""
        turns = [turn for each in tries for turn in each.turns]
        sources = {each.outcome.source for each in tries if each.outcome}
        return Meta(
            method=method,
            run=self.members[0].trajectory.run,
            task_id=self.task.id,
            group_id=self.id,
            attempts=tuple(each.attempt.id for each in tries),
            models=tuple(dict.fromkeys(turn.call.model for turn in turns)),
            policies=tuple(dict.fromkeys(turn.policy for turn in turns)),
            context=context,
            role=role,
            label_source="+".join(sorted(sources)),
            privileged=any(each.privileged for each in tries),
        )


LEAKED = "its prompt holds hidden data word for word"
NOT_MOVABLE = "its prompts do not begin with its first one, so it cannot be put under the first prompt"


def read_groups(
    trajectories: Iterable[Trajectory], keep: Callable[[Try], str | None]
) -> tuple[list[Group], list[LeftOut]]:
    """The groups among trajectories of one group id, and what was left out of them.

    Members whose first prompts differ (memory had grown meanwhile) are apart: they answer different
    questions. ``keep`` gives the reason to leave an attempt out, or None.
    """
    left_out: list[LeftOut] = []
    parts: dict[object, list[Member]] = {}
    for trajectory in sorted(trajectories, key=lambda each: _natural(each.id)):
        member = _member(trajectory, keep, left_out)
        if member is not None:
            opening = member.opening
            parts.setdefault((json.dumps(opening.call.messages), opening.prompt_ids), []).append(member)
    groups = []
    for index, members in enumerate(parts.values(), start=1):
        first = members[0].trajectory
        name = first.group_id if index == 1 else f"{first.group_id}#{index}"
        groups.append(Group(name, first.task, tuple(members)))
    return groups, left_out


def outcome(attempt: Attempt) -> Outcome | None:
    """The grader's score as attached to the log; else what the critic said; else None.

    A pass that is attached without a score repeats the critic's verdict, unless the critic had none.
    """
    score, feedback = attempt.score, attempt.feedback
    if score is not None and math.isfinite(score):
        return Outcome(score, score >= 1.0 if attempt.passed is None else attempt.passed, "grader")
    if feedback is not None and feedback.verdict != "unsure":
        passed = feedback.verdict == "pass"
        return Outcome(float(passed) if feedback.score is None else feedback.score, passed, "feedback")
    if attempt.passed is not None:
        return Outcome(float(attempt.passed), attempt.passed, "grader")
    if feedback is not None and feedback.score is not None:
        return Outcome(feedback.score, feedback.score >= 1.0, "feedback")
    return None


def tells_hidden(text: str, task: Task, *, said: Iterable[str] = ()) -> bool:
    """Whether a hidden value stands in ``text`` that neither the task nor what was ``said`` shows."""
    shown = tuple(said)
    return any(value in text and not any(value in each for each in shown) for value in _secret(task))


def _member(
    trajectory: Trajectory, keep: Callable[[Try], str | None], left_out: list[LeftOut]
) -> Member | None:
    calls = {call.place: call for call in trajectory.calls}
    leaking = set(_leaking(trajectory, calls))
    opening, tries = None, []
    for attempt in trajectory.attempts:
        acting = _acting(attempt, calls)
        each = Try(trajectory, attempt, _turns(acting, attempt), outcome(attempt))
        if attempt.number == 1 and each.turns and not acting[0].redacted and acting[0].place not in leaking:
            opening = each.turns[0]
        reason = _unusable(each, acting, leaking) or keep(each)
        if reason is None:
            tries.append(each)
        else:
            left_out.append(LeftOut(reason, attempt.id))
    if opening is None:
        left_out.extend(LeftOut("the trajectory's first prompt cannot be used", t.attempt.id) for t in tries)
        return None
    return Member(trajectory, opening, tuple(tries)) if tries else None


def _unusable(each: Try, acting: Sequence[Call], leaking: set[str]) -> str | None:
    attempt = each.attempt
    if attempt.error:
        return "the attempt broke"
    if not attempt.trainable or any(call.redacted for call in acting):
        return "a secret was taken out of it"
    if any(call.place in leaking for call in acting):
        return LEAKED
    if len(each.turns) < len(acting):
        return "the log does not tell which of several replies was used"
    if acting and not each.turns[-1].reply.text:
        return "the answer is empty"
    if acting and attempt.text and each.turns[-1].reply.text != attempt.text:
        return "the answer is not what the last call replied"
    return None


def _acting(attempt: Attempt, calls: dict[str, Call]) -> list[Call]:
    """The calls that made the attempt, in order, without those of critics and other roles."""
    places = dict.fromkeys((*attempt.calls, *(step.call for step in attempt.steps if step.call)))
    found = (calls.get(place) for place in places)
    return [call for call in found if call is not None and call.role == "actor"]


def _turns(acting: Sequence[Call], attempt: Attempt) -> tuple[Turn, ...]:
    actions = {step.call: step.action for step in attempt.steps}
    turns = []
    for call in acting:
        used = actions.get(call.place, attempt.text)
        replies = call.replies if len(call.replies) == 1 else [r for r in call.replies if r.text == used]
        if len(replies) == 1:
            turns.append(Turn(call, replies[0]))
    return tuple(turns)


def _leaking(trajectory: Trajectory, calls: dict[str, Call]) -> Iterator[str]:
    """Places of calls that showed the agent a hidden value which nothing public had shown before.

    What the task says, what the agent said itself and what its actions brought to light is public,
    but not what the agent repeats after it had leaked.
    """
    secret = _secret(trajectory.task)
    leaked: set[str] = set()
    for attempt in trajectory.attempts:
        observed = {step.call: step.observation for step in attempt.steps}
        for call in _acting(attempt, calls):
            found = {v for v in secret if any(v in message["content"] for message in call.messages)}
            leaked |= found
            if found:
                yield call.place
            known = [*(reply.text for reply in call.replies), observed.get(call.place, "")]
            secret = {v for v in secret if v in leaked or not any(v in text for text in known)}


def _secret(task: Task) -> set[str]:
    """The hidden values that the task itself does not show."""
    known = (task.prompt, json.dumps(task.public, ensure_ascii=False))
    return {value for value in hidden_values(task.hidden) if not any(value in text for text in known)}


def _answer(reply: Reply) -> Message:
    return {"role": "assistant", "content": reply.text}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts ``t/10`` after ``t/9``."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
