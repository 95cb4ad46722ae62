"""From what is written on the command line to the parts of an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentloop.commands import web
from agentloop.commands.embedders import embedder
from agentloop.commands.listing import write_json as write_json
from agentloop.commands.loading import own as own
from agentloop.critics import ModelCritic, execution_critic
from agentloop.environments import CodeEnvironment, SQLEnvironment
from agentloop.environments.code import code_passes, code_tasks, humaneval, mbpp, small_tasks
from agentloop.environments.sql import result_match
from agentloop.errors import BadInput
from agentloop.graph import reflect_and_retry
from agentloop.hidden import sees_hidden
from agentloop.learning import Distiller, keep_feedback
from agentloop.memories import CorrectionMemory, EpisodicMemory, Gate, PreferenceMemory, Rent
from agentloop.models import ChatModel
from agentloop.types import Critic, Environment, Grader, Memory, Model, Task


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    model: str
    """``local/tiny``, ``local/PATH``, a LiteLLM name, or ``FILE.py:NAME`` for one of your own."""
    environment: str = "sql"
    """``sql``, ``code``, ``web``, ``none``, or ``FILE.py:NAME`` for one of your own.

    ``code`` asks for strong isolation; ``code:full`` and ``code:any`` ask for more or for any.
    """
    database: Path | None = None
    """A SQLite file, or a folder of them; without it each task brings its own script."""
    critic: str = "auto"
    """``auto``, ``execution``, ``tiny``, ``model:NAME``, or ``FILE.py:NAME``; ``auto`` knows the gold."""
    level: str = "explained"
    """How much the execution critic says: ``unary``, ``binary``, ``located``, ``explained``."""
    memory: Path | None = None
    embedder: str = "hashing"
    """The memory's: ``hashing``, ``minilm:FOLDER``, ``litellm:NAME``, or ``FILE.py:NAME``."""
    hold_out: float | None = None
    """The share of recalls that is withheld, for ``agentloop memory worth`` to tell what each is worth."""
    gate: bool = False
    """Only what has evidence is let into the memory, as a candidate."""
    policy: str = "corrections"
    """How the memory keeps and recalls: ``corrections``, ``preferences`` or ``episodic``."""
    attempts: int = 3
    max_steps: int | None = None
    """None: 1, and more on web pages, where one action seldom reaches a goal."""
    reflect: bool = False
    writes: bool = False
    temperature: float = 1.0
    max_tokens: int = 256
    api_base: str | None = None
    observation: str | None = None
    """Of web pages: ``axtree`` (which None means), ``dom``, ``text`` or ``screenshot``."""
    screenshots: Path | None = None
    """Folder for a picture of the page at every step; a model that sees is shown them from there."""
    sees: bool = False
    """The model sees pictures, whatever LiteLLM knows of it."""

    @property
    def steps(self) -> int:
        """The most actions of one attempt."""
        if self.max_steps is not None:
            return self.max_steps
        return web.STEPS if self.environment == "web" else 1


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
            distil=_distiller(wanted),
            max_steps=wanted.steps,
        )


def parts(wanted: Wanted, tasks: list[Task]) -> Parts:
    """Build what was asked for; BadInput says what cannot be built."""
    gold = any(task.hidden for task in tasks)
    _check_pages(wanted, tasks)
    environment = _environment(wanted)
    model = _model(wanted.model, wanted)
    _check_sight(wanted, model)
    return Parts(
        model=model,
        environment=environment,
        critic=_critic(wanted, gold=gold),
        grader=_grader(wanted, environment, tasks),
        memory=_memory(wanted),
    )


def read_tasks(named: str, *, count: int | None = None, seed: int = 0) -> list[Task]:
    """Tasks from a JSON Lines file, one Task a line, or from a set that has a name.

    ``tiny:SPLIT[:HOUSE,...]`` are the embedded model's, ``code:small`` are small programming tasks that
    come with the package, ``code:PATH``, ``humaneval:PATH`` and ``mbpp:PATH`` read those forms.
    ``miniwob:NAME[,NAME...][:SEEDS]`` and ``shop:SPLIT[:COUNT]`` are tasks on web pages.
    """
    kind, _, path = named.partition(":")
    if kind in web.TASKS_OF_WEB and path:
        return web.TASKS_OF_WEB[kind](path, count)
    if kind in TASKS_OF_CODE and path:
        return TASKS_OF_CODE[kind](path)[:count]
    if named.startswith("tiny:"):
        from agentloop import tiny

        split, _, houses = named.removeprefix("tiny:").partition(":")
        asked = houses.split(",") if houses else None
        return tiny.tasks(split, count or 100, seed, houses=asked)  # type: ignore[arg-type]
    file = Path(named)
    if not file.is_file():
        raise BadInput(
            f"no tasks at {file}; give a JSON Lines file with one Task a line, or one of tiny:dev, "
            "tiny:test, code:small, humaneval:PATH, mbpp:PATH, miniwob:NAME:SEEDS, shop:SPLIT"
        )
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            found.append(_task(line, f"line {number} of {file}"))
    return found[:count] if count else found


def _of_code(name: str) -> list[Task]:
    return small_tasks() if name == "small" else code_tasks(name)


