"""The planner of DROC: a plan under constraints, its two revisions after a correction, the objects' state."""

from __future__ import annotations

import logging
from typing import Any

from agentloop.errors import ModelError
from agentloop.json_reply import read_object
from agentloop.knowledge import Knowledge, KnowledgeKind
from agentloop.prompts import Prompts
from agentloop.recipes.droc_hands import Hands, found_by, seen_in
from agentloop.recipes.droc_state import (
    Desk,
    DrocState,
    Finished,
    PlanStep,
    Working,
    World,
    current,
    listed,
)
from agentloop.types import Correction, Model, Source

logger = logging.getLogger(__name__)


class Plan(Working):
    """Ask for a plan of the task under the constraints that were retrieved."""

    node = "plan"

    def __init__(self, model: Model, prompts: Prompts) -> None:
        super().__init__(prompts)
        self.model = model

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``plan``."""
        text = self.prompts.render(
            "droc_plan",
            task=state["instruction"],
            scene=state["scene"],
            constraints="\n".join(f"- {said(each)}" for each in state["constraints"] if not is_note(each)),
            notes=notes(state),
        )
        reply = await desk.ask(self.model, text)
        plan = read_plan(read_object(reply, key="plan"), "plan")
        if not plan:
            raise Unplanned(f"no plan can be read from the reply {reply[:120]!r}")
        return {"plan": plan, "at": 0, "objects": state["scene"]}


class Unplanned(ModelError):
    """The model's reply holds no plan."""


class Replan(Working):
    """Ask what a correction of the plan teaches, and for the rest of the plan. Finished steps are kept.

    The modified original plan goes to the examples of later corrections in this task; what is executed
    is the rest. Besides what the method asks for, the model says whether the step at hand is done already,
    since a person often speaks just after it. Constraints that are not "none" are kept when the task is done.
    """

    node = "replan"

    def __init__(self, model: Model, hands: Hands, prompts: Prompts) -> None:
        super().__init__(prompts)
        self.model, self.hands = model, hands

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``plan``, ``at``, ``objects``, ``examples`` and ``taught``."""
        at, plan, turns = state["at"], state["plan"], state.get("turns", ())
        text = self.prompts.render(
            "droc_replan",
            task=state["instruction"],
            plan=listed(plan),
            step=f"{min(at, len(plan) - 1) + 1}. {current(state).step}",
            state="\n".join([state["objects"], *(f"seen: {turn.observation}" for turn in turns[-1:])]),
            examples="\n\n".join(state.get("examples", ())) or "none",
            correction=state["correction"],
        )
        reply = await desk.ask(self.model, text)
        found = read_object(reply, key="replan")
        if found is None:
            logger.warning("no new plan can be read from the reply %r; the old one goes on", reply[:120])
            return {"turns": ()}
        ended = found.get("step_finished") is True and at < len(plan)
        kept = plan[: at + ended]
        rest, modified = read_plan(found, "replan"), read_plan(found, "modified_plan")
        taught, world = await self._looked_at(_taught(found, state), state["world"], desk)
        example = f"correction: {state['correction']}\n{listed(modified)}"
        return {
            "plan": (*kept, *rest),
            "at": len(kept),
            "turns": (),
            "objects": str(found.get("state") or state["objects"]),
            "examples": (*state.get("examples", ()), *([example] if modified else [])),
            "taught": (*state.get("taught", ()), *taught),
            "world": world,
            "finished": (*state.get("finished", ()), *([finished(state)] if ended and turns else [])),
        }

    async def _looked_at(
        self, taught: list[Knowledge], world: World, desk: Desk
    ) -> tuple[list[Knowledge], World]:
        """The constraints, those about an object with its photo."""
        shown = []
        for each in taught:
            if each.object:
                step, world = await self.hands.step(desk, world, found_by(each.object))
                each = each.replace(photo=next((seen.photo for seen in seen_in(step)), None))
            shown.append(each)
        return shown, world


class Advance(Working):
    """Go on to the next step: the turns of the finished one are kept, the objects' state is asked for."""

    node = "state"

    def __init__(self, model: Model, prompts: Prompts) -> None:
        super().__init__(prompts)
        self.model = model

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``at``, ``objects`` and ``finished``; nothing where no step was under way."""
        if state["at"] >= len(state["plan"]):
            return {}
        step = current(state).step
        objects = await desk.ask(
            self.model, self.prompts.render("droc_state", state=state["objects"], finished=step)
        )
        done = (*state.get("finished", ()), finished(state))
        return {"at": state["at"] + 1, "objects": objects, "finished": done, "turns": ()}


def finished(state: DrocState) -> Finished:
    """The step under way as a finished one."""
    seen = state["seen"]
    return Finished(
        step=current(state).step, object=seen.name, photo=seen.photo, turns=state.get("turns", ())
    )


def said(knowledge: Knowledge) -> str:
    """A constraint in words, with the tasks it holds for where those are prose."""
    when = knowledge.correction.applies_when
    return (
        f"{knowledge.correction.text} (when {when})"
        if when and "=" not in when
        else knowledge.correction.text
    )


def is_note(knowledge: Knowledge) -> bool:
    """Whether it is about no level in particular, so that both planner and skill writer are shown it."""
    return knowledge.correction.level == "outcome"


def notes(state: DrocState) -> str:
    """What is kept of earlier tasks and was not distilled to one level."""
    return "\n\n".join(each.correction.text for each in state["constraints"] if is_note(each)) or "none"


def read_plan(found: dict[str, Any] | None, key: str) -> tuple[PlanStep, ...]:
    """The steps listed under ``key``; what is no step is left out."""
    steps = (found or {}).get(key)
    read = [each for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []
    return tuple(
        PlanStep(step=str(each["step"]).strip(), object=str(each.get("object") or "").strip())
        for each in read
        if str(each.get("step") or "").strip()
    )


def _taught(found: dict[str, Any], state: DrocState) -> list[Knowledge]:
    """The constraints of a reply; one of the robot is about no object."""
    taught = []
    kinds: tuple[KnowledgeKind, ...] = ("task_constraint", "robot_constraint")
    for kind in kinds:
        text = str(found.get(kind) or "").strip()
        if not text or text.lower().strip(" .") == "none":
            continue
        about = str(found.get("about") or "") if kind == "task_constraint" else ""
        source = Source(
            trajectory=state.get("trajectory", ""), attempt=state["number"], quote=state["correction"]
        )
        correction = Correction(
            id="-",
            text=text,
            applies_when=str(found.get("applies_when") or "") if kind == "task_constraint" else "",
            key=text,
            level="plan",
            source=source,
        )
        taught.append(
            Knowledge(correction=correction, kind=kind, object="" if about.lower() == "none" else about)
        )
    return taught
