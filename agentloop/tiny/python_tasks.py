"""Tasks of short Python functions, asked by the houses; the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentloop.errors import BadInput
from agentloop.tiny.drawing import draw_senses, draw_sparse_senses
from agentloop.tiny.families import FAMILIES, Family, family
from agentloop.tiny.houses import HOUSES, POSSIBLE, House, Sense, house, usual_reading
from agentloop.tiny.python_drawing import Asked, assertion, draw_function, example, senses_fit
from agentloop.tiny.python_program import program
from agentloop.tiny.python_subjects import PYTHON_WORDS, draw_subject, fill
from agentloop.tiny.python_values import FAILED, value
from agentloop.tiny.tasks import BY_CHANCE
from agentloop.tiny.words import SHARES, Words
from agentloop.types import Split, Task, digest

HIDDEN = 3
"""How many hidden tests a task has."""

ITEMS = (14, 20)
_TRIES = 4


def python_tasks(
    split: Split = "dev",
    count: int = 100,
    seed: int = 0,
    *,
    houses: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    sparse: bool = False,
) -> list[Task]:
    """``count`` tasks for a CodeEnvironment; houses, families, splits and ``sparse`` are as in ``tasks``.

    The prompt holds a signature, a sentence and one example, which is the public test. The example
    passes under the usual readings as well as under the house's own; the hidden tests tell them apart.
    """
    if split not in SHARES:
        raise BadInput(f"no split named {split!r}; known: {', '.join(SHARES)}")
    if count < 0:
        raise BadInput(f"count must not be negative, got {count}")
    asking = [house(name) for name in houses] if houses is not None else list(HOUSES)
    kinds = [family(name) for name in families] if families is not None else list(FAMILIES)
    if not asking or not kinds:
        raise BadInput("houses and families must not be empty; leave them out for all of them")
    name = digest(
        "python", split, str(seed), str(sparse), *(one.name for one in asking), *(one.table for one in kinds)
    )
    return [
        _task(f"tinypy-{split}-{name[:8]}-{index}", split, asking, kinds, sparse) for index in range(count)
    ]


class _Made(NamedTuple):
    """A function that is asked for, and the lists that tell its readings apart."""

    asked: Asked
    lists: tuple[list[Any], ...]


def _task(name: str, split: Split, houses: Sequence[House], families: Sequence[Family], sparse: bool) -> Task:
    draw = random.Random(name)
    kind, asker = draw.choice(families), draw.choice(houses)
    senses = draw_sparse_senses(draw) if sparse else draw_senses(draw)
    made = None
    while made is None:
        made = _attempt(draw, split, kind, asker, senses)
        if made is not None and not fits(made.asked, made.lists, sparse=sparse):
            made = None
    asked, lists = made
    query = asked.form.query
    hidden = [assertion(asked.name, items, value(query, items)) for items in lists]
    return Task(
        id=name,
        prompt=asked.prompt(),
        public={
            "entry_point": asked.name,
            "tests": [asked.example],
            "house": asker.name,
            "family": kind.table,
        },
        hidden={
            "tests": "\n".join(hidden),
            "solution": program(asked.name, query),
            "form": asked.form.to_json(),
        },
        split=split,
    )


def _attempt(
    draw: random.Random, split: Split, kind: Family, asker: House, senses: Sequence[Sense]
) -> _Made | None:
    words = Words(draw, share=split, taken=set(PYTHON_WORDS))
    subject = draw_subject(draw, kind, words)
    if not senses_fit(subject, senses):
        return None
    name = words.next()
    lists = tuple(fill(draw, subject, draw.randint(*ITEMS), new_word=words.next) for _ in range(HIDDEN))
    for _ in range(_TRIES):
        form = draw_function(draw, subject, asker, senses=senses)
        shown = example(draw, subject, form, name=name, new_word=words.next)
        if shown is not None:
            return _Made(Asked(name, subject, form, shown), lists)
    return None


def fits(asked: Asked, lists: Sequence[Sequence[Any]], *, sparse: bool) -> bool:
    """Whether the function gives something for each list, and other readings give something else."""
    form, wanted = asked.form, [_tried(asked.form.query, items) for items in lists]
    if any(not each for each in wanted):
        return False
    for slot, word in form.words.items():
        meant = form.reading(slot)
        if sparse and meant == usual_reading(word):
            return False
        others = [reading for reading in POSSIBLE[form.sense(slot)] if reading != meant]
        lucky = [
            reading
            for reading in others
            if [_tried(form.reread(slot, reading), items) for items in lists] == wanted
        ]
        if usual_reading(word) in lucky or len(lucky) > (0 if sparse else BY_CHANCE * len(others)):
            return False
    return True


def _tried(query: Any, items: Sequence[Any]) -> Any:
    """What the query gives; None where it raises."""
    try:
        return value(query, items)
    except FAILED:
        return None
