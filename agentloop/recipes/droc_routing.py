"""The two routers of DROC: is a correction about the plan or the skill, and what does a new try depend on."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from agentloop.journal import place_of
from agentloop.prompts import Prompts
from agentloop.recipes.droc_acting import api
from agentloop.recipes.droc_state import Desk, DrocState, Turn, Working, current, told
from agentloop.types import Model

logger = logging.getLogger(__name__)

Depends: TypeAlias = Literal["last action", "initial action", "task failed", "nothing"]
DEPENDS: tuple[Depends, ...] = ("last action", "initial action", "task failed", "nothing")


class Route(Working):
    """Ask, once, whether a correction points beyond the step at hand: ``level`` is then plan, else skill."""

    node = "route"

    def __init__(self, model: Model, prompts: Prompts | None = None) -> None:
        super().__init__(prompts)
        self.model = model

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``level``."""
        beyond = await self.beyond(current(state).step, state["correction"], desk)
        level: Literal["plan", "skill"] = "plan" if beyond else "skill"
        where = level if beyond else f"step {state['at']}"
        _level_noted(state, desk, level)
        return {"level": level, "levels": (*state.get("levels", ()), where)}

    async def beyond(self, step: str, correction: str, desk: Desk) -> bool:
        """Whether the correction points beyond the step; a reply that is neither yes nor no counts as no."""
        text = self.prompts.render("droc_route", step=step, correction=correction)
        reply = await desk.ask(self.model, text)
        found = re.search(r"\b(yes|no)\b", reply.lower())
        if found is None:
            logger.warning("the router said neither yes nor no: %r; taken as no", reply[:80])
        return found is not None and found.group(1) == "yes"


class Regenerate(Working):
    """Ask what a correction of a step depends on, and get the code to carry out now.

    On the last action: it is shown with its outcome. On the initial one ("now continue"): the code that
    was interrupted at first is run again, without a call. Where the task failed, the first and the last
    code are shown, to write one of them anew. On nothing: no history is shown.
    """

    node = "act"

    def __init__(self, model: Model, prompts: Prompts, sampling: Mapping[str, Any]) -> None:
        super().__init__(prompts)
        self.model, self.sampling = model, dict(sampling)

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``code``."""
        turns, step = state["turns"], current(state).step
        depends = await self.depends(step, turns, state["correction"], desk)
        if depends == "initial action":
            return {"code": state["first_code"]}
        seen = state["seen"]
        text = self.prompts.render(
            "droc_correct",
            step=step,
            object=f"{seen.mark} {seen.name or 'table'}",
            history=_history(depends, turns),
            correction=state["correction"],
        )
        place = desk.place
        code = await desk.ask(self.model, text, system=api(state, self.prompts), **self.sampling)
        return {"code": code, "calls": (*state.get("calls", ()), place)}

    async def depends(self, step: str, turns: tuple[Turn, ...], correction: str, desk: Desk) -> Depends:
        """What the correction depends on; a reply that names none of the four counts as the last action."""
        history = told((*turns[:-1], turns[-1].replace(correction="")))
        text = self.prompts.render("droc_depends", step=step, history=history, correction=correction)
        reply = (await desk.ask(self.model, text)).lower()
        named: list[Depends] = [each for each in DEPENDS if each in reply]
        if not named:
            logger.warning("the second router named nothing known: %r; taken as last action", reply[:80])
        return named[0] if named else "last action"


def _level_noted(state: DrocState, desk: Desk, level: Literal["plan", "skill"]) -> None:
    """Write the level to the feedback of a person who gave none."""
    attempt = state["attempt"]
    if attempt.feedback is None or attempt.feedback.level != "outcome":
        return
    feedback = attempt.feedback.replace(level=level)
    desk.run.keep(attempt.replace(feedback=feedback))
    place = place_of(attempt.trajectory, attempt.number, "judge", 0)
    desk.run.note(place, "feedback", feedback.to_dict())


def _history(depends: Depends, turns: tuple[Turn, ...]) -> str:
    """The turns that a correction depends on, as the prompt shows them."""
    if depends == "nothing":
        return "none"
    shown = (turns[-1],) if depends == "last action" or len(turns) == 1 else (turns[0], turns[-1])
    return told(tuple(turn.replace(correction="") for turn in shown))
