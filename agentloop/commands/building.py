"""From what is written on the command line to the parts of an agent."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentloop.critics import ModelCritic, execution_critic
from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match
from agentloop.errors import BadInput
from agentloop.graph import reflect_and_retry
from agentloop.hidden import sees_hidden
from agentloop.memories import CorrectionMemory
from agentloop.models import ChatModel
from agentloop.types import Critic, Environment, Grader, Memory, Model, Task


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    model: str
    environment: str = "sql"
    """``sql``, ``none``, or ``FILE.py:NAME`` for one of your own."""
    database: Path | None = None
    """A SQLite file, or a folder of them; without it each task brings its own script."""
    critic: str = "auto"
    """``auto``, ``execution``, ``tiny``, ``model:NAME``, or ``FILE.py:NAME``; ``auto`` knows the gold."""
    level: str = "explained"
    """How much the execution critic says: ``unary``, ``binary``, ``located``, ``explained``."""
    memory: Path | None = None
    attempts: int = 3
    max_steps: int = 1
    reflect: bool = False
    writes: bool = False
    temperature: float = 1.0
    max_tokens: int = 256
    api_base: str | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of an agent."""

    model: Model
    environment: Environment | None
    critic: Critic
    grader: Grader | None
    memory: Memory | None

    def agent(self, wanted: Wanted, **changes: Any) -> Any:
        """The agent that was asked for."""
        return self.builder(wanted)(
            **{"critic": self.critic, "memory": self.memory, "attempts": wanted.attempts, **changes}
        )

    def builder(self, wanted: Wanted) -> Any:
        """What ``evaluate`` builds its agents with."""
        reflect = self.model if wanted.reflect else None
        return partial(
            reflect_and_retry,
            model=self.model,
            environment=self.environment,
            reflect=reflect,
            max_steps=wanted.max_steps,
        )


def parts(wanted: Wanted, tasks: list[Task]) -> Parts:
    """Build what was asked for; BadInput says what cannot be built."""
    gold = any(task.hidden for task in tasks)
    environment = _environment(wanted)
    return Parts(
        model=_model(wanted.model, wanted),
        environment=environment,
        critic=_critic(wanted, gold=gold),
        grader=result_match if gold and isinstance(environment, SQLEnvironment) else None,
        memory=CorrectionMemory(wanted.memory) if wanted.memory else None,
    )


def read_tasks(named: str, *, count: int | None = None, seed: int = 0) -> list[Task]:
    """Tasks from a JSON Lines file, one Task a line, or the embedded model's: ``tiny:SPLIT[:HOUSE,...]``."""
    if named.startswith("tiny:"):
        from agentloop import tiny

        split, _, houses = named.removeprefix("tiny:").partition(":")
        asked = houses.split(",") if houses else None
        return tiny.tasks(split, count or 100, seed, houses=asked)  # type: ignore[arg-type]
    path = Path(named)
    if not path.is_file():
        raise BadInput(
            f"no tasks at {path}; give a JSON Lines file with one Task a line, or tiny:dev, tiny:test"
        )
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            found.append(_task(line, f"line {number} of {path}"))
    return found[:count] if count else found


def _task(line: str, where: str) -> Task:
    try:
        return Task.from_json(line)
    except ValueError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the line'}: {each['msg']}" for each in _problems(error)
        )
        raise BadInput(
            f"{where} is no Task: {wrong}. A Task has id and prompt, and may have public, hidden and split"
        ) from error


def _problems(error: ValueError) -> list[dict[str, Any]]:
    listed = getattr(error, "errors", None)
    return list(listed()) if listed else [{"loc": (), "msg": str(error)}]


def _model(name: str, wanted: Wanted) -> Model:
    # A million parameters are no work for several threads; they would only wait for one another.
    options: dict[str, Any] = {"threads": 1} if name == "local/tiny" else {}
    return ChatModel(
        name,
        api_base=wanted.api_base,
        temperature=wanted.temperature,
        max_tokens=wanted.max_tokens,
        **options,
    )


def _environment(wanted: Wanted) -> Environment | None:
    if wanted.environment == "none":
        return None
    if wanted.environment == "sql":
        return SQLEnvironment(wanted.database, writes=wanted.writes)
    found: Environment = own(wanted.environment, "--environment", "sql, none")
    return found


def _critic(wanted: Wanted, *, gold: bool) -> Critic:
    name = wanted.critic
    if name in ("auto", "execution"):
        critic = execution_critic(wanted.level)  # type: ignore[arg-type]
        return sees_hidden(critic) if gold and name == "auto" else critic
    if name == "tiny":
        from agentloop import tiny

        return sees_hidden(tiny.critic())
    if name.startswith("model:"):
        return ModelCritic(_model(name.removeprefix("model:"), wanted))
    found: Critic = own(name, "--critic", "auto, execution, tiny, model:NAME")
    return found


def own(named: str, option: str, known: str) -> Any:
    """Load ``FILE.py:NAME`` or ``package.module:NAME``."""
    place, _, name = named.rpartition(":")
    if not place:
        raise BadInput(f"{option} {named!r} is not known; give one of {known}, or FILE.py:NAME")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise BadInput(f"{option}: no file {path}; give FILE.py:NAME with a file that exists")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    if not hasattr(module, name):
        raise BadInput(
            f"{option}: {place} has no {name!r}; it has {', '.join(n for n in vars(module) if n[0] != '_')}"
        )
    return getattr(module, name)


def write_json(value: Any) -> None:
    """Print one JSON object for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + os.linesep)
