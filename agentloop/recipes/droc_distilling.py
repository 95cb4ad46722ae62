"""The distiller of DROC, once the person said done: values, way-points of each step, and constraints."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentloop.errors import AgentloopError, BadInput, BudgetSpent
from agentloop.hidden import leaks
from agentloop.journal import place_of
from agentloop.json_reply import read_object
from agentloop.knowledge import Knowledge, KnowledgeStore
from agentloop.prompts import Prompts
from agentloop.recipes.droc_state import Desk, DrocState, Finished, Working, told
from agentloop.state import run_id, trajectory_id
from agentloop.types import Correction, Model, Source, correction_id

logger = logging.getLogger(__name__)


class Keeper(Working):
    """The end of every kind of distilling: knowledge gets its id and source, and what was used is settled."""

    node, at_fault = "distil", "memory"

    def __init__(self, store: KnowledgeStore | None, prompts: Prompts | None = None) -> None:
        super().__init__(prompts)
        self.store = store

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Write to the store; the state says only why the agent ends."""
        if self.store is not None and state.get("done"):
            await self._settle(state, desk, self.store)
            for knowledge in await self.learnt(state, desk):
                await self._keep(state, desk, self.store, knowledge)
        return {"stop_reason": "passed"}

    async def learnt(self, state: DrocState, desk: Desk) -> list[Knowledge]:
        """What is worth keeping of a task that is done."""
        raise NotImplementedError

    async def _keep(self, state: DrocState, desk: Desk, store: KnowledgeStore, knowledge: Knowledge) -> None:
        name, run = trajectory_id(state), run_id(desk.run)
        correction = knowledge.correction
        whole = json.dumps(knowledge.replace(photo=None).to_dict(), sort_keys=True)
        if leaks(whole, state["task"]):
            logger.warning("knowledge from %s was not kept: it quotes hidden data", name)
            return
        source = correction.source.replace(run=run, trajectory=name)
        correction = correction.replace(id=correction_id(run, name, whole), source=source)

        async def make() -> Correction:
            dated = correction.replace(created=datetime.now(UTC).isoformat(timespec="seconds"))
            await store.keep(knowledge.replace(correction=dated))
            return dated

        await desk.once(correction.id, make, kind="record")

    async def _settle(self, state: DrocState, desk: Desk, store: KnowledgeStore) -> None:
        """What was used helped where the person corrected nothing at its level: the plan, or its step."""
        for id, where in state.get("used", {}).items():
            helped = where not in state.get("levels", ())

            async def make(id: str = id, helped: bool = helped) -> bool:
                name = f"{run_id(desk.run)}/{trajectory_id(state)}"
                await store.settle(id, trajectory=name, helped=helped)
                return helped

            await desk.once(f"{id} {helped}", make)


class DistilKnowledge(Keeper):
    """Two calls a finished step: which names its skill needs, then their values and the way-points.

    Every finished step is kept, corrected or not. A value may be of any type that JSON has. What cannot
    be read, or names a response that does not exist, is left out and said: in the log of Python's logging,
    and in the journal under ``undistilled``; the rest is kept.
    """

    def __init__(self, model: Model, store: KnowledgeStore | None, prompts: Prompts | None = None) -> None:
        super().__init__(store, prompts)
        self.model = model

    async def learnt(self, state: DrocState, desk: Desk) -> list[Knowledge]:
        """The constraints that corrections of the plan taught, and a skill for every finished step."""
        kept = list(state.get("taught", ()))
        faults: list[str] = []
        for step in state.get("finished", ()):
            try:
                kept.append(await self._skill(step, state, desk, faults))
            except BudgetSpent:
                raise
            except AgentloopError as error:
                faults.append(f"{step.step}: {error}")
        if faults:
            logger.warning("not distilled from %s: %s", trajectory_id(state), "; ".join(faults))
            place = place_of(trajectory_id(state), state["number"], "undistilled", 0)
            desk.run.note(place, "undistilled", faults)
        return kept

    async def _skill(self, step: Finished, state: DrocState, desk: Desk, faults: list[str]) -> Knowledge:
        names = await self.names(step, desk)
        values, code = await self.values(step, names, desk, faults) if names else ({}, "")
        shown = ", ".join(f"{name}={value}" for name, value in values.items())
        before = f"; before it: {'; '.join(code.splitlines())}" if code else ""
        quotes = " / ".join(turn.correction for turn in step.turns if turn.correction)
        correction = Correction(
            id="-",
            text=f"{step.step}: {shown or 'nothing to adjust'}{before}",
            applies_when=f"a step like '{step.step}' on a {step.object or 'table'} that looks like this one",
            key=step.step,
            level="skill",
            source=Source(attempt=state["number"], quote=quotes),
        )
        return Knowledge(
            correction=correction,
            kind="skill",
            step=step.step,
            object=step.object,
            photo=step.photo,
            values=values,
            code=code,
        )

    async def names(self, step: Finished, desk: Desk) -> list[str]:
        """The names of the values that a step like this one needs."""
        text = self.prompts.render("droc_names", step=step.step, code=step.turns[-1].code)
        reply = await desk.ask(self.model, text)
        names = (read_object(reply, key="names") or {}).get("names")
        if not isinstance(names, list):
            raise BadInput(f"the distiller's reply holds no list of names: {reply[:120]!r}")
        return [str(name) for name in names]

    async def values(
        self, step: Finished, names: list[str], desk: Desk, faults: list[str]
    ) -> tuple[dict[str, Any], str]:
        """The value of each name in the end, and the lines of code that are worth keeping."""
        text = self.prompts.render(
            "droc_values", step=step.step, names="\n".join(names), history=told(step.turns)
        )
        reply = await desk.ask(self.model, text)
        found = read_object(reply, key="values")
        if found is None:
            raise BadInput(f"the distiller's reply holds no values: {reply[:120]!r}")
        values = {
            str(each.what["name"]): each.what["value"]
            for each in _sourced(found.get("values"), "value", len(step.turns), faults)
        }
        lines = [
            str(each.what["code"])
            for each in _sourced(found.get("way_points"), "code", len(step.turns), faults)
        ]
        return values, "\n".join(lines)


class KeepHistory(Keeper):
    """The baseline without distilling: the whole interaction is kept, and shown in every later prompt."""

    async def learnt(self, state: DrocState, desk: Desk) -> list[Knowledge]:
        """One note of all that was done and said, of no level in particular."""
        done = state.get("finished", ())
        lines = [f"step: {each.step}\n{told(each.turns)}" for each in done]
        lines += [f"correction: {each.correction.source.quote}" for each in state.get("taught", ())]
        text = "\n".join([f"task: {state['task'].prompt}", *lines])
        correction = Correction(id="-", text=text, key=state["task"].prompt, level="outcome")
        return [Knowledge(correction=correction, kind="task_constraint")]


class _Sourced(NamedTuple):
    """An item of the distiller's reply that names a response."""

    what: dict[str, Any]


def _sourced(items: Any, key: str, responses: int, faults: list[str]) -> Iterable[_Sourced]:
    """The items that have ``key`` and come from a response there was; the others are faults."""
    for each in items if isinstance(items, list) else []:
        number = each.get("from") if isinstance(each, dict) else None
        whole = isinstance(each, dict) and key in each and (key == "code" or "name" in each)
        if whole and isinstance(number, int) and 1 <= number <= responses:
            yield _Sourced(each)
        else:
            faults.append(f"not of any response: {each!r:.100}")
