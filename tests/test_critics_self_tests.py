"""The critic by self-written tests: once a trajectory, through the journal, and how many were wrong."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Budget, Run, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.critics import SelfTestCounts, count_self_tests, self_test_critic
from agentloop.errors import BadInput
from agentloop.own_tests import tests_in as read_tests
from tests.code_twins import BAD, DOUBLE, RIGHT, TESTS, doubles, in_this_process, shown
from tests.twins import SENTINEL, run


def writer(reply: str = TESTS) -> ScriptedModel:
    return ScriptedModel(lambda messages, sampling: reply)


def actor(*programs: str) -> ScriptedModel:
    """Gives the next program after each one that it is shown."""
    return ScriptedModel(lambda messages, sampling: programs[(len(messages) - 1) // 2])


def judged(critic: Any, text: str, *, number: int = 1, trajectory: str = "t") -> Any:
    attempt = Attempt(
        id=f"{trajectory}/{number}", trajectory=trajectory, task=DOUBLE, number=number, text=text
    )
    return asyncio.run(critic(attempt))


def agent(model: ScriptedModel, tester: ScriptedModel, **options: Any) -> Any:
    critic = self_test_critic(tester, in_this_process, **options)
    return reflect_and_retry(model=model, critic=critic, history=None, attempts=3, stop=[])


def test_a_program_passes_when_all_of_its_tests_do() -> None:
    critic = self_test_critic(writer(), in_this_process)
    feedback = judged(critic, RIGHT)
    assert (feedback.verdict, feedback.score) == ("pass", 1.0)


def test_the_words_tell_what_failed_and_what_came_and_the_score_the_share() -> None:
    critic = self_test_critic(writer(TESTS + "\nassert double(0) == 0"), in_this_process)
    feedback = judged(critic, BAD)
    assert feedback.verdict == "fail"
    assert feedback.score == pytest.approx(1 / 3)
    assert "assert double(3) == 6  # got: 3" in feedback.text
    assert (feedback.items["tests"], feedback.items["tests_passed"]) == ("3", "1")
    assert feedback.items["passed"] == '["assert double(0) == 0"]'


def test_without_a_test_the_verdict_is_unsure_and_nothing_is_run() -> None:
    async def never(task: Task, program: str, tests: Sequence[str]) -> Any:
        raise AssertionError("nothing was to be run")

    feedback = judged(self_test_critic(writer("None."), never), RIGHT)
    assert (feedback.verdict, feedback.score, feedback.items["tests"]) == ("unsure", None, "0")
    assert judged(self_test_critic(writer("None."), never, untested="pass"), RIGHT).verdict == "pass"


def test_a_program_that_cannot_be_loaded_fails_every_test() -> None:
    feedback = judged(self_test_critic(writer(), in_this_process), "def double(n:")
    assert (feedback.verdict, feedback.score) == ("fail", 0.0)
    assert "SyntaxError" in feedback.text


def test_tests_are_written_once_a_trajectory_inside_and_outside_of_a_run(tmp_path: Path) -> None:
    tester = writer()
    run(agent(actor(BAD, BAD, BAD), tester), DOUBLE)
    assert tester.calls == 1
    improve(agent(actor(BAD, BAD, BAD), tester), [DOUBLE], folder=tmp_path / "r", samples=2)
    assert tester.calls == 3


def test_a_new_first_attempt_gets_new_tests() -> None:
    replies = iter(["assert double(1) == 2", "assert double(1) == 3", "assert double(1) == 4"])
    critic = self_test_critic(ScriptedModel(lambda messages, sampling: next(replies)), in_this_process)
    assert [judged(critic, RIGHT, number=number).verdict for number in (1, 2, 1, 2)] == [
        "pass",
        "pass",
        "fail",
        "fail",
    ]
    assert judged(critic, RIGHT, trajectory="other").items["failed"] == '["assert double(1) == 4"]'


def test_a_resumed_run_has_the_tests_it_was_begun_with(tmp_path: Path) -> None:
    def fresh(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return f"{TESTS}\nassert double({sampling['seed'] % 1009}) == -1"

    def go(folder: Path) -> Run:
        return improve(agent(actor(BAD, BAD, BAD), ScriptedModel(fresh)), [DOUBLE], folder=folder)

    (wanted,) = go(tmp_path / "whole").trajectories()
    assert len({attempt.feedback.items["failed"] for attempt in wanted.attempts if attempt.feedback}) == 1
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        (again,) = go(folder).trajectories()
        assert again.to_json() == wanted.to_json()


def test_one_critic_serves_several_runs_each_with_its_own_tests(tmp_path: Path) -> None:
    """Here a run is cut off after its first attempt, and goes on after the critic judged another run."""

    def fresh(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return f"assert double({sampling['seed']}) == -1"

    critic = self_test_critic(ScriptedModel(fresh), in_this_process)
    both = reflect_and_retry(model=actor(BAD, BAD), critic=critic, history=None, attempts=2, stop=[])
    (begun,) = improve(both, [DOUBLE], folder=tmp_path / "one", seed=1, budget=Budget(calls=2)).trajectories()
    improve(both, [DOUBLE], folder=tmp_path / "other", seed=2)
    (ended,) = improve(both, [DOUBLE], folder=tmp_path / "one", seed=1, budget=Budget(calls=9)).trajectories()
    failed = [each.feedback.items["failed"] for each in ended.attempts if each.feedback]
    assert (begun.stop_reason, len(failed), len(set(failed))) == ("budget", 2, 1)


def test_the_call_is_the_test_writers_and_counted_as_one(tmp_path: Path) -> None:
    ran = improve(agent(actor(BAD, RIGHT), writer()), [DOUBLE], folder=tmp_path / "r")
    (trajectory,) = ran.trajectories()
    assert [call.role for call in trajectory.calls] == ["actor", "tests", "actor"]
    assert trajectory.calls[1].sampling["temperature"] == 0.2
    assert trajectory.usage.calls == 3


def test_a_loop_that_it_stops_is_stopped_by_the_agents_own_word() -> None:
    state = run(agent(actor(RIGHT), writer()), DOUBLE)
    assert (state["stop_reason"], state["stop_signal"]) == ("passed", "self")


def test_hidden_tests_reach_neither_the_writer_nor_the_runner() -> None:
    tester, model = writer(), actor(BAD, BAD, BAD)
    run(agent(model, tester), DOUBLE)
    assert SENTINEL not in str(tester.requests) + str(model.requests)
    judged(self_test_critic(tester, in_this_process), BAD)  # the runner itself refuses hidden data


def test_the_writer_is_shown_the_prompt_alone_and_never_the_program() -> None:
    tester = writer()
    run(agent(actor(BAD, RIGHT), tester), DOUBLE)
    assert DOUBLE.prompt.strip() in shown(tester.requests[0])
    assert BAD not in shown(tester.requests[0])


@pytest.mark.parametrize(
    ("tests", "programs", "wanted"),
    [
        (TESTS, (RIGHT,), SelfTestCounts(attempts=1, tests=2)),
        (TESTS, (BAD, RIGHT), SelfTestCounts(attempts=2, tests=2)),
        ("assert double(0) == 0", (BAD,), SelfTestCounts(1, 1, 0, 1, 1, 0)),
        ("assert double(2) == 5", (RIGHT,) * 3, SelfTestCounts(3, 1, 1, 0, 0, 3)),
        ("assert double(0) == 0\nassert double(2) == 5", (BAD, BAD, RIGHT), SelfTestCounts(3, 2, 1, 1, 0, 1)),
        ("none", (RIGHT,) * 3, SelfTestCounts(attempts=3)),
    ],
)
def test_wrong_tests_are_counted_over_a_finished_run(
    tmp_path: Path, tests: str, programs: tuple[str, ...], wanted: SelfTestCounts
) -> None:
    ran = improve(agent(actor(*programs), writer(tests)), [DOUBLE], folder=tmp_path / "r", grader=doubles)
    assert count_self_tests(ran.trajectories()) == wanted


def test_nothing_is_counted_without_a_grader(tmp_path: Path) -> None:
    ran = improve(agent(actor(RIGHT), writer()), [DOUBLE], folder=tmp_path / "r")
    assert count_self_tests(ran.trajectories()) == SelfTestCounts()


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("```python\nassert f(1) == 2\nassert f(2) == 3\n```", 2),
        ("    assert f(1) == 2  # indented\n", 1),
        ("1. assert f(1) == 2", 0),
        ("assert f([1, 2) == 3", 0),
        ("# assert f(1) == 2", 0),
        ("self.assertEqual(f(1), 2)", 0),
        ("text = 'assert'", 0),
        ("def test(): assert f(1) == 2", 0),
        ("assert f(1) == 2; assert f(2) == 3", 1),
        ("assert f('\\d') is 'x'", 1),
        ("assert f(\x00) == 1", 0),
        ("assert " + "(" * 5000 + ")" * 5000, 0),
        ("assert f('" + "x" * 5000 + "')", 0),
        ("", 0),
    ],
)
def test_only_lines_with_an_assert_statement_that_parses_are_tests(reply: str, found: int) -> None:
    assert len(read_tests(reply)) == found


@given(st.text(alphabet=st.sampled_from("assert f(1)=='\"[]\n\\#:;")))
def test_whatever_a_model_writes_the_tests_in_it_parse(reply: str) -> None:
    for test in read_tests(reply):
        compile(test, "test", "exec")


def test_a_mistake_of_the_caller_is_raised_at_once() -> None:
    with pytest.raises(BadInput, match="n_tests must be at least 1, got 0"):
        self_test_critic(writer(), in_this_process, n_tests=0)
