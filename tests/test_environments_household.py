"""The household in which agents look for things: small, seeded, in words alone."""

import pytest

from agentloop import Task
from agentloop.environments import HouseholdEnvironment, household_tasks
from agentloop.errors import BadInput
from tests.reflexion_twins import CLIMB


def test_a_household_in_which_a_thing_is_put_where_it_is_wanted_is_done() -> None:
    task = Task(
        id="h",
        prompt="Your task is to put mug 1 in/on shelf 1.",
        public={
            "household": {
                "places": {"drawer 1": ["mug 1"], "shelf 1": []},
                "thing": "mug 1",
                "goal": "shelf 1",
            }
        },
    )
    session = HouseholdEnvironment()(task)
    said = {
        "take mug 1 from drawer 1": "Nothing happens.",
        "go to drawer 1": "You are at drawer 1. It is closed.",
        "Take mug 1 from drawer 1": "Nothing happens.",
        "open drawer 1": "You open drawer 1. On it you see a mug 1.",
        "take mug 1 from drawer 1 ": "You take mug 1 from drawer 1.",
        "inventory": "You carry a mug 1.",
        "put mug 1 in/on shelf 1": "Nothing happens.",
        "go to shelf 1": "You are at shelf 1. On it you see nothing.",
        "fly to the moon": "Nothing happens.",
    }
    for action, wanted in said.items():
        step = session.step(action)
        assert (step.observation, step.done) == (wanted, False), action
    last = session.step("put mug 1 on shelf 1")
    assert last.done and session.final()[0].data["passed"]


def test_a_task_without_a_household_is_refused() -> None:
    with pytest.raises(BadInput, match="must hold places, thing and goal"):
        HouseholdEnvironment()(CLIMB)


def test_the_same_seed_gives_the_same_households() -> None:
    assert household_tasks(5, seed=1) == household_tasks(9, seed=1)[:5] != household_tasks(5, seed=2)
