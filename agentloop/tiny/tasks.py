"""The tasks: questions of several houses about small tables, the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from agentloop.errors import BadInput
from agentloop.tiny.drawing import draw_form, draw_senses, draw_sparse_senses
from agentloop.tiny.families import FAMILIES, Family, family
from agentloop.tiny.form import Form
from agentloop.tiny.houses import HOUSES, POSSIBLE, House, house, usual_reading
from agentloop.tiny.tables import Filled, draw_table, fill
from agentloop.tiny.words import SHARES, Words
from agentloop.types import Split, Task, digest

BY_CHANCE = 0.15
"""The share of a vague word's other readings that may give the right rows by accident."""

_TRIES = 4


def tasks(
    split: Split = "dev",
    count: int = 100,
    seed: int = 0,
    *,
    houses: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    sparse: bool = False,
) -> list[Task]:
    """``count`` tasks of a split; by default of all houses, over the families of training.

    ``sparse`` tasks hold a threshold word or two vague words, none of which the house reads in the
    usual way, so that guessing seldom helps. No two splits share a value of a table. A task is set
    by its place, so the first ten of a hundred are the ten.
    """
    if split not in SHARES:
        raise BadInput(f"no split named {split!r}; known: {', '.join(SHARES)}")
    if count < 0:
        raise BadInput(f"count must not be negative, got {count}")
    asking = [house(name) for name in houses] if houses is not None else list(HOUSES)
    kinds = [family(name) for name in families] if families is not None else list(FAMILIES)
    if not asking or not kinds:
        raise BadInput("houses and families must not be empty; leave them out for all of them")
    name = digest(split, str(seed), str(sparse), *(one.name for one in asking), *(one.table for one in kinds))
    return [_task(f"tiny-{split}-{name[:8]}-{index}", split, asking, kinds, sparse) for index in range(count)]


class _Made(NamedTuple):
    """A question that was tried on two fillings of its table."""

    form: Form
    scripts: tuple[str, str]


def _task(name: str, split: Split, houses: Sequence[House], families: Sequence[Family], sparse: bool) -> Task:
    draw = random.Random(name)
    kind, asker = draw.choice(families), draw.choice(houses)
    made = None
    while made is None:
        made = _attempt(draw, split, kind, asker, sparse)
    form, (script, other) = made
    return Task(
        id=name,
        prompt=form.question(),
        public={"script": script, "house": asker.name, "family": kind.table},
        hidden={"query": form.query.sql(), "scripts": [other], "form": form.to_json()},
        split=split,
    )


def _attempt(draw: random.Random, split: Split, kind: Family, asker: House, sparse: bool) -> _Made | None:
    """A question whose rows tell its readings apart; None when a table gave none."""
    words = Words(draw, share=split)
    table = draw_table(draw, kind, words)
    senses = draw_sparse_senses(draw) if sparse else draw_senses(draw)
    scripts = (fill(draw, table, words), fill(draw, table, words))
    with closing(Filled(scripts[0])) as first, closing(Filled(scripts[1])) as second:
        for _ in range(_TRIES):
            form = draw_form(draw, table, asker, senses=senses)
            if _fit(form, (first, second), sparse):
                return _Made(form, scripts)
    return None


def _fit(form: Form, fillings: tuple[Filled, Filled], sparse: bool) -> bool:
    """Whether the answer has rows, and other readings of the vague words have others."""
    wanted = [filling.rows(form.query.sql()) for filling in fillings]
    if any(not rows or rows[0][0] in (None, 0) for rows in wanted):
        return False
    for slot, word in form.words.items():
        meant = form.reading(slot)
        if sparse and meant == usual_reading(word):
            return False
        others = [reading for reading in POSSIBLE[form.sense(slot)] if reading != meant]
        queries = {reading: form.reread(slot, reading).sql() for reading in others}
        lucky = [
            reading
            for reading, sql in queries.items()
            if [filling.rows(sql) for filling in fillings] == wanted
        ]
        if usual_reading(word) in lucky or len(lucky) > (0 if sparse else BY_CHANCE * len(others)):
            return False
    return True
