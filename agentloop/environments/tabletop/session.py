"""One attempt at a table: what each skill brings about, and what can be seen of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from agentloop.environments.tabletop.skills import Call, Unreadable, read_action
from agentloop.environments.tabletop.table import CONTAINERS, DRAWER, Table, Thing
from agentloop.errors import BadInput
from agentloop.types import Attempt, Fact, Step, Task

NEAR = 0.011
"""How far off, in metres, a grasp may be."""

NEAR_DEGREES = 10.0
"""How far off, in degrees, a hand may be turned."""


class TabletopEnvironment:
    """Opens the table that a task of ``tabletop_tasks`` describes. Nothing is random while a task is done."""

    async_sessions = True

    def __call__(self, task: Task) -> TabletopSession:
        """Open a session for one attempt."""
        if "table" not in task.hidden:
            raise BadInput(f"task {task.id!r} has no table; take tasks from tabletop_tasks()")
        return TabletopSession(Table.from_json(str(task.hidden["table"])))


class Outcome(NamedTuple):
    """What a skill brought: words for everyone; why it failed and by how much, for those who may know."""

    said: str
    why: str = ""
    off: dict[str, float] = {}  # noqa: RUF012 - never changed
    found: tuple[Thing, ...] | None = None


class TabletopSession:
    """A table while somebody works at it. An action is one or more calls, a line each (``skills.SKILLS``).

    They are carried out in order until one fails. The fact ``found`` lists what ``find`` saw, with photos;
    the hidden fact ``table`` tells why an action failed and how far off it was, for a person who watches.
    """

    instructions = "droc_tabletop"

    def __init__(self, table: Table) -> None:
        self.table = table
        self.held = 0
        self.arm = 0.0
        self.inside: dict[int, int] = {}
        self.opened: set[int] = set()
        self.released: set[int] = set()
        self.slipped = False

    def prompt(self) -> str:
        """What the robot sees first."""
        things = ", ".join(f"a {each.kind}" for each in self.table.things)
        return f"On the table: {things}. Drawers are closed, the hand is empty."

    def step(self, action: str, /) -> Step:
        """Carry out one action."""
        try:
            calls = read_action(action)
        except Unreadable as error:
            malformed = Fact(kind="malformed_action", data={"text": action[:200], "message": str(error)})
            told = self._fact(Outcome(str(error), "malformed"), "")
            return Step(action=action, observation=f"Nothing was done: {error}.", facts=(malformed, told))
        said, outcome = [], Outcome("")
        for call in calls:
            outcome = getattr(self, f"_{call.skill}")(call)
            said.append(outcome.said)
            if outcome.why:
                break
        facts = [self._fact(outcome, calls[len(said) - 1].skill)]
        if outcome.found is not None:
            facts.insert(0, _found(outcome.found))
        return Step(action=action, observation=" ".join(said), facts=tuple(facts))

    def snapshot(self) -> Any:
        """The state as JSON values."""
        return {
            "held": self.held,
            "arm": self.arm,
            "inside": sorted(self.inside.items()),
            "opened": sorted(self.opened),
            "released": sorted(self.released),
            "slipped": self.slipped,
        }

    def restore(self, state: Any, /) -> None:
        """Take up a state that ``snapshot`` gave."""
        self.held, self.arm, self.slipped = state["held"], state["arm"], state["slipped"]
        self.inside = {mark: place for mark, place in state["inside"]}
        self.opened, self.released = set(state["opened"]), set(state["released"])

    def close(self) -> None:
        """Nothing is kept."""

    def _find(self, call: Call) -> Outcome:
        found = self.table.named(str(call.given.get("words", "")))
        seen = ", ".join(f"[{each.mark}] {each.kind}" for each in found)
        return Outcome(f"Seen: {seen or 'nothing of that name'}.", "" if found else "not_found", found=found)

    def _move(self, call: Call) -> Outcome:
        self.arm = round(self.arm + float(call.given.get("up", 0.0)), 3)
        return Outcome(f"The arm is {round(self.arm * 100)} cm up.")

    def _pick(self, call: Call) -> Outcome:
        thing = self.table.thing(call.mark)
        if thing is None or thing.kind in CONTAINERS:
            return Outcome("There is nothing there to pick up.", "no_such")
        if self.held:
            return Outcome("The hand is full.", "hand")
        off = _off(thing, call)
        if off:
            return Outcome(f"The gripper closed beside the {thing.kind}.", "missed", off)
        if self.table.slips and not self.slipped:
            self.slipped = True
            return Outcome(f"The {thing.kind} slipped out of the gripper.", "slipped")
        self.held = thing.mark
        self.inside.pop(thing.mark, None)
        return Outcome(f"The {thing.kind} is in the hand.")

    def _open(self, call: Call) -> Outcome:
        drawer = self._drawer(call)
        if drawer is None:
            return Outcome("That is no drawer.", "no_such")
        if self.held:
            return Outcome("The hand is full.", "hand")
        if drawer.latched and drawer.mark not in self.released:
            return Outcome("The drawer does not move.", "latched")
        off = _off(drawer, call)
        if set(off) - {"distance"}:
            return Outcome("The gripper closed beside the handle.", "missed", off)
        if off:
            return Outcome("The drawer is not open as it should be.", "missed", off)
        self.opened.add(drawer.mark)
        return Outcome("The drawer is open.")

    def _close(self, call: Call) -> Outcome:
        drawer = self._drawer(call)
        if drawer is None:
            return Outcome("That is no drawer.", "no_such")
        self.opened.discard(drawer.mark)
        return Outcome("The drawer is closed.")

    def _release(self, call: Call) -> Outcome:
        drawer = self._drawer(call)
        if drawer is None or not drawer.latched:
            return Outcome("There is no latch.", "no_latch")
        self.released.add(drawer.mark)
        return Outcome("The latch is released.")

    def _put(self, call: Call) -> Outcome:
        place = self.table.thing(call.mark)
        if not self.held:
            return Outcome("The hand is empty.", "empty")
        if call.mark == 0:
            return self._laid(0, "The hand laid it on the table.")
        if place is None or place.kind not in CONTAINERS:
            return Outcome("Nothing can be put in there.", "no_such")
        if place.kind == DRAWER and place.mark not in self.opened:
            return Outcome("The drawer is closed.", "closed")
        if self.arm < place.rim - NEAR:
            return Outcome("The arm hit the rim.", "rim", {"up": round(place.rim - self.arm, 3)})
        off = _off(place, call)
        if off:
            return Outcome(f"It would have fallen beside the {place.kind}.", "missed", off)
        return self._laid(place.mark, f"It lies in the {place.kind}.")

    def _laid(self, place: int, said: str) -> Outcome:
        self.inside[self.held] = place
        self.held, self.arm = 0, 0.0
        return Outcome(said)

    def _drawer(self, call: Call) -> Thing | None:
        thing = self.table.thing(call.mark)
        return thing if thing is not None and thing.kind == DRAWER else None

    def _fact(self, outcome: Outcome, skill: str) -> Fact:
        """What a person sees who stands beside the table and knows it well."""
        table = self.table
        wanted, into = table.thing(table.wanted), table.thing(table.into)
        assert wanted is not None and into is not None
        in_hand = table.thing(self.held)
        lies = self.inside.get(wanted.mark) == into.mark
        data = {
            "skill": skill,
            "why": outcome.why,
            "off": outcome.off,
            "wanted": wanted.name,
            "into": into.name,
            "owned": table.owned,
            "held": in_hand.name if in_hand else "",
            "lies": lies,
            "left_open": into.mark in self.opened,
            "reached": lies and not self.held and into.mark not in self.opened,
        }
        return Fact(kind="table", data=data, hidden=True)


def tabletop_passes(attempt: Attempt) -> float:
    """A grader: 1.0 when the last thing done left the goal reached."""
    facts = [fact for step in attempt.steps for fact in step.facts] + list(attempt.facts)
    told = [fact.data for fact in facts if fact.kind == "table"]
    return 1.0 if told and told[-1]["reached"] else 0.0


def _off(thing: Thing, call: Call) -> dict[str, float]:
    """What the wanted parameters differ from the given ones by, where that is too much."""
    off = {}
    for name, wanted in thing.needs.get(call.skill, {}).items():
        difference = round(wanted - float(call.given.get(name, 0.0)), 3)
        if abs(difference) > (NEAR_DEGREES if name == "turn" else NEAR):
            off[name] = difference
    return off


def _found(things: tuple[Thing, ...]) -> Fact:
    seen = [{"mark": each.mark, "name": each.kind, "photo": each.photo.to_dict()} for each in things]
    return Fact(kind="found", data={"objects": seen})
