"""What is let into a memory, and by what a candidate becomes active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from agentloop.errors import BadInput
from agentloop.hidden import leaks
from agentloop.memories.evidence import unproven
from agentloop.memories.injection import injected
from agentloop.memories.lessons import no_lesson
from agentloop.memories.novelty import restated
from agentloop.memories.secrets import secret_in
from agentloop.types import Attempt, Correction, digest

Reason: TypeAlias = Literal["secret", "hidden", "injected", "no_lesson", "evidence", "restated"]
UNTOLD: frozenset[Reason] = frozenset({"secret", "hidden"})
"""Reasons for which the words themselves are not written down, only what is wrong with them."""


class Refusal(NamedTuple):
    """Why a correction was not let in, in a word and in words."""

    reason: Reason
    why: str


class Refused(NamedTuple):
    """A correction that was not let in, as the log keeps it; ``text`` is empty where it must not be kept."""

    id: str
    reason: str
    why: str
    text: str
    run: str
    trajectory: str


class Admission(NamedTuple):
    """What became of a correction at the door: ``id`` is that of the one kept, or of the one refused."""

    outcome: Literal["kept", "reinforced", "refused", "known"]
    id: str
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The rules of the door: ``CorrectionMemory(folder, gate=Gate())``.

    Let in is a correction whose quote stands in its trajectory and supports its text, that says something
    another task may need, that does not merely repeat the task or what was recalled for it, and that
    carries no secret, no hidden data and no instruction from an observation. It enters as a candidate, or
    strengthens the one that says the same for the same scope. The same question always gets the same answer.

    A candidate is recalled only in trials. It becomes active by a paired replay (``agentloop.replay``), or
    when ``helps`` more of its trials passed than failed. Counting is no proof: where tasks pass anyway, so
    do a candidate's trials; so ``helps`` is None unless it is given. ``trial_share`` is the share of recalls
    at which one candidate that fits is shown along with the others; it is drawn from ``seed``, the
    candidate's id and the task's, so that a resumed run draws the same.
    """

    helps: int | None = None
    trial_share: float = 0.0
    personal: bool = True
    """Refuse e-mail addresses and telephone numbers as well."""
    support: float = 0.5
    """The share of a text's words that must stand where its quote does."""
    longest: int = 600
    """Characters that a correction may have."""
    similar: float = 0.6
    """The cosine from which on a stored correction is compared word by word."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.helps is not None and self.helps < 1:
            raise BadInput(f"helps must be at least 1, got {self.helps}; leave it out for replays only")
        for name in ("trial_share", "support", "similar"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise BadInput(f"{name} is a share from 0 to 1, got {getattr(self, name)}")

    def refusal(
        self, correction: Correction, attempts: Sequence[Attempt] = (), *, recalled: Sequence[Correction] = ()
    ) -> Refusal | None:
        """Why ``correction``, distilled from ``attempts``, is not let in; None when it is.

        ``attempts`` carry their tasks with hidden data, so that what quotes it is found; ``recalled`` is what
        the agent was shown in that trajectory.
        """
        shown = (correction.text, correction.applies_when, correction.not_when)
        every = (*shown, correction.key, correction.source.quote)
        found = next(filter(None, (secret_in(each, personal=self.personal) for each in every)), "")
        if found:
            return Refusal("secret", f"it holds {found}")
        if any(leaks(each, attempt.task) for each in every for attempt in attempts):
            return Refusal("hidden", "it quotes hidden data of its task")
        slipped = next(filter(None, (injected(each, attempts) for each in shown)), "")
        if slipped:
            return Refusal("injected", slipped)
        return self._poor(correction, attempts, recalled)

    def tries(self, candidate: str, task: str) -> bool:
        """Whether a candidate is shown at a task for trial."""
        return int(digest("trial", str(self.seed), candidate, task), 16) < self.trial_share * 2**64

    def is_proven(self, correction: Correction) -> bool:
        """Whether a candidate's trials count as proof."""
        return self.helps is not None and correction.helped - correction.hurt >= self.helps

    def _poor(
        self, correction: Correction, attempts: Sequence[Attempt], recalled: Sequence[Correction]
    ) -> Refusal | None:
        """Why it is not worth keeping, though it does no harm."""
        empty = no_lesson(correction.text, longest=self.longest)
        if empty:
            return Refusal("no_lesson", empty)
        lacking = unproven(correction, attempts, support=self.support)
        if lacking:
            return Refusal("evidence", lacking)
        if restated(correction.text, (each.text for each in recalled)):
            return Refusal("restated", "it repeats a correction that was shown in its trajectory")
        if restated(correction.text, {each.task.prompt for each in attempts}):
            return Refusal("restated", "it repeats its task")
        return None
