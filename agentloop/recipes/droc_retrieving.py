"""What DROC recalls: constraints by the model's choice, the object meant by its looks, skills by both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentloop.hidden import public_task
from agentloop.json_reply import read_object
from agentloop.knowledge import Knowledge, KnowledgeStore, Photo
from agentloop.prompts import Prompts
from agentloop.recipes.droc_hands import Hands, found_by, seen_in
from agentloop.recipes.droc_state import Desk, DrocState, Seen, Working, World, current
from agentloop.types import Model


class RecallConstraints(Working):
    """Recall plan constraints, let the model choose those that matter, and name what the task names vaguely.

    The vague name is that of a kind ("drawer") of which a chosen constraint knows one by its looks ("oak
    drawer"). With one such constraint its name is used as it is and no picture is compared; with more,
    the store says by the photos of what stands there which one is meant.
    """

    node, at_fault = "recall", "memory"

    def __init__(self, model: Model, store: KnowledgeStore | None, hands: Hands, prompts: Prompts) -> None:
        super().__init__(prompts)
        self.model, self.store, self.hands = model, store, hands

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``constraints``, ``instruction`` and ``scene``."""
        task = state["task"]
        scene, instructions = await self.hands.opening(desk, task)
        changed: DrocState = {
            "instruction": task.prompt,
            "scene": scene,
            "instructions": instructions,
            "constraints": (),
            "number": 1,
            "world": World(),
        }
        if self.store is None:
            return changed
        held = await self._held(desk, self.store)
        whole = tuple(each for each in held if each.correction.level == "outcome")
        chosen = await self._chosen(desk, [each for each in held if each not in whole])
        return {
            **changed,
            "constraints": (*chosen, *whole),
            "used": {each.correction.id: "plan" for each in chosen},
            **await self._named(desk, chosen, changed),
        }

    async def _held(self, desk: Desk, store: KnowledgeStore) -> list[Knowledge]:
        async def make() -> list[dict[str, Any]]:
            return [each.to_dict() for each in await store.constraints(public_task(desk.state["task"]))]

        return [Knowledge.from_dict(each) for each in await desk.once("constraints", make)]

    async def _chosen(self, desk: Desk, held: Sequence[Knowledge]) -> tuple[Knowledge, ...]:
        if not held:
            return ()
        text = self.prompts.render(
            "droc_constraints",
            task=desk.state["task"].prompt,
            constraints=numbered([each.correction.text for each in held]),
        )
        return tuple(picked(await desk.ask(self.model, text), "relevant", held))

    async def _named(self, desk: Desk, chosen: Sequence[Knowledge], state: DrocState) -> DrocState:
        """The instruction with vague names replaced, and the world after having looked."""
        instruction, world = state["instruction"], state["world"]
        for kind in dict.fromkeys(_kind(each.object) for each in chosen if each.object):
            about = [each for each in chosen if _kind(each.object) == kind]
            name = vague_name(instruction, kind, [each.object for each in about])
            several = len({each.object for each in about}) > 1
            if name is None or (name != kind and not several):
                continue
            meant: Knowledge | None = about[0]
            if several:
                meant, world = await self._meant(desk, name, about, world)
            if meant is not None:
                instruction = re.sub(rf"\b{re.escape(name)}\b", meant.object, instruction, count=1)
        return {"instruction": instruction, "world": world}

    async def _meant(
        self, desk: Desk, name: str, about: Sequence[Knowledge], world: World
    ) -> tuple[Knowledge | None, World]:
        step, world = await self.hands.step(desk, world, found_by(_kind(name)))
        photos = [each.photo for each in seen_in(step) if each.photo is not None]
        ids = [each.correction.id for each in about]

        async def make() -> dict[str, Any] | None:
            assert self.store is not None
            resolved = await self.store.resolve(name, ids, photos)
            return None if resolved is None else resolved.replace(photo=None).to_dict()

        resolved = await desk.once(f"{name} {ids}", make)
        return (None if resolved is None else Knowledge.from_dict(resolved)), world


class RecallSkill(Working):
    """Find the object of the step under way, and the skill of a like step on the object most like it."""

    node, at_fault = "skill", "memory"

    def __init__(self, model: Model, store: KnowledgeStore | None, hands: Hands, prompts: Prompts) -> None:
        super().__init__(prompts)
        self.model, self.store, self.hands = model, store, hands

    async def work(self, state: DrocState, desk: Desk) -> DrocState:
        """Set ``seen``, ``skill`` and ``world``."""
        step = current(state)
        seen, world = await self._seen(desk, step.object, state["world"])
        skill = await self._skill(desk, step.step, seen.photo)
        used = {**state.get("used", {}), **({skill.correction.id: f"step {state['at']}"} if skill else {})}
        return {"seen": seen, "world": world, "skill": skill, "used": used}

    async def _seen(self, desk: Desk, name: str, world: World) -> tuple[Seen, World]:
        """The first object of that name; of its kind, where none has the full name."""
        for words in dict.fromkeys((name, _kind(name))) if name and name != "table" else ():
            step, world = await self.hands.step(desk, world, found_by(words))
            found = seen_in(step)
            if found:
                return found[0]._replace(name=name), world
        return Seen(name=name), world

    async def _skill(self, desk: Desk, step: str, photo: Photo | None) -> Knowledge | None:
        store = self.store
        if store is None or not photo:
            return None

        async def list_steps() -> list[str]:
            return list(await store.steps(step))

        steps = await desk.once(step, list_steps)
        if not steps:
            return None
        text = self.prompts.render("droc_same", step=step, steps=numbered(steps))
        same = picked(await desk.ask(self.model, text), "same", steps)
        if not same:
            return None

        async def choose() -> dict[str, Any] | None:
            chosen = await store.skill(same, photo)
            return None if chosen is None else chosen.replace(photo=None).to_dict()

        chosen = await desk.once(f"{step} {same}", choose)
        return None if chosen is None else Knowledge.from_dict(chosen)


def vague_name(instruction: str, kind: str, known: Sequence[str]) -> str | None:
    """How the instruction names a thing of this kind; None when it does not, or in full."""
    said = instruction.lower()
    if not kind or any(name.lower() in said for name in known):
        return None
    found = re.search(rf"\b(?:the|my|an?) ((?:\w+ )?{re.escape(kind)})\b", said)
    return found.group(1) if found else None


def numbered(texts: Sequence[str]) -> str:
    """Texts as a numbered list."""
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


def picked(reply: str, key: str, among: Sequence[Any]) -> list[Any]:
    """Those of ``among`` whose numbers the reply gives; numbers that are none of theirs are left out."""
    numbers = (read_object(reply, key=key) or {}).get(key)
    if not isinstance(numbers, list):
        return []
    places = dict.fromkeys(n for n in numbers if type(n) is int and 1 <= n <= len(among))
    return [among[place - 1] for place in places]


def _kind(name: str) -> str:
    """The last word of a name, which says what sort of thing it is."""
    return name.split()[-1] if name else ""
