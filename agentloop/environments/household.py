"""A small household in words, after the kind of ALFWorld: find a thing and put it where it is wanted."""

from __future__ import annotations

import random
import re
from typing import Any

from agentloop.environments.reward import reward_fact
from agentloop.errors import BadInput
from agentloop.types import Fact, Step, Task

NOTHING = "Nothing happens."

_PLACES = ("cabinet", "drawer", "shelf", "desk", "armchair", "sidetable", "fridge", "bed")
_CLOSED = ("cabinet", "drawer", "fridge")
_THINGS = ("mug", "book", "apple", "pen", "vase", "keychain", "candle", "plate", "watch", "cloth")
_TAKE = re.compile(r"take (.+) from (.+)")
_PUT = re.compile(r"put (.+) (?:in/on|in|on) (.+)")


class HouseholdEnvironment:
    """Lets an agent walk about a household and carry things, a line an action.

    The actions: ``go to PLACE``, ``open PLACE``, ``close PLACE``, ``take THING from PLACE``,
    ``put THING in/on PLACE``, ``look``, ``inventory``. Anything else, and what is not possible now, brings
    "Nothing happens.". The episode is done when the thing is where it is wanted, and never otherwise, so
    being done is success::

        agent = reflexion_acting_agent(
            model=model, environment=HouseholdEnvironment(), oracle=episode_is_done
        )
        improve(agent, household_tasks(20), grader=reward_passes)
    """

    def __call__(self, task: Task) -> HouseholdSession:
        """Open a session; BadInput when the task describes no household."""
        return HouseholdSession(task)


class HouseholdSession:
    """One household as it is changed; ``household_tasks`` says where its things are in the beginning."""

    def __init__(self, task: Task) -> None:
        given = task.public.get("household")
        if not isinstance(given, dict) or not {"places", "thing", "goal"} <= set(given):
            raise BadInput(
                f"task {task.id!r}: public.household must hold places, thing and goal; see household_tasks"
            )
        self._task = task
        self._holds: dict[str, list[str]] = {name: list(things) for name, things in given["places"].items()}
        self._shut = {name for name in self._holds if name.split()[0] in _CLOSED}
        self._thing, self._goal = str(given["thing"]), str(given["goal"])
        self._at = ""
        self._carried: str | None = None

    def prompt(self) -> str:
        """The places and the task; where the things are is to be found out."""
        seen = ", ".join(f"a {name}" for name in self._holds)
        return f"You are in the middle of a room. Looking around you, you see {seen}.\n{self._task.prompt}"

    def step(self, action: str, /) -> Step:
        """Carry out one action."""
        observed = self._carry_out(" ".join(action.lower().split()))
        return Step(action=action, observation=observed, facts=self.final(), done=self._won())

    def final(self) -> tuple[Fact, ...]:
        """Whether the goal is reached, as a reward."""
        won = self._won()
        return (reward_fact(float(won), total=float(won), done=won, passed=won),)

    def close(self) -> None:
        """Nothing is held."""

    def _won(self) -> bool:
        return self._thing in self._holds.get(self._goal, ())

    def _carry_out(self, action: str) -> str:
        verb, _, rest = action.partition(" ")
        if action == "look":
            return self._look()
        if action == "inventory":
            return f"You carry {f'a {self._carried}' if self._carried else 'nothing'}."
        if verb == "go":
            return self._go(rest.removeprefix("to "))
        if verb in ("open", "close") and rest == self._at:
            return self._open(opened=verb == "open")
        for pattern, carry in ((_TAKE, self._take), (_PUT, self._put)):
            found = pattern.fullmatch(action)
            if found:
                return carry(*found.groups())
        return NOTHING

    def _go(self, place: str) -> str:
        if place not in self._holds or place == self._at:
            return NOTHING
        self._at = place
        return self._look()

    def _look(self) -> str:
        if not self._at:
            return "You are in the middle of the room."
        if self._at in self._shut:
            return f"You are at {self._at}. It is closed."
        held = ", ".join(f"a {thing}" for thing in self._holds[self._at])
        return f"You are at {self._at}. On it you see {held or 'nothing'}."

    def _open(self, *, opened: bool) -> str:
        if not opened and self._at.split()[0] in _CLOSED:
            self._shut.add(self._at)
            return f"You close {self._at}."
        if self._at not in self._shut:
            return NOTHING
        self._shut.discard(self._at)
        return f"You open {self._at}. {self._look().partition('. ')[2]}"

    def _take(self, thing: str, place: str) -> str:
        reachable = place == self._at and place not in self._shut
        if not reachable or self._carried or thing not in self._holds[place]:
            return NOTHING
        self._holds[place].remove(thing)
        self._carried = thing
        return f"You take {thing} from {place}."

    def _put(self, thing: str, place: str) -> str:
        if place != self._at or place in self._shut or self._carried != thing:
            return NOTHING
        self._holds[place].append(thing)
        self._carried = None
        return f"You put {thing} in/on {place}."


def household_tasks(count: int = 20, seed: int = 0) -> list[Task]:
    """``count`` households, the same ones for the same seed; a task is set by its place in the list."""
    if count < 0:
        raise BadInput(f"count must not be negative, got {count}")
    return [_task(f"household-{seed}-{number}") for number in range(count)]


def _task(name: str) -> Task:
    draw = random.Random(name)
    places: dict[str, Any] = {f"{kind} {number}": [] for kind in draw.sample(_PLACES, 5) for number in (1, 2)}
    things = [f"{kind} 1" for kind in draw.sample(_THINGS, 6)]
    for thing in things:
        places[draw.choice(list(places))].append(thing)
    thing = draw.choice(things)
    goal = draw.choice([place for place, held in places.items() if thing not in held])
    return Task(
        id=name,
        prompt=f"Your task is to put {thing} in/on {goal}.",
        public={"household": {"places": places, "thing": thing, "goal": goal}},
    )
