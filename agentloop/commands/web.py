"""From what is written on the command line to a web environment and its tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.types import Environment, Grader, Task

OBSERVATIONS = ("axtree", "dom", "text", "screenshot")
STEPS = 15
"""The most actions of one attempt on web pages, unless another number is given."""
SEEDS, GOALS = 10, 100
"""How many tasks there are where none are counted: of each page of MiniWoB++, and of the shop."""
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


def web_environment(observation: str | None, screenshots: Path | None) -> Environment:
    """The environment, its browser started on first use."""
    if observation is not None and observation not in OBSERVATIONS:
        raise BadInput(f"--observation must be one of {', '.join(OBSERVATIONS)}, got {observation!r}")
    from agentloop.environments.web import WebEnvironment

    mode: Any = observation or OBSERVATIONS[0]
    return WebEnvironment(observation=mode, screenshots=screenshots)


def web_grader(tasks: Sequence[Task]) -> Grader | None:
    """Decides by the reward of the site; None for tasks that name an address, of which no site tells."""
    from agentloop.environments.web import web_passes

    asked = [task.public.get("web") for task in tasks]
    graded = sum(isinstance(each, dict) and "site" in each for each in asked)
    if 0 < graded < len(tasks):
        raise BadInput(
            f"{graded} of {len(tasks)} tasks name a site, which tells what was reached, and others do not; "
            "run them apart"
        )
    return web_passes if graded else None


def miniwob_tasks(named: str, count: int | None) -> list[Task]:
    """``NAME[,NAME...][:SEEDS]``, pages of MiniWoB++ with their seeds; ``all`` are all of them."""
    from agentloop.environments import miniwob

    pages, _, seeds = named.partition(":")
    names = miniwob.names() if pages == "all" else pages.split(",")
    return [task for name in names for task in miniwob.tasks(name, seeds_of(seeds))][:count]


def shop_tasks(named: str, count: int | None) -> list[Task]:
    """``SPLIT[:COUNT]``, goals of the shop that comes with the package."""
    from agentloop.environments import shop

    split, _, written = named.partition(":")
    if written and not re.fullmatch(r"[1-9]\d{0,5}", written):
        raise BadInput(f"--tasks shop:{named}: give shop:SPLIT or shop:SPLIT:COUNT, such as shop:dev:20")
    number = int(written) if written else count or GOALS
    return shop.tasks(split, number)[:count]  # type: ignore[arg-type]


def seeds_of(written: str) -> list[int]:
    """Seeds as they are written: ``20`` are the first twenty, ``5-9`` a range, ``1,4,7`` those."""
    if not written:
        return list(range(SEEDS))
    if re.fullmatch(r"[1-9]\d{0,5}", written):
        return list(range(int(written)))
    if (found := _RANGE.fullmatch(written)) and int(found[1]) <= int(found[2]):
        return list(range(int(found[1]), int(found[2]) + 1))
    if re.fullmatch(r"\d{1,9}(,\d{1,9})+", written):
        return list(dict.fromkeys(map(int, written.split(","))))
    raise BadInput(
        f"seeds must be a number of them, a range or a list, such as 20, 5-9 or 1,4,7; got {written!r}"
    )


TASKS_OF_WEB: Mapping[str, Callable[[str, int | None], list[Task]]] = {
    "miniwob": miniwob_tasks,
    "shop": shop_tasks,
}
"""How the tasks of web pages are read that a name with a colon asks for."""
