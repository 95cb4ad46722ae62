"""``agentloop train``: a method on a model, from rollouts or from a run's log, with its proof."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentloop.commands import telling
from agentloop.commands.building import Wanted, parts, read_tasks, write_json
from agentloop.errors import BadInput
from agentloop.models import ChatModel
from agentloop.run import Run
from agentloop.training import (
    BY_TRL,
    PUBLISHED,
    TINY,
    Practice,
    Recipe,
    Settings,
    Training,
    recipe_for,
    train,
)
from agentloop.training.forecast import forecast


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of a training."""

    method: str
    out: Path
    tasks: str | None = None
    """Tasks to practise on: a file, or ``tiny:train``."""
    data: Path | None = None
    """Folder of a run whose log is trained on."""
    count: int | None = None
    held_out: str | None = None
    """Tasks to measure on, before and after."""
    held_out_count: int | None = None
    recipe: str | None = None
    """``published`` or ``tiny``; None is ``tiny`` for local/tiny."""
    sampler: str | None = None
    """A served model that draws the rollouts in place of the weights in training."""
    resume: bool = False
    dry: bool = False
    as_json: bool = False


def run(asked: Asked, wanted: Wanted, settings: Settings) -> None:
    """Train, or with ``--dry-run`` say what it would take."""
    _check(asked)
    tasks = read_tasks(asked.tasks, count=asked.count) if asked.tasks else []
    held_out = read_tasks(asked.held_out, count=asked.held_out_count) if asked.held_out else []
    if asked.method in BY_TRL and asked.data is not None:
        _trl(asked, wanted, settings, held_out)
        return
    recipe = _recipe(asked, wanted).with_changes(
        learning_rate=settings.learning_rate,
        tasks=settings.tasks,
        samples=settings.samples,
        updates=settings.updates,
    )
    if asked.dry:
        _tell_forecast(asked, wanted, recipe, settings)
        return
    # the address is the sampler's: the weights in training are on this machine
    own = replace(wanted, api_base=None) if asked.sampler else wanted
    built = parts(own, [*tasks, *held_out]) if tasks or held_out else None
    practice = _practice(built, wanted, tasks, sampler=asked.sampler)
    with telling.steps(recipe.method) as progress:
        done = train(
            recipe,
            model=wanted.model,
            out=asked.out,
            practice=practice,
            log=Run(asked.data).trajectories if asked.data else None,
            held_out=_practice(built, wanted, held_out),
            settings=settings,
            resume=asked.resume,
            progress=progress,
        )
    _tell(done, asked)


def publishing(command: str | None) -> Callable[[Path], object] | None:
    """What runs ``command`` with a folder of weights as its last argument; a command that fails ends all."""
    if command is None:
        return None

    def publish(folder: Path) -> None:
        done = subprocess.run([*shlex.split(command), str(folder)], check=False)
        if done.returncode:
            raise BadInput(f"--publish {command!r} ended with status {done.returncode}; the training stopped")

    return publish


def _check(asked: Asked) -> None:
    if asked.method not in BY_TRL:
        recipe_for(asked.method)
    if (asked.tasks is None) == (asked.data is None):
        raise BadInput("give either --tasks, to practise on, or --data, the folder of a run to learn from")
    if asked.method not in PUBLISHED and asked.data is None:
        raise BadInput(
            f"{asked.method} is trained by TRL on a log; give --data with the folder of a run "
            "(agentloop run writes one)"
        )
    if asked.recipe not in (None, "published", "tiny"):
        raise BadInput(f"--recipe must be published or tiny, got {asked.recipe!r}")
    if asked.recipe == "tiny" and asked.method not in TINY:
        raise BadInput(
            f"{asked.method} has no recipe for the embedded model; it has one for {', '.join(TINY)}"
        )


def _recipe(asked: Asked, wanted: Wanted) -> Recipe:
    tiny = asked.recipe == "tiny" or (asked.recipe is None and wanted.model == "local/tiny")
    return recipe_for(asked.method, tiny=tiny)


def _practice(built: Any, wanted: Wanted, tasks: list[Any], *, sampler: str | None = None) -> Practice | None:
    if built is None or not tasks:
        return None
    served = None
    if sampler is not None:
        served = ChatModel(
            sampler,
            api_base=wanted.api_base,
            temperature=wanted.temperature,
            max_tokens=wanted.max_tokens,
            logprobs=True,
        )

    def agent(*, model: Any, attempts: int, reflect: Any) -> Any:
        return replace(built, model=served or model).agent(
            replace(wanted, reflect=reflect is not None), attempts=attempts, stop=()
        )

    return Practice(agent=agent, tasks=tasks, grader=built.grader)


def _trl(asked: Asked, wanted: Wanted, settings: Settings, held_out: list[Any]) -> None:
    if asked.dry:
        raise BadInput(f"{asked.method} is trained by TRL, which has no --dry-run; leave it out")
    from agentloop.training.with_trl import train_with_trl

    assert asked.data is not None
    built = parts(wanted, held_out) if held_out else None
    with telling.steps(asked.method) as progress:
        done = train_with_trl(
            asked.method,
            model=wanted.model,
            log=Run(asked.data).trajectories,
            out=asked.out,
            held_out=_practice(built, wanted, held_out),
            settings=settings,
            resume=asked.resume,
            progress=progress,
        )
    _tell(done, asked)


def _tell_forecast(asked: Asked, wanted: Wanted, recipe: Recipe, settings: Settings) -> None:
    expected = forecast(wanted.model, recipe, settings, steps=settings.steps or 20)
    if asked.as_json:
        write_json({"method": recipe.method, "learning_rate": recipe.learning_rate, **expected.to_dict()})
    else:
        telling.tell(f"{recipe.method} at learning rate {recipe.learning_rate:g} ({recipe.source})")
        telling.tell(expected.summary())


def _tell(done: Training, asked: Asked) -> None:
    if asked.as_json:
        write_json(done.to_dict())
        return
    telling.tell(done.summary())
    telling.tell(f"  use it: agentloop run --model local/{done.checkpoint} ...")
