"""TextWorld's games as an environment, and a helper that makes small ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agentloop.environments.last_action import last_action
from agentloop.environments.reward import reward_fact
from agentloop.errors import BadInput, MissingExtra
from agentloop.types import Fact, Step, Task, digest

_STATUS = re.compile(r"\s*\n>[^\n]*\s*\Z")
"""The interpreter's input mark with the line of status behind it, which ends what a game says."""

_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9 '-]{0,99}")
_BARRED = {"save", "restore", "script", "transcrip", "noscript", "unscript", "restart", "quit", "then"}
_WORD = 9
"""The interpreter compares the first nine letters of a word only."""


class TextWorldEnvironment:
    """Lets an agent play text adventures: TextWorld's own games (.z8), a command a reply.

    ``task.public["textworld"]`` holds the ``game``'s file and, if wanted, a ``seed`` for what is
    random in it; without one it is drawn from the task's id, so that every attempt starts alike and a
    run can be taken up again. With ``commands`` the agent is shown which commands the game takes now.
    Commands to the interpreter itself are not carried out: ``save`` and ``script`` write files where
    the program runs, and ``restore`` would let one attempt go on from another.
    An attempt passes when the game is won; ``reward_passes`` grades by that::

        task = textworld_task("games", seed=7)
        agent = reflect_and_retry(
            model=model, environment=TextWorldEnvironment(), critic=critic, max_steps=20
        )
        improve(agent, [task], grader=reward_passes)
    """

    def __init__(self, *, commands: bool = False) -> None:
        self.commands = commands

    def __call__(self, task: Task) -> TextWorldSession:
        """Open a session; BadInput when the task names no game file."""
        given = task.public.get("textworld", {})
        path = Path(str(given.get("game", "")))
        if not path.is_file() or path.suffix != ".z8":
            raise BadInput(
                f"task {task.id!r}: public.textworld.game must be an existing .z8 file, got {str(path)!r}"
            )
        seed = int(given.get("seed", int(digest("textworld", task.id), 16) % 2**31))
        return TextWorldSession(task, path, seed=seed, commands=self.commands)


class TextWorldSession:
    """One game. Score and end are facts; the way to win from here is one too, and hidden."""

    instructions = "textworld"

    def __init__(self, task: Task, path: Path, *, seed: int, commands: bool) -> None:
        textworld = _textworld("TextWorldEnvironment")
        wanted = ["description", "inventory", "objective", "admissible_commands", "policy_commands"]
        wanted += ["score", "max_score", "won", "lost", "moves"]
        self._game = textworld.start(str(path), textworld.EnvInfos(**dict.fromkeys(wanted, True)))
        self._game.seed(seed)
        self._task, self._commands = task, commands
        self._state: Any = None
        self._score, self._over = 0.0, False

    def prompt(self) -> str:
        """The task, the goal if the task does not say it, and what there is to see."""
        self._state = self._game.reset()
        goal = (self._state.objective or "").strip()
        seen = [self._state.description, self._state.inventory]
        if not goal and not any(seen):
            seen = [self._state.feedback]
        parts = [self._task.prompt, "" if goal in self._task.prompt else goal, *map(said, seen)]
        return "\n\n".join(part for part in parts if part) + self._offered()

    def step(self, action: str, /) -> Step:
        """Give the game the command that the reply ends with."""
        command = last_action(action)
        if self._over:
            return Step(action=action, observation="The game is over.", facts=self.final(), done=True)
        if not playable(command):
            told = Fact(kind="malformed_action", data={"text": command, "message": "no command of the game"})
            observed = (
                "Nothing was done: a command is one line of at most 100 letters, digits and blanks, without "
                f"the words {', '.join(sorted(_BARRED))}."
            )
            return Step(action=action, observation=observed, facts=(told,))
        self._state, score, done = self._game.step(command)
        reward, self._score, self._over = float(score) - self._score, float(score), bool(done)
        return Step(
            action=action,
            observation=said(self._state.feedback) + ("" if self._over else self._offered()),
            facts=self._facts(reward),
            done=self._over,
            reward=reward,
        )

    def final(self) -> tuple[Fact, ...]:
        """Score and end."""
        return self._facts(None)

    def close(self) -> None:
        """End the game."""
        self._game.close()

    def _facts(self, reward: float | None) -> tuple[Fact, ...]:
        state = self._state
        told = {name: getattr(state, name) for name in ("score", "max_score", "moves")}
        won, lost = bool(state.won), bool(state.lost)
        return (
            reward_fact(reward, total=self._score, done=self._over, passed=won),
            Fact(kind="game", data={**told, "won": won, "lost": lost}),
            Fact(kind="commands", data={"commands": list(state.admissible_commands or ())}),
            Fact(kind="walkthrough", data={"text": "\n".join(state.policy_commands or ())}, hidden=True),
        )

    def _offered(self) -> str:
        known = self._state.admissible_commands or ()
        return f"\n\nCommands: {', '.join(known)}" if self._commands and known else ""


def textworld_task(
    folder: str | Path, *, seed: int, rooms: int = 3, objects: int = 5, quest_length: int = 3
) -> Task:
    """Make a game in ``folder`` and the task of winning it; some seconds, and none if it lies there.

    The same numbers give the same game. The way to win is hidden, as one text with a command a line.
    """
    _textworld("textworld_task")
    from textworld.generator import compile_game, make_game  # pyright: ignore[reportMissingImports]
    from textworld.generator.game import Game, GameOptions  # pyright: ignore[reportMissingImports]

    name = f"textworld-{seed}-{rooms}-{objects}-{quest_length}"
    path = Path(folder).resolve() / f"{name}.z8"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        options = GameOptions()
        options.path, options.seeds = str(path), seed
        options.nb_rooms, options.nb_objects, options.quest_length = rooms, objects, quest_length
        compile_game(make_game(options), options)
    game = Game.load(str(path.with_suffix(".json")))
    return Task(
        id=name,
        prompt=game.objective,
        public={"textworld": {"game": str(path)}},
        hidden={"walkthrough": "\n".join(game.metadata["walkthrough"])},
    )


def playable(command: str) -> bool:
    """Whether a command is for the game and not for the interpreter: one sentence of plain words."""
    words = [word[:_WORD] for word in re.findall(r"[a-z0-9]+", command.lower())]
    return bool(_COMMAND.fullmatch(command)) and not _BARRED & set(words) and words[0] != "q"


def said(text: str | None) -> str:
    """What a game says, without the interpreter's own marks."""
    return _STATUS.sub("", text or "").strip()


def _textworld(what: str) -> Any:
    try:
        import textworld  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra(what, "textworld", "textworld") from error
    return textworld
