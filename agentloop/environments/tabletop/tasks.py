"""Tasks at the table in rounds: the same house throughout, other things and words every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from agentloop.environments.tabletop.photos import photo_of
from agentloop.environments.tabletop.table import BOX, CONTAINERS, DRAWER, MAKES, Table, Thing
from agentloop.errors import BadInput
from agentloop.types import Task

FAMILIES = ("drawer", "box", "mine")
"""Put a thing into a drawer; into a box; put somebody's own thing away, with another like it beside it."""

TASKS_A_ROUND = 6
"""Two of each family."""

SLIPS = 0.03
"""The share of tables at which the first right grasp slips, which no memory can prevent."""

_WORDS = (
    "Put {thing} into the {place}.",
    "Please place {thing} in the {place}.",
    "{Thing} should go into the {place}.",
)


class House(NamedTuple):
    """How each make of each kind is to be handled in one house, and which ones are the person's own."""

    handling: dict[tuple[str, str], Thing]
    own: dict[str, str]


def tabletop_tasks(
    number: int, *, seed: int = 0, count: int = TASKS_A_ROUND, families: Sequence[str] = FAMILIES
) -> list[Task]:
    """The tasks of round ``number`` in the house of ``seed``, the same for the same numbers.

    Which things stand on the table, their marks, photos and the words are drawn anew for each task.
    """
    if number < 0 or count < 1:
        raise BadInput(f"number must be at least 0 and count at least 1, got {number} and {count}")
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families:
        raise BadInput(f"families must be some of {', '.join(FAMILIES)}, got {list(families)}")
    house = house_of(seed)
    return [
        _task(
            f"tabletop-{seed}-{number}-{place}", house, families[place % len(families)], round_number=number
        )
        for place in range(count)
    ]


def house_of(seed: int) -> House:
    """The house of a seed."""
    draw = random.Random(f"tabletop house {seed}")
    handling = {}
    for kind, makes in MAKES.items():
        latched = draw.choice(makes) if kind == DRAWER else ""
        for make in makes:
            handling[kind, make] = Thing(
                mark=1,
                kind=kind,
                make=make,
                photo=photo_of(make, draw),
                needs=_needs(kind, draw),
                latched=make == latched,
                rim=draw.choice((0.08, 0.12, 0.16)) if kind == BOX else 0.0,
            )
    own = {kind: draw.choice(makes) for kind, makes in MAKES.items() if kind not in CONTAINERS}
    return House(handling, own)


def _needs(kind: str, draw: random.Random) -> dict[str, dict[str, float]]:
    grasp = {"x": _offset(draw), "y": _offset(draw)}
    if kind == DRAWER:
        pull = {**grasp, "turn": draw.choice((0.0, 90.0)), "distance": draw.randint(14, 28) / 100}
        return {"open": pull, "put": {"x": _offset(draw)}}
    if kind == BOX:
        return {"put": grasp}
    return {"pick": {**grasp, "turn": draw.choice((0.0, 45.0, 90.0))}}


def _offset(draw: random.Random) -> float:
    """Two to seven centimetres to one side."""
    return draw.choice((-1, 1)) * draw.randint(2, 7) / 100


def _task(name: str, house: House, family: str, *, round_number: int) -> Task:
    draw = random.Random(name)
    kind = draw.choice([each for each in MAKES if each not in CONTAINERS])
    place = draw.choice(CONTAINERS) if family == "mine" else family
    makes = draw.sample(MAKES[kind], 2) if family == "mine" else [draw.choice(MAKES[kind])]
    if family == "mine" and house.own[kind] not in makes:
        makes[draw.randrange(2)] = house.own[kind]
    things = [house.handling[kind, make] for make in makes]
    things.append(house.handling[place, draw.choice(MAKES[place])])
    draw.shuffle(things)
    placed = tuple(
        thing.replace(mark=mark, photo=photo_of(thing.make, draw)) for mark, thing in enumerate(things, 1)
    )
    wanted_make = house.own[kind] if family == "mine" else makes[0]
    table = Table(
        things=placed,
        wanted=next(each.mark for each in placed if (each.kind, each.make) == (kind, wanted_make)),
        into=next(each.mark for each in placed if each.kind == place),
        owned=family == "mine",
        slips=draw.random() < SLIPS,
    )
    words = f"{'my' if family == 'mine' else 'the'} {kind}"
    prompt = draw.choice(_WORDS).format(thing=words, Thing=words.capitalize(), place=place)
    return Task(
        id=name,
        prompt=prompt,
        public={"family": family, "round": round_number},
        hidden={"table": table.to_json()},
    )
