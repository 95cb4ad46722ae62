"""Logs of a search: an attempt is a retry only where the log says that it was shown the feedback."""

import pytest

from agentloop.export.formats import FORMATS, Line
from agentloop.export.making import Making, lines_of
from agentloop.export.methods import METHODS
from agentloop.types import Trajectory
from tests.export_logs import every_need, render

RETRIES = (
    "ilf",
    "cdf",
    "c3po",
    "critic-dpo",
    "rltf-sd",
    "rltf-fm",
    "rltf-sd-fm",
    "critique-grpo",
    "herl",
    "reflect-retry-reward",
    "ufo",
)
"""The methods that read "feedback, then the next attempt"."""


def searched(trajectory: Trajectory, *follows: tuple[int, ...]) -> Trajectory:
    """The same attempts as a search would have made them; those not named follow on none."""
    given = [*follows, *[()] * len(trajectory.attempts)]
    attempts = zip(trajectory.attempts, given, strict=False)
    return trajectory.replace(attempts=tuple(each.replace(follows=after) for each, after in attempts))


def first_alone(trajectory: Trajectory) -> Trajectory:
    return trajectory.replace(attempts=trajectory.attempts[:1])


def rows(name: str, log: list[Trajectory]) -> list[Line]:
    method = METHODS[name]
    format = FORMATS["trl" if set(method.kinds) <= set(FORMATS["trl"].carries) else "tokens"]
    made = lines_of(log, Making(method=method, format=format, render=render))
    return [{**line, "meta": None} for line in made]


@pytest.mark.parametrize("method", RETRIES)
def test_an_attempt_that_was_not_shown_the_feedback_is_no_retry(method: str) -> None:
    log = every_need()
    alone = rows(method, [first_alone(each) for each in log])
    assert rows(method, [searched(each) for each in log]) == alone != rows(method, log)


@pytest.mark.parametrize("method", RETRIES)
def test_an_attempt_that_was_shown_it_is_one(method: str) -> None:
    log = every_need()
    assert rows(method, [searched(each, (), (1,)) for each in log]) == rows(method, log)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in RETRIES])
def test_other_methods_read_a_search_as_they_read_retries(method: str) -> None:
    log = every_need()
    assert rows(method, [searched(each) for each in log]) == rows(method, log) != []
