"""Gymnasium both ways: its environments in words, and ours in its shape."""

import asyncio
import gc
import json
import sqlite3
import subprocess
import sys
import threading
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments import SQLEnvironment
from agentloop.environments.gymnasium_environment import GymnasiumEnvironment, as_gymnasium
from agentloop.environments.gymnasium_words import Malformed, allowed, chosen, said
from agentloop.environments.last_action import last_action
from agentloop.environments.reward import reward_passes
from agentloop.environments.sql import result_match
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Attempt, Fact, Step, Task
from tests.resuming import check_resumed

LAKE = GymnasiumEnvironment(
    "FrozenLake-v1",
    actions=["left", "down", "right", "up"],
    show=lambda square: f"You are on square {square}.",
)
WALK = Task(id="walk", prompt="Cross the lake.", public={"gymnasium": {"kwargs": {"is_slippery": False}}})
SLIPPERY = WALK.replace(public={"gymnasium": {"kwargs": {"is_slippery": True}}})
WAY = ["down", "down", "right", "right", "down", "right"]
SENTINEL = "sentinel-7261"


class Doors:
    """A session of ours, plain: the word is said, and facts of both kinds come back."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.threads = {threading.get_ident()}
        self.closed = 0

    def prompt(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Step:
        self.threads.add(threading.get_ident())
        seen = Fact(kind="said", data={"words": action})
        secret = Fact(kind="secret", data={"word": SENTINEL}, hidden=True)
        return Step(action=action, observation=f"said {action}", facts=(seen, secret), done=action == "open")

    def close(self) -> None:
        self.closed += 1


class AsyncDoors(Doors):
    """The same, with methods that have to be awaited in one loop."""

    async def prompt(self) -> str:  # type: ignore[override]
        self.loop = asyncio.get_running_loop()
        return super().prompt()

    async def step(self, action: str) -> Step:  # type: ignore[override]
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is self.loop
        return super().step(action)

    async def close(self) -> None:  # type: ignore[override]
        super().close()


class Rewards(gymnasium.Env[str, str]):
    """An environment of Gymnasium's that speaks and hears text, and pays what it is told."""

    observation_space = spaces.Text(100)
    action_space = spaces.Text(20)

    def __init__(self, pays: float = 1.0) -> None:
        self.pays = pays
        self.closed = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return f"start {self.np_random.integers(10**6)}", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return f"heard {action}", self.pays, action == "end", action == "cut", {}

    def close(self) -> None:
        self.closed = True


def played(environment: Any, task: Task, *actions: str) -> tuple[str, list[Step], Attempt]:
    """What the agent is shown, the steps, and the attempt as a grader gets it."""
    session = environment(task)
    try:
        prompt = session.prompt()
        steps = [session.step(action) for action in actions]
        attempt = Attempt(
            id="t/1", trajectory="t", task=task, number=1, steps=tuple(steps), facts=session.final()
        )
        return prompt, steps, attempt
    finally:
        session.close()


def test_the_prompt_tells_the_task_the_observation_and_the_actions() -> None:
    prompt, _, _ = played(LAKE, WALK)
    assert prompt == (
        "Cross the lake.\n\nYou are on square 0.\n\nAn action is one of: left, down, right, up."
    )


def test_a_way_in_words_reaches_the_goal_and_passes() -> None:
    _, steps, attempt = played(LAKE, WALK, *WAY)
    assert [step.done for step in steps] == [False] * 5 + [True]
    assert steps[-1].observation == "You are on square 15.\n\nReward: 1\n\nThe episode is over."
    assert steps[-1].facts[0].data == {"reward": 1.0, "total": 1.0, "done": True, "passed": True}
    assert reward_passes(attempt) == 1.0


def test_falling_in_ends_the_episode_and_does_not_pass() -> None:
    _, steps, attempt = played(LAKE, WALK, "down", "right", "right")
    assert steps[1].done
    assert steps[2].observation == "The episode is over."
    assert reward_passes(attempt) == 0.0


