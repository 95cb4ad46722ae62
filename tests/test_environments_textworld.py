"""TextWorld's games: made by seed, played by the walkthrough, and fenced from the interpreter's commands."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments.reward import reward_passes
from agentloop.environments.textworld_environment import TextWorldEnvironment, playable, said, textworld_task
from agentloop.errors import BadInput
from agentloop.hidden import public_attempt
from agentloop.types import Attempt, Step, Task
from tests.resuming import check_resumed


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A small game; the test is skipped without TextWorld."""
    pytest.importorskip(
        "textworld",
        reason="SKIPPED: no TextWorld, pip install 'agentloop-toolkit[textworld]' to run this test",
    )
    return textworld_task(tmp_path_factory.mktemp("games"), seed=7)


def way(game: Task) -> list[str]:
    return str(game.hidden["walkthrough"]).splitlines()


def played(game: Task, *actions: str, commands: bool = False) -> tuple[str, list[Step], Attempt]:
    """What the agent is shown, the steps, and the attempt as a grader gets it."""
    session = TextWorldEnvironment(commands=commands)(game)
    try:
        prompt = session.prompt()
        steps = [session.step(action) for action in actions]
        final = session.final()
    finally:
        session.close()
    attempt = Attempt(id="t/1", trajectory="t", task=game, number=1, steps=tuple(steps), facts=final)
    return prompt, steps, attempt


def facts(step: Step) -> dict[str, Any]:
    return {fact.kind: fact.data for fact in step.facts}


def test_the_walkthrough_wins_and_nothing_less_does(game: Task) -> None:
    _, steps, attempt = played(game, *(f"Let me see.\nAction: {command}" for command in way(game)))
    assert len(steps) == 3 and [step.done for step in steps] == [False, False, True]
    assert facts(steps[-1])["game"] == {"score": 1, "max_score": 1, "moves": 3, "won": True, "lost": False}
    assert facts(steps[-1])["reward"] == {"reward": 1.0, "total": 1.0, "done": True, "passed": True}
    assert reward_passes(attempt) == 1.0
    assert reward_passes(played(game, *way(game)[:-1], "look")[2]) == 0.0


def test_the_prompt_tells_the_goal_once_and_what_is_to_be_seen(game: Task) -> None:
    prompt, _, _ = played(game)
    assert prompt.count(game.prompt) == 1
    assert "-= Dish-Pit =-" in prompt and "You are carrying nothing." in prompt
    assert "$$$" not in prompt, "the banner is no part of the game"
    prompt, _, _ = played(game.replace(prompt="Play."))
    assert prompt.startswith("Play.\n\n") and game.prompt in prompt


def test_observations_are_free_of_the_interpreter_s_marks(game: Task) -> None:
    _, steps, _ = played(game, "open refrigerator", "dance")
    assert steps[0].observation == "You open the refrigerator, revealing a teapot."
    assert steps[1].observation == "That's not a verb I recognise."
    assert said(None) == "" and said("\n\nOk.\n\n>    -= Room =-0/1") == "Ok."


def test_the_commands_there_are_can_be_shown_and_are_a_fact_always(game: Task) -> None:
    prompt, steps, _ = played(game, "open refrigerator", commands=True)
    assert "\n\nCommands: examine pan, " in prompt and "Commands:" in steps[0].observation
    _, steps, _ = played(game, "open refrigerator")
    assert "Commands:" not in steps[0].observation
    assert "take teapot from refrigerator" in facts(steps[0])["commands"]["commands"]


def test_the_way_to_win_is_hidden(game: Task) -> None:
    _, steps, attempt = played(game, way(game)[0], commands=True)
    assert facts(steps[0])["walkthrough"]["text"].splitlines() == way(game)[1:]
    public = public_attempt(attempt)
    assert "walkthrough" not in public.to_json() and game.hidden["walkthrough"] not in public.to_json()


def test_the_same_numbers_give_the_same_game(game: Task, tmp_path: Path) -> None:
    again = textworld_task(tmp_path, seed=7)
    other = textworld_task(tmp_path, seed=8)
    assert (again.id, again.prompt, again.hidden) == (game.id, game.prompt, game.hidden)
    assert other.hidden != game.hidden
    assert textworld_task(tmp_path, seed=8) == other, "read from its folder"


def test_a_run_is_taken_up_again_anywhere_in_an_attempt(game: Task, tmp_path: Path) -> None:
    actions = [way(game)[0], "save", *way(game)[1:]]
    attempts = check_resumed(TextWorldEnvironment(), game, actions, grader=reward_passes, folder=tmp_path)
    assert attempts[0].passed


def test_games_in_threads_do_not_disturb_one_another(game: Task) -> None:
    def play(length: int) -> list[str]:
        return [step.observation for step in played(game, *way(game)[:length])[1]]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(play, [0, 1, 2, 3] * 4))
    assert all(each == told[3][: len(each)] for each in told)
    assert [len(each) for each in told] == [0, 1, 2, 3] * 4


INTERPRETER = ["save", "SAVE", "restore", "script", "script on", "transcript", "transcripz on", "unscript"]
INTERPRETER += [
    "noscript",
    "restart",
    "quit",
    "q",
    "look. save",
    "look then save",
    "z, save",
    "take pan; save",
]
INTERPRETER += ["look\nsave", "\x00look", "", "   ", "é", "a" * 101, '"look"', "look > file"]


@pytest.mark.parametrize("command", INTERPRETER)
def test_commands_to_the_interpreter_are_not_playable(command: str) -> None:
    assert not playable(command)


@pytest.mark.parametrize(
    "command", ["look", "open type Q box", "take chef's-hat from shelf", "go north", "2"]
)
def test_commands_to_the_game_are_playable(command: str) -> None:
    assert playable(command)


def test_nothing_is_written_where_the_program_runs(game: Task, tmp_path: Path) -> None:
    probe = (
        "import sys\n"
        "from agentloop import Task\n"
        "from agentloop.environments.textworld_environment import TextWorldEnvironment\n"
        "session = TextWorldEnvironment()(Task.from_json(sys.argv[1]))\n"
        "session.prompt()\n"
        "for command in eval(sys.argv[2]):\n"
        "    step = session.step(f'```\\n{command}\\n```')\n"
        "    assert step.facts[0].kind == 'malformed_action', (command, step)\n"
        "print(session.step('look').observation.count('Dish-Pit'))\n"
    )
    commands = [command for command in INTERPRETER if command.strip() and "\x00" not in command]
    done = subprocess.run(
        [sys.executable, "-c", probe, game.to_json(), repr(commands)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [None, "nothing.z8", "here.txt"])
def test_a_task_without_a_game_is_refused(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "here.txt").write_text("no game")
    public = {"textworld": {"game": str(tmp_path / name)}} if name else {}
    with pytest.raises(BadInput, match=r"must be an existing \.z8 file"):
        TextWorldEnvironment()(Task(id="t", prompt="", public=public))


def test_without_textworld_the_module_loads_and_says_what_to_install(tmp_path: Path) -> None:
    probe = (
        "import sys; sys.modules['textworld'] = None\n"
        "from agentloop.environments.textworld_environment import textworld_task\n"
        "try: textworld_task('.', seed=1)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "pip install 'agentloop-toolkit[textworld]'" in done.stdout
