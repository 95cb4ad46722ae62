"""A critic for goals made of constraints: which are unmet, what is wanted and what came, what to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.critics.levels import Detail, Said, check_level, kind_of, words_of
from agentloop.critics.web_words import kept, of_constraints, of_outcome, one_line, wanted_and_got
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Feedback

ALL_MET = "Every constraint of the goal is met."
UNKNOWN = "No constraint of the goal was checked; the attempt did not get that far."
NEAREST_TO_RIGHT = 0.9


def constraint_critic(
    level: Detail = "explained", *, prompts: Prompts | None = None
) -> Callable[[Attempt], Feedback]:
    """A critic that names each constraint of the goal that is unmet, by the latest fact ``constraints``.

    ``level``: "unary" says only to try again, "binary" that the answer is wrong, "located" also which
    constraints are unmet, "explained" also what each of them wants and what came instead, and which
    are met already, so that the next attempt keeps them. ``items`` has every constraint as "met" or
    "unmet" from "located" on.

    An unmet constraint is a "fail". With all of them met the site's reward decides; where that is not
    known the verdict is "unsure", since a goal may ask for more than its constraints. The score is 1 for
    a pass, and otherwise the share that is met, at most 0.9; None where nothing was checked.
    """
    check_level(level)
    texts = prompts or Prompts()

    def critic(attempt: Attempt) -> Feedback:
        verdict, data = of_outcome(attempt).verdict, _latest(attempt)
        met, unmet = list(data.get("met") or ()), list(data.get("unmet") or ())
        if unmet:
            verdict = "fail"
        said = _said(met, unmet)
        located = level in ("located", "explained")
        share = len(met) / (len(met) + len(unmet)) if met or unmet else None
        return Feedback(
            text=words_of(said, verdict, level, texts),
            verdict=verdict,
            score=1.0 if verdict == "pass" else None if share is None else min(NEAREST_TO_RIGHT, share),
            kind=kind_of(verdict, level),
            source="constraints",
            items=_items(met, unmet) if located else {},
        )

    return critic


def _latest(attempt: Attempt) -> Mapping[str, Any]:
    """The fact that tells the constraints last; empty where none does."""
    facts = [*(fact for step in attempt.steps for fact in step.facts), *attempt.facts]
    return next((fact.data for fact in reversed(facts) if fact.kind == "constraints"), {})


def _said(met: Sequence[Mapping[str, Any]], unmet: Sequence[Mapping[str, Any]]) -> Said:
    if not unmet:
        checked = ALL_MET if met else UNKNOWN
        return Said(right=ALL_MET, unsure=checked, located=checked, explained=checked)
    finding = of_constraints({"met": met, "unmet": unmet})
    assert finding is not None
    how = " ".join(part for part in (wanted_and_got(unmet), kept(met)) if part)
    return Said(
        right=ALL_MET, unsure=finding.where, located=finding.where, explained=f"{finding.where} {how}"
    )


def _items(met: Sequence[Mapping[str, Any]], unmet: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    named = {one_line(each["name"]): "met" for each in met}
    return {**named, **{one_line(each["name"]): "unmet" for each in unmet}}
