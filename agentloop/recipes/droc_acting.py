"""Code for a step, carrying it out, and the person who watches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentloop.bringing import bring
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.hidden import mask_hidden, public_task
from agentloop.journal import place_of
from agentloop.knowledge import Knowledge
from agentloop.prompts import Prompts
from agentloop.recipes.droc_hands import Hands
from agentloop.recipes.droc_planning import notes
from agentloop.recipes.droc_state import Desk, DrocState, Finished, Turn, Working, current, keep_attempt
from agentloop.state import trajectory_id
from agentloop.types import Feedback, Model, StopSignal
from agentloop.watching import Moment, Person


class WriteCode(Working):
    """Ask for the code of the step under way, with the skill that was retrieved for it.

    The code that was right in the end for earlier steps of this task, retrieved or not, is shown too.
    """

    node = "act"

    def __init__(self, model: Model, prompts: Prompts, sampling: Mapping[str, Any]) -> None:
        super().__init__(prompts)
        self.model, self.sampling = model, dict(sampling)

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``code``."""
        seen, skill = state["seen"], state.get("skill")
        known = [_earlier(each) for each in state.get("finished", ()) if each.turns]
        known += [f"this step, {skill_words(skill)}"] if skill else []
        text = self.prompts.render(
            "droc_code",
            step=current(state).step,
            object=f"{seen.mark} {seen.name or 'table'}",
            knowledge="\n".join(known) or "none",
            notes=notes(state),
        )
        place = desk.place
        code = await desk.ask(self.model, text, system=api(state, self.prompts), **self.sampling)
        return {"code": code, "first_code": code, "calls": (*state.get("calls", ()), place)}


class Execute(Working):
    """Carry out the code in the environment."""

    node, at_fault = "execute", "environment"

    def __init__(self, hands: Hands) -> None:
        super().__init__()
        self.hands = hands

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``world``, and add to ``steps`` and ``turns``."""
        step, world = await self.hands.step(desk, state["world"], state["code"])
        turn = Turn(code=state["code"], observation=step.observation)
        return {
            "world": world,
            "steps": (*state.get("steps", ()), step),
            "facts": step.facts,
            "turns": (*state.get("turns", ()), turn),
        }


class Watch(Working):
    """Show the person what was done, and end the attempt if they interrupt, or say that the task is done.

    The agent stops at ``most`` corrections of a task, ``most_of_step`` of a step, or ``steps`` finished ones.
    """

    node, at_fault = "watch", "person"

    def __init__(self, person: Person, *, most: int, most_of_step: int, steps: int) -> None:
        super().__init__()
        self.person, self.most, self.most_of_step, self.steps = person, most, most_of_step, steps
        self.privileged = bool(getattr(person, "sees_hidden", False))
        self.signal: StopSignal = "oracle" if self.privileged else "public"

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``correction``, ``done`` or why it stops; an attempt that ended is kept."""
        feedback = await self._feedback(state, desk)
        if feedback is None and len(state["plan"]) - state["at"] > 1:
            return self._on(state, desk.run)
        if feedback is None or feedback.verdict == "pass":
            return self._done(state, desk.run, feedback)
        return self._corrected(state, desk.run, feedback)

    async def _feedback(self, state: DrocState, desk: Desk) -> Feedback | None:
        moment = self._moment(state)

        async def make() -> dict[str, Any] | None:
            told = await bring(self.person, moment, executor=desk.run.executor)
            if told is not None and not isinstance(told, Feedback):
                raise BadInput(
                    f"a person returns a Feedback or None, got {type(told).__name__}: {told!r:.80}"
                )
            if told is not None and self.privileged:
                told = told.replace(privileged=True, text=mask_hidden(told.text, state["task"]))
            return None if told is None else told.to_dict()

        asked = json.dumps([moment.at, moment.action, moment.observation, moment.corrections])
        told = await desk.once(asked, make)
        return None if told is None else Feedback.from_dict(told)

    def _moment(self, state: DrocState) -> Moment:
        turns, facts, task = state.get("turns", ()), state.get("facts", ()), state["task"]
        return Moment(
            task=task if self.privileged else public_task(task),
            plan=tuple(each.step for each in state["plan"]),
            at=state["at"],
            step=current(state).step,
            action=turns[-1].code if turns else "",
            observation=turns[-1].observation if turns else "",
            facts=facts if self.privileged else tuple(fact for fact in facts if not fact.hidden),
            corrections=len(state.get("corrections", ())),
            last=len(state["plan"]) - state["at"] <= 1,
        )

    def _on(self, state: DrocState, run: RunContext) -> DrocState:
        """The person lets the agent go on, unless its plan has no end."""
        if len(state.get("finished", ())) + 1 < self.steps:
            return {"correction": ""}
        attempt = keep_attempt(state, run)
        return {"attempt": attempt, "best": attempt, "stop_reason": "steps", "stop_signal": "none"}

    def _done(self, state: DrocState, run: RunContext, feedback: Feedback | None) -> DrocState:
        """The person has nothing to say after the last step, or says that the task is done."""
        told = feedback or Feedback(
            text="", verdict="pass", kind="correction", source="person", privileged=self.privileged
        )
        attempt = keep_attempt(state, run, feedback=_noted(state, run, told))
        stop: DrocState = {"attempt": attempt, "best": attempt, "done": True, "correction": ""}
        return {**stop, "stop_signal": self.signal}

    def _corrected(self, state: DrocState, run: RunContext, feedback: Feedback) -> DrocState:
        """The person interrupts: this attempt ends, the next one begins."""
        corrections = (*state.get("corrections", ()), state["at"])
        *before, last = state.get("turns", ()) or (Turn(code="", observation=""),)
        changed: DrocState = {
            "correction": feedback.text,
            "corrections": corrections,
            "turns": (*before, last.replace(correction=feedback.text)),
        }
        attempt = keep_attempt(state, run, feedback=_noted(state, run, feedback))
        changed |= {"attempt": attempt, "best": attempt}
        if len(corrections) >= self.most or corrections.count(state["at"]) >= self.most_of_step:
            return {**changed, "stop_reason": "corrections", "stop_signal": "none"}
        return {**changed, "number": state["number"] + 1, "steps": (), "calls": ()}


def api(state: DrocState, prompts: Prompts) -> str:
    """What the environment says of its actions."""
    name = state.get("instructions", "")
    return prompts.render(name) if name else ""


def skill_words(skill: Knowledge) -> str:
    """A skill in one line: the step, its values, the lines to carry out before."""
    values = ", ".join(f"{name}={value}" for name, value in skill.values.items())
    before = f"; before it: {'; '.join(skill.code.splitlines())}" if skill.code else ""
    return f"{skill.correction.key or skill.step}: {values or skill.correction.text}{before}"


def _earlier(step: Finished) -> str:
    return f"earlier step, {step.step}: {'; '.join(step.turns[-1].code.splitlines())}"


def _noted(state: DrocState, run: RunContext, feedback: Feedback) -> Feedback:
    """The feedback, written down as that of the attempt under way."""
    place = place_of(trajectory_id(state), state["number"], "judge", 0)
    run.note(place, "feedback", feedback.to_dict())
    return feedback
