"""What stands on a table: things with their looks and the way each wants to be handled."""

from __future__ import annotations

from dataclasses import field

from agentloop.knowledge import Photo
from agentloop.record import Record

DRAWER, BOX = "drawer", "box"
CONTAINERS = (DRAWER, BOX)


class Thing(Record):
    """One object. Lengths are metres from its middle, angles degrees.

    ``needs`` are the parameters with which it can be handled, by skill: ``{"open": {"x": 0.03}}``.
    ``latched``: it opens only after its latch was released. ``rim``: the arm must be that high to reach in.
    """

    mark: int
    kind: str
    make: str
    photo: Photo
    needs: dict[str, dict[str, float]] = field(default_factory=dict)
    latched: bool = False
    rim: float = 0.0

    @property
    def name(self) -> str:
        """What a person calls it who wants to tell it from others of its kind."""
        return f"{self.make} {self.kind}"


class Table(Record):
    """A table and its goal: thing ``wanted`` (a mark) lies in ``into``, which is shut; the hand is empty.

    ``owned``: the task speaks of somebody's own thing. ``slips``: the first right grasp slips.
    """

    things: tuple[Thing, ...]
    wanted: int
    into: int
    owned: bool = False
    slips: bool = False

    def thing(self, mark: int) -> Thing | None:
        """The thing with this mark; None when there is none."""
        return next((each for each in self.things if each.mark == mark), None)

    def named(self, words: str) -> tuple[Thing, ...]:
        """The things that ``words`` fit: the last word is the kind, a make among the others must be right."""
        *looks, kind = words.lower().split() or [""]
        makes = {each.make for each in self.things} & set(looks)
        alike = [each for each in self.things if each.kind == kind]
        unknown = set(looks) & KNOWN_MAKES - makes
        return tuple(each for each in alike if not unknown and (not makes or each.make in makes))


MAKES = {
    DRAWER: ("white", "oak", "blue"),
    BOX: ("red", "green", "grey"),
    "cup": ("black", "yellow", "pink"),
    "spoon": ("steel", "purple", "orange"),
}
"""The makes of each kind; handling and looks go by make."""

KNOWN_MAKES = frozenset(make for makes in MAKES.values() for make in makes)
"""The words for looks that the camera's detector knows."""
