"""The proof of a training: held-out tasks apart, one greedy first try each, paired."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentloop import Attempt, Feedback, Task, reflect_and_retry
from agentloop.errors import BadInput
from agentloop.training import Practice
from agentloop.training.proof import check_apart, first_tries, gain_of
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import practice, small


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


def test_held_out_tasks_that_are_trained_on_are_refused() -> None:
    with pytest.raises(BadInput, match=r"2 held-out tasks are trained on as well \(t0 .*another split"):
        check_apart({"t0", "t1", "x"}, practice(3))


def test_held_out_tasks_that_are_not_are_fine() -> None:
    check_apart({"x"}, practice(3))
    check_apart({"t0"}, None)


def test_first_tries_are_one_greedy_attempt_without_feedback(base: Path, tmp_path: Path) -> None:
    def never(attempt: Attempt) -> Feedback:
        return Feedback(text="No.", verdict="fail")

    held_out = practice(3, critic=never)
    runs = [first_tries(base, held_out, tmp_path / name, small(seed=seed)) for seed, name in enumerate("ab")]
    for run in runs:
        found = list(run.trajectories())
        assert [len(each.attempts) for each in found] == [1, 1, 1]
        assert all("No." not in str(call.messages) for each in found for call in each.calls)
    texts = [{each.id: each.attempts[0].text for each in run.trajectories()} for run in runs]
    assert texts[0] == texts[1], "greedy answers know no seed"


def test_first_tries_go_on_where_they_were_cut_off(base: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def noted(attempt: Attempt) -> Feedback:
        asked.append(attempt.task.id)
        return Feedback(text="No.", verdict="fail")

    for _ in range(2):
        first_tries(base, practice(3, critic=noted), tmp_path, small())
    assert sorted(asked) == ["t0", "t1", "t2"]


def test_the_gain_is_the_second_run_against_the_first_paired_by_task(base: Path, tmp_path: Path) -> None:
    def passing(names: set[str]) -> Practice:
        def grader(attempt: Attempt) -> float:
            return float(attempt.task.id in names)

        agent = partial(reflect_and_retry, critic=lambda attempt: Feedback(text="No.", verdict="fail"))
        return Practice(agent=agent, tasks=[Task(id=f"h{n}", prompt="?") for n in range(4)], grader=grader)

    before = first_tries(base, passing({"h0"}), tmp_path / "before", small())
    after = first_tries(base, passing({"h0", "h1", "h2"}), tmp_path / "after", small())
    gain = gain_of(before, after)
    assert (gain.tasks, gain.first, gain.second, gain.only_first, gain.only_second) == (4, 0.25, 0.75, 0, 2)