def test_an_unfinished_episode_does_not_pass_whatever_it_has_earned() -> None:
    _, _, attempt = played(GymnasiumEnvironment(Rewards, passing=1.0), WALK.replace(public={}), "a", "b")
    assert attempt.facts[0].data["total"] == 2.0
    assert reward_passes(attempt) == 0.0


def test_an_action_that_is_none_changes_nothing_and_is_told() -> None:
    _, steps, _ = played(LAKE, WALK, "fly", "4", "-1", "", *WAY)
    assert [step.observation for step in steps[:4]] == [
        f"Nothing was done: {why}. An action is one of: left, down, right, up."
        for why in (
            "'fly' is neither a whole number nor a known name",
            "'4' is outside of what is allowed",
            "'-1' is outside of what is allowed",
            "'' is neither a whole number nor a known name",
        )
    ]
    assert steps[0].facts[0].kind == "malformed_action"
    assert steps[-1].done


def test_attempts_start_alike_without_a_seed_and_differently_with_another() -> None:
    environment = GymnasiumEnvironment(Rewards)
    task = Task(id="a", prompt="")
    first, again = played(environment, task)[0], played(environment, task)[0]
    other = played(environment, task.replace(public={"gymnasium": {"seed": 5}}))[0]
    assert first == again != other


def test_a_task_can_name_its_environment() -> None:
    task = Task(id="a", prompt="Balance.", public={"gymnasium": {"id": "CartPole-v1", "seed": 3}})
    prompt, steps, _ = played(GymnasiumEnvironment(), task, "I push it.\nAction: 1")
    assert prompt == (
        "Balance.\n\n[-0.0414, -0.0263,  0.0301,  0.0082]\n\nAn action is one whole number from 0 to 1."
    )
    assert steps[0].reward == 1.0


@pytest.mark.parametrize(
    ("environment", "public", "told"),
    [
        (GymnasiumEnvironment(), {}, "give the environment's id"),
        (GymnasiumEnvironment("CartPole-v1"), {"id": "Taxi-v3"}, "give the environment's id"),
        (GymnasiumEnvironment("CartPole-v1"), {"sead": 1}, r"\['sead'\]; known: id"),
        (GymnasiumEnvironment("NoSuchThing-v0"), {}, "cannot make 'NoSuchThing-v0'"),
        (GymnasiumEnvironment("CartPole-v1", actions=["left"]), {}, "names 1 actions"),
    ],
)
def test_a_caller_s_mistake_is_said_when_a_session_is_opened(
    environment: GymnasiumEnvironment, public: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        environment(Task(id="t", prompt="", public={"gymnasium": public}))


def test_a_space_that_words_cannot_name_is_refused_with_the_remedy() -> None:
    with pytest.raises(BadInput, match="TransformAction"):
        allowed(spaces.Dict({"a": spaces.Discrete(2)}))


def test_an_environment_that_breaks_is_the_environment_s_failure() -> None:
    with pytest.raises(EnvironmentFailed, match="no finite number"):
        played(GymnasiumEnvironment(lambda: Rewards(float("nan"))), Task(id="a", prompt=""), "go")


def test_the_environment_is_closed_with_the_session() -> None:
    made: list[Rewards] = []
    played(GymnasiumEnvironment(lambda: made.append(Rewards()) or made[-1]), Task(id="a", prompt=""), "end")
    assert made[0].closed


def test_a_run_is_taken_up_again_anywhere_in_an_attempt(tmp_path: Path) -> None:
    actions = ["right", "fly", "down", "down", "right"]
    attempts = check_resumed(LAKE, SLIPPERY, actions, grader=reward_passes, folder=tmp_path)
    assert len(attempts[0].steps) == 5 and attempts[0].error is None


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        ("left", "left"),
        ("I think so.\nAction: left", "left"),
        ("The action is: `left`", "left"),
        ("> open door", "open door"),
        ("```\nfirst\n```\nor\n```python\nsecond\n```\nDone.", "second"),
        ("", ""),
        ("\n \n", ""),
    ],
)
def test_the_action_is_the_last_block_or_line(reply: str, action: str) -> None:
    assert last_action(reply) == action


