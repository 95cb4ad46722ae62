"""Tasks of the shop: goals drawn from a catalogue, in splits that share neither product nor goal."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from functools import cache

from agentloop.environments.shop.catalogue import PER_KIND, Catalogue, Product, catalogue
from agentloop.environments.shop.goal import Goal, Purchase, Wish, money
from agentloop.environments.shop.reward import constraints
from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Split, Task, digest

SHARES: Mapping[Split, int] = {"train": 10, "dev": 3, "test": 3}
"""Products of each kind that a split's goals are drawn from; together all of a kind."""
MOST = 5_000
"""Tasks that a split gives for a seed; every split has more than 15,000 goals."""


def tasks(
    split: Split, count: int, seed: int = 0, *, shop: int = 0, prompts: Prompts | None = None
) -> list[Task]:
    """``count`` tasks of a split; the first ones are the same whatever the count.

    A goal is drawn from a product of its split, and no product of another split meets it. ``shop`` is the
    seed of the catalogue. A task's id tells its goal: the same goal has it under every ``seed``.
    """
    if split not in SHARES:
        raise BadInput(f"split must be one of {', '.join(SHARES)}, got {split!r}")
    if not 0 <= count <= MOST:
        raise BadInput(f"count must be from 0 to {MOST:,}, got {count}; draw more with another seed")
    stock, drawn, texts = catalogue(shop), random.Random(f"{shop} {split} {seed}"), prompts or Prompts()
    own = [stock.products[key] for key in split_products(split, shop)]
    found: dict[str, Task] = {}
    while len(found) < count:
        goal = _goal(drawn.choice(own), drawn)
        if split_of(goal, shop) == split:
            task = _task(goal, stock, split, texts)
            found.setdefault(task.id, task)
    return list(found.values())


@cache
def split_products(split: Split, shop: int = 0) -> tuple[str, ...]:
    """The ids of the products that a split's goals are drawn from."""
    keys = list(catalogue(shop).products)
    before = {"train": 0, "dev": SHARES["train"], "test": SHARES["train"] + SHARES["dev"]}[split]
    chosen: list[str] = []
    for start in range(0, len(keys), PER_KIND):
        kind = keys[start : start + PER_KIND]
        random.Random(f"split {shop} {start}").shuffle(kind)
        chosen += kind[before : before + SHARES[split]]
    return tuple(sorted(chosen))


def split_of(goal: Goal, shop: int = 0) -> Split | None:
    """The split that all products that meet the goal are of; None when there is none such."""
    meeting = {each.id for each in catalogue(shop).products.values() if meets(each, goal)}
    holding: list[Split] = [split for split in SHARES if meeting & set(split_products(split, shop))]
    return holding[0] if len(holding) == 1 else None


def meets(product: Product, goal: Goal) -> bool:
    """Whether the product, with the wanted options chosen as far as it has them, meets every constraint."""
    if product.kind != goal.kind:
        return False
    chosen = {name: value for name, value in goal.options if value in product.options.get(name, ())}
    return all(each.met for each in constraints(goal, Purchase(product, chosen)))


def _goal(product: Product, drawn: random.Random) -> Goal:
    """A goal that the product meets: one or two features, most of the options, some room in the price."""
    features = tuple(sorted(drawn.sample(product.features, drawn.choice([1, 2, 2]))))
    names = [name for name in product.options if drawn.random() < 0.85] or list(product.options)[:1]
    return Goal(
        kind=product.kind,
        path=product.path,
        features=features,
        options=tuple(Wish(name, drawn.choice(product.options[name])) for name in names),
        price_at_most=float(math.ceil(product.price * drawn.uniform(1.0, 1.25))),
    )


def _task(goal: Goal, stock: Catalogue, split: Split, texts: Prompts) -> Task:
    told = goal.to_dict()
    return Task(
        id=f"shop-{stock.name}-{digest(json.dumps(told, sort_keys=True))[:12]}",
        prompt=prompt(goal, texts),
        public={"web": {"site": "shop", "catalogue": stock.name, "goal": told}},
        split=split,
    )


def prompt(goal: Goal, texts: Prompts | None = None) -> str:
    """A goal in words."""
    assert goal.price_at_most is not None, "a goal of our own catalogue has a price"
    return (texts or Prompts()).render(
        "shop_goal",
        kind=f"{'an' if goal.kind[0] in 'aeiou' else 'a'} {goal.kind}",
        department=goal.path[0],
        features=", ".join(goal.features),
        options=", ".join(f"{name} {value}" for name, value in goal.options),
        price=money(goal.price_at_most),
    )
