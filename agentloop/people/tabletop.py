"""A person at the table who knows the house: watches each action and says in words what is wrong with it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.people.tabletop_words import HELD_OUT, KNOWN, PLAN, Meaning
from agentloop.types import Feedback
from agentloop.watching import Moment

Phrasings: TypeAlias = Literal["known", "held_out", "all"]

A_BIT = 0.02
"""What "a bit" stands for, at most, in metres."""

_SIDES: Mapping[str, tuple[Meaning, Meaning]] = {
    "x": ("right", "left"),
    "y": ("forward", "back"),
    "turn": ("turn", "turn_back"),
    "distance": ("further", "less_far"),
    "up": ("lift", "lift"),
}


class Said(NamedTuple):
    """A correction: what it means, and the words."""

    meaning: Meaning
    text: str


class TabletopPerson:
    """Interrupts with one sentence at a time; needs the hidden facts of ``TabletopEnvironment``.

    Errors of the plan are named before those of the skill. Lengths are judged by eye: up to ``misjudged`` of
    each too long or too short, to the centimetre; ``A_BIT`` or less is "a bit". The phrasing is drawn, and
    another one is used when it did not help. The same moment always brings the same words.
    """

    sees_hidden = True

    def __init__(self, *, seed: int = 0, phrasings: Phrasings = "all", misjudged: float = 0.3) -> None:
        if phrasings not in get_args(Phrasings):
            raise BadInput(f"phrasings must be one of {', '.join(get_args(Phrasings))}, got {phrasings!r}")
        if not 0 <= misjudged < 1:
            raise BadInput(f"misjudged must be a share from 0 to less than 1, got {misjudged}")
        self.phrasings: Phrasings = phrasings
        self.seed, self.misjudged = seed, misjudged

    def __call__(self, moment: Moment) -> Feedback | None:
        """What is said at this moment."""
        said = self.say(moment)
        if said is None:
            return None
        level: Literal["plan", "skill"] = "plan" if said.meaning in PLAN else "skill"
        items: dict[str, str] = {"meaning": said.meaning}
        return Feedback(
            text=said.text, verdict="fail", kind="correction", source="person", level=level, items=items
        )

    def say(self, moment: Moment) -> Said | None:
        """The correction with its meaning; None where nothing is wrong."""
        told = next((fact.data for fact in moment.facts if fact.kind == "table"), None)
        if told is None:
            raise BadInput("the person at the table needs the hidden fact 'table' of TabletopEnvironment")
        meaning = _of_plan(told, moment) or _of_skill(told)
        if meaning is None:
            return None
        draw = random.Random(f"{self.seed} {moment.task.id} {moment.corrections}")
        return Said(meaning, self._words(meaning, told, draw, moment))

    def _words(self, meaning: Meaning, told: Mapping[str, Any], draw: random.Random, moment: Moment) -> str:
        texts = phrasings_of(meaning, self.phrasings)
        first = random.Random(f"{self.seed} {moment.task.id} {meaning}").randrange(len(texts))
        text = texts[(first + moment.corrections) % len(texts)]
        off = next(iter(told["off"].items()), ("", 0.0))
        length = self._length(abs(off[1]), draw, exactly=off[0] == "up")
        return text.format(
            held=told["held"].split()[-1] if told["held"] else "thing",
            kind=told["wanted"].split()[-1],
            place=told["into"].split()[-1],
            wanted=told["wanted"],
            into=told["into"],
            angle=f"{abs(off[1]):.0f}",
            length=length,
            Length=length.capitalize(),
        )

    def _length(self, metres: float, draw: random.Random, *, exactly: bool) -> str:
        if exactly:
            return f"{metres * 100:.0f} cm"
        if metres <= A_BIT:
            return "a bit"
        seen = metres * (1 + draw.uniform(-self.misjudged, self.misjudged))
        return f"{max(1.0, seen * 100):.0f} cm"


def phrasings_of(meaning: Meaning, which: Phrasings = "all") -> tuple[str, ...]:
    """The phrasings of a meaning: those a model was written with, those held out, or all."""
    known = KNOWN[meaning] if which != "held_out" else ()
    return known + (HELD_OUT[meaning] if which != "known" else ())


def _of_plan(told: Mapping[str, Any], moment: Moment) -> Meaning | None:
    """What is wrong with the plan: the order, a step that lacks or is too many, the wrong object."""
    if told["held"] and told["held"] != told["wanted"] and told["skill"] == "pick":
        return "own" if told["owned"] else "wrong_object"
    by_reason: dict[str, Meaning] = {
        "closed": "open_first",
        "hand": "empty_hand",
        "latched": "latch",
        "no_latch": "no_latch",
        "empty": "unfinished",
    }
    if told["why"] in by_reason and not (told["why"] == "empty" and told["lies"]):
        return by_reason[told["why"]]
    way_off = told["why"] not in ("", "empty") or told["skill"] == "move"
    if not moment.last or way_off or told["reached"]:
        return None
    return "close" if told["lies"] else "unfinished"


def _of_skill(told: Mapping[str, Any]) -> Meaning | None:
    """What is wrong with how a step was done: one thing at a time."""
    if told["off"]:
        name, difference = next(iter(told["off"].items()))
        return _SIDES[name][difference < 0]
    if told["why"] in ("slipped", "malformed", "no_such", "not_found"):
        return "again"
    return "go_on" if told["skill"] == "move" else None