TASKS_OF_CODE: Mapping[str, Callable[[str], list[Task]]] = {
    "code": _of_code,
    "humaneval": humaneval,
    "mbpp": mbpp,
}
"""How the tasks are read that a name with a colon asks for."""


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


def _distiller(wanted: Wanted) -> Distiller:
    """The tiny critic's words have a distiller of their own, which knows the scope of what is said."""
    if wanted.critic != "tiny":
        return keep_feedback
    from agentloop import tiny

    return tiny.house_readings


POLICIES: Mapping[str, Callable[..., Memory]] = {
    "corrections": CorrectionMemory,
    "preferences": PreferenceMemory,
    "episodic": lambda folder, **_: EpisodicMemory(file=folder / "reflections.jsonl"),
}
"""The memories that the command line knows, by the name of their policy."""


def _memory(wanted: Wanted) -> Memory | None:
    if wanted.policy not in POLICIES:
        raise BadInput(f"--policy {wanted.policy!r} is not known; give one of {', '.join(POLICIES)}")
    for option, asked in (("--hold-out", wanted.hold_out is not None), ("--gate", wanted.gate)):
        if asked and (wanted.memory is None or wanted.policy != "corrections"):
            raise BadInput(f"{option} is for a memory of corrections: add --memory, and leave --policy out")
    if wanted.memory is None:
        if wanted.policy != "corrections":
            raise BadInput(f"--policy {wanted.policy} needs a folder to keep things in: add --memory")
        return None
    if wanted.policy == "episodic" and not wanted.reflect:
        raise BadInput("--policy episodic keeps what the agent notes for itself: add --reflect")
    made_by = embedder(wanted.embedder)
    if wanted.policy == "corrections":
        rent = None if wanted.hold_out is None else _rent(wanted.hold_out)
        gate = Gate() if wanted.gate else None
        return CorrectionMemory(wanted.memory, embedder=made_by, rent=rent, gate=gate)
    return POLICIES[wanted.policy](wanted.memory, embedder=made_by)


def _rent(hold_out: float) -> Rent:
    return Rent(hold_out=hold_out, trial=max(hold_out, Rent().trial))


def _model(name: str, wanted: Wanted) -> Model:
    if ".py:" in name:
        found: Model = own(name, "--model", "local/tiny, local/PATH, a LiteLLM name")
        return found
    # A million parameters are no work for several threads; they would only wait for one another.
    options: dict[str, Any] = {"threads": 1} if name == "local/tiny" else {}
    if wanted.screenshots is not None and not name.startswith("local/"):
        options |= {"images": wanted.screenshots, "sees": wanted.sees or None}
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
    if wanted.environment == "web":
        return web.web_environment(wanted.observation, wanted.screenshots)
    if wanted.environment == "sql":
        return SQLEnvironment(wanted.database, writes=wanted.writes)
    kind, _, require = wanted.environment.partition(":")
    if kind == "code":
        if require not in ("", "full", "strong", "any"):
            raise BadInput(
                f"--environment {wanted.environment!r}: give code, code:full, code:strong or code:any"
            )
        return CodeEnvironment(require=require or "strong")  # type: ignore[arg-type]
    found: Environment = own(wanted.environment, "--environment", "sql, code, web, none")
    return found


def _check_pages(wanted: Wanted, tasks: list[Task]) -> None:
    """Refuse options of web pages without any, and tasks on web pages where there are none."""
    if wanted.sees and wanted.screenshots is None:
        raise BadInput("--sees says that the model sees pictures: add --screenshots, or leave it out")
    if wanted.environment == "web":
        return
    for option, value in (("--observation", wanted.observation), ("--screenshots", wanted.screenshots)):
        if value is not None:
            raise BadInput(f"{option} concerns web pages: add --environment web, or leave it out")
    if ":" not in wanted.environment and any("web" in task.public for task in tasks):
        raise BadInput(f"these tasks are on web pages: add --environment web; it is {wanted.environment}")


def _check_sight(wanted: Wanted, model: Model) -> None:
    """Refuse pictures alone for a model that does not see; of one of your own that is for you to know."""
    if wanted.observation != "screenshot" or ".py:" in wanted.model or getattr(model, "sees", False):
        return
    raise BadInput(
        f"--observation screenshot needs a model that sees, and {wanted.model} is not known to; "
        "say so with --sees, or take axtree, dom or text"
    )


def _grader(wanted: Wanted, environment: Environment | None, tasks: list[Task]) -> Grader | None:
    """The environment's own grader; what a user brings has none of ours."""
    if wanted.environment == "web":
        return web.web_grader(tasks)
    if not any(task.hidden for task in tasks):
        return None
    if isinstance(environment, CodeEnvironment):
        return code_passes
    return result_match if isinstance(environment, SQLEnvironment) else None


def _critic(wanted: Wanted, *, gold: bool) -> Critic:
    name = wanted.critic
    if name in ("auto", "execution"):
        critic = execution_critic(wanted.level)  # type: ignore[arg-type]
        public = wanted.environment == "web" or not gold
        return critic if public or name == "execution" else sees_hidden(critic)
    if name == "tiny":
        from agentloop import tiny

        return sees_hidden(tiny.critic())
    if name.startswith("model:"):
        return ModelCritic(_model(name.removeprefix("model:"), wanted))
    found: Critic = own(name, "--critic", "auto, execution, tiny, model:NAME")
    return found
