"""A critic that tells what an agent's last actions did to the page: changes, actions in vain, loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from agentloop.critics.levels import Detail, Said, check_level, kind_of, words_of
from agentloop.critics.web_words import (
    REACHED,
    action_of,
    at_steps,
    changed_nothing,
    difference,
    hindrances,
    of_outcome,
    quoted,
    spans_of,
)
from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Feedback, Step

ALL_CHANGED = "Every action changed the page, and none was made twice on the same page."
NOTHING_KNOWN = "What the actions changed is not known."
NEAREST_TO_RIGHT = 0.9


def page_difference_critic(
    level: Detail = "explained", *, last: int = 5, prompts: Prompts | None = None
) -> Callable[[Attempt], Feedback]:
    """A critic that compares the page before and after each of the ``last`` actions, by facts ``changed``.

    ``level``: "unary" says only to try again, "binary" whether the goal was missed, "located" which
    steps changed nothing and which did what an earlier one had done on the same page, "explained" also
    by which actions, why as far as that is known, and what the others made appear and disappear.

    Pages are the same when their observations are. Telling the user something changes no page and is
    not held against an agent. The site's reward decides the verdict: without one it is "unsure", since a
    page that changes need not be the wanted one.
    """
    check_level(level)
    if last < 1:
        raise BadInput(f"last must be at least 1, got {last}")
    texts = prompts or Prompts()

    def critic(attempt: Attempt) -> Feedback:
        outcome = of_outcome(attempt)
        verdict, located = outcome.verdict, level in ("located", "explained")
        score = None if verdict == "unsure" else min(NEAREST_TO_RIGHT, outcome.share)
        facts = attempt.steps[-1].facts if attempt.steps else ()
        return Feedback(
            text=words_of(_said(attempt.steps, last, outcome.where), verdict, level, texts),
            verdict=verdict,
            score=1.0 if verdict == "pass" else score,
            kind=kind_of(verdict, level),
            source="page changes",
            spans=spans_of(attempt.text, facts) if located and verdict != "pass" else (),
        )

    return critic


class _Seen(NamedTuple):
    """One step: what is known of its change, and the earlier step that it repeats."""

    number: int
    step: Step
    changed: Mapping[str, Any] | None
    repeats: int | None

    @property
    def idle(self) -> bool:
        """Whether it left the page as it was."""
        if any(fact.kind == "said" for fact in self.step.facts):
            return False
        if any(fact.kind in ("blocked", "malformed_action") for fact in self.step.facts):
            return True
        return self.changed is not None and changed_nothing(self.changed)


def _said(steps: Sequence[Step], last: int, outcome: str) -> Said:
    seen = _seen(steps)[-last:]
    idle = [each for each in seen if each.idle]
    moved = [each for each in seen if not each.idle and each.changed is not None]
    loops = [each for each in seen if each.repeats is not None]
    if not idle and not loops and not moved:
        return Said(REACHED, outcome, NOTHING_KNOWN, NOTHING_KNOWN)
    located, explained = [], []
    if idle:
        located.append(f"{at_steps([each.number for each in idle])} nothing changed on the page.")
        explained += [_idle(each) for each in idle]
    for each in loops:
        said = f"Step {each.number} repeats step {each.repeats}: the same action on the same page."
        located.append(said)
        explained.append(f"{said} Do something else there.")
    explained += [f"Step {each.number}, {_action(each)}: {difference(each.changed or {})}." for each in moved]
    return Said(REACHED, outcome, " ".join(located) or ALL_CHANGED, " ".join(explained))


def _seen(steps: Sequence[Step]) -> list[_Seen]:
    first: dict[tuple[str | None, str], int] = {}
    seen: list[_Seen] = []
    for number, step in enumerate(steps, start=1):
        before = steps[number - 2].observation if number > 1 else None
        came = first.setdefault((before, action_of(step.action)), number)
        changed = next((fact.data for fact in step.facts if fact.kind == "changed"), None)
        seen.append(_Seen(number, step, changed, came if came < number else None))
    return seen


def _idle(each: _Seen) -> str:
    found = hindrances(each.step)
    if not found:
        return f"Step {each.number}, {_action(each)}: nothing changed on the page."
    why = " ".join(part for finding in found for part in (finding.where, finding.how) if part)
    return f"Step {each.number}: {why}"


def _action(each: _Seen) -> str:
    return quoted(action_of(each.step.action))