SPACES = [
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([3, 2, 4]),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 1], [-1, 0]])),
    spaces.MultiBinary(4),
    spaces.Box(-1.0, 1.0, shape=(3,)),
    spaces.Box(-np.inf, np.inf, shape=(2, 2), dtype=np.float64),
    spaces.Box(0, 255, shape=(2, 3), dtype=np.uint8),
    spaces.Box(-2.0, 2.0, shape=(1,)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_every_action_of_a_space_can_be_said(space: Any) -> None:
    space.seed(1)
    for _ in range(50):
        action = space.sample()
        text = str(action) if isinstance(space, spaces.Discrete) else json.dumps(action.tolist())
        read = chosen(space, text)
        assert space.contains(read) and np.allclose(read, action)


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize(
    "text",
    ["", "x", "NaN", "[NaN, 0, 0]", "[Infinity, 0]", "[[Infinity, 0], [0, 0]]", "[1e999, 0, 0]", "9" * 400]
    + [
        "[true, true, true, true]",
        '["1", "1", "1"]',
        "[[]]",
        "null",
        "[-1, -1, -1, -1]",
        "[" * 5000,
        "[1, [2]]",
    ]
    + [
        "[300, 0, 0]",
        "[[1e999, 0], [0, 0]]",
        "[[256, 0, 0], [0, 0, 0]]",
        "[[0.5, 0, 0], [0, 0, 0]]",
        "[2, 3, 1]",
    ],
)
def test_words_that_are_no_action_are_malformed_and_nothing_else(space: Any, text: str) -> None:
    with pytest.raises(Malformed):
        chosen(space, text)


@given(st.text())
def test_any_words_are_an_action_or_malformed(text: str) -> None:
    for space in SPACES:
        try:
            assert space.contains(chosen(space, text))
        except Malformed:
            continue


def test_observations_are_said_in_words() -> None:
    seen = {"agent": np.array([0.123456, 2]), "wall": (np.int64(3), np.float32(0.5)), "text": "hello"}
    assert said(seen) == "agent: [0.1235, 2.    ]\nwall: (3, 0.5)\ntext: hello"
    assert "..." in said(np.zeros((100, 100)))


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.executescript("CREATE TABLE users(name TEXT); INSERT INTO users VALUES ('Ann'), ('Bob');")
    made = SQLEnvironment(tmp_path / "shop.sqlite", workers=1)
    yield made
    made.close()


COUNT = Task(id="count", prompt="How many?", hidden={"query": "SELECT count(*) FROM users"})
NAMES = Task(id="names", prompt="Who?", hidden={"query": "SELECT name FROM users"})


def test_gymnasium_s_own_check_passes_on_ours_without_a_warning(shop: SQLEnvironment) -> None:
    for environment in (shop, Doors, AsyncDoors):
        wrapped = as_gymnasium(environment, [COUNT, NAMES], grader=None, max_steps=4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(wrapped)
        wrapped.close()


def test_the_grader_s_word_is_the_reward_of_the_last_step(shop: SQLEnvironment) -> None:
    wrapped = as_gymnasium(shop, [COUNT, NAMES], grader=result_match, max_steps=2)
    prompt, info = wrapped.reset(options={"task": "count"})
    assert prompt == "users(name)\nHow many?" and info["task"] == "count"
    assert wrapped.step("SELECT 1")[1:4] == (0.0, False, False)
    assert wrapped.step("-- final\nSELECT count(*) FROM users")[:4] == ("2", 1.0, True, False)
    wrapped.reset(options={"task": "count"})
    wrapped.step("SELECT 1")
    assert wrapped.step("SELECT 3")[1:4] == (0.0, False, True), "cut off after two steps, and wrong"
    wrapped.close()


def test_a_seed_draws_the_task_and_an_unknown_one_is_refused() -> None:
    tasks = [Task(id=str(number), prompt=f"task {number}") for number in range(20)]
    wrapped = as_gymnasium(Doors, tasks)
    drawn = [wrapped.reset(seed=seed)[1]["task"] for seed in range(10)]
    assert drawn == [wrapped.reset(seed=seed)[1]["task"] for seed in range(10)]
    assert len(set(drawn)) > 3
    with pytest.raises(BadInput, match="no task 'zzz'; known: 0, 1"):
        wrapped.reset(options={"task": "zzz"})
    wrapped.close()


def test_hidden_facts_and_data_are_not_in_what_the_agent_gets() -> None:
    wrapped = as_gymnasium(Doors, [COUNT.replace(hidden={"answer": SENTINEL})], grader=lambda attempt: 1.0)
    told = [wrapped.reset(), wrapped.step("knock"), wrapped.step("open")]
    assert "'kind': 'said'" in str(told) and SENTINEL not in str(told)
    assert [told[1][1], told[2][1]] == [0.0, 1.0], "the grade is told at the end only"
    wrapped.close()


@pytest.mark.parametrize("kind", [Doors, AsyncDoors])
def test_a_session_keeps_its_thread_and_is_closed_once(kind: type[Doors]) -> None:
    opened: list[Doors] = []
    before = set(threading.enumerate())
    wrapped = as_gymnasium(lambda task: opened.append(kind(task)) or opened[-1], [COUNT])
    for _ in range(2):
        wrapped.reset()
        wrapped.step("knock")
    wrapped.close()
    wrapped.close()
    assert [session.closed for session in opened] == [1, 1]
    assert len(opened[0].threads | opened[1].threads) == 1
    assert set(threading.enumerate()) <= before


def test_a_session_that_cannot_begin_is_closed_and_the_next_one_opens() -> None:
    class Broken(Doors):
        def prompt(self) -> str:
            raise RuntimeError("no database")

    opened: list[Doors] = []
    kinds = [Broken, Doors]
    wrapped = as_gymnasium(lambda task: opened.append(kinds[len(opened)](task)) or opened[-1], [COUNT])
    with pytest.raises(RuntimeError, match="no database"):
        wrapped.reset()
    with pytest.raises(gymnasium.error.ResetNeeded):
        wrapped.step("x")
    assert wrapped.reset()[0] == "How many?"
    assert opened[0].closed == 1
    wrapped.close()


def test_a_step_without_an_episode_asks_for_a_reset() -> None:
    wrapped = as_gymnasium(Doors, [COUNT])
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset first"):
        wrapped.step("x")
    wrapped.reset()
    wrapped.step("open")
    with pytest.raises(gymnasium.error.ResetNeeded):
        wrapped.step("x")
    wrapped.close()


def test_a_forgotten_environment_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    as_gymnasium(Doors, [COUNT]).reset()
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_it_works_where_a_loop_already_runs() -> None:
    async def inside() -> str:
        wrapped = as_gymnasium(AsyncDoors, [COUNT])
        prompt, _ = wrapped.reset()
        wrapped.close()
        return prompt

    assert asyncio.run(inside()) == "How many?"


@pytest.mark.parametrize("tasks", [[], [COUNT, COUNT]])
def test_tasks_are_at_least_one_and_have_ids_of_their_own(tasks: list[Task]) -> None:
    with pytest.raises(BadInput, match="each with an id of its own"):
        as_gymnasium(Doors, tasks)


def test_ours_inside_gymnasium_s_inside_ours(tmp_path: Path, shop: SQLEnvironment) -> None:
    wrapped = GymnasiumEnvironment(lambda: as_gymnasium(shop, [COUNT], grader=result_match, max_steps=3))
    task = Task(id="count", prompt="Ask the database.")
    actions = ["SELECT 1", "```sql\n-- final\nSELECT count(*) FROM users\n```"]
    attempts = check_resumed(wrapped, task, actions, grader=reward_passes, folder=tmp_path)
    assert attempts[0].passed


def test_without_gymnasium_the_module_loads_and_says_what_to_install() -> None:
    probe = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from agentloop.environments.gymnasium_environment import GymnasiumEnvironment, as_gymnasium\n"
        "from agentloop import Task\n"
        "task = Task(id='a', prompt='')\n"
        "for work in (lambda: as_gymnasium(None, [task]), lambda: GymnasiumEnvironment('a')(task)):\n"
        "    try: work()\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'agentloop-toolkit[gymnasium]'") == 2
