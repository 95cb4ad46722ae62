"""Reflexion for programming: the loop of the published program, offline."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Budget, Prompts, Run, ScriptedModel, Step, Task, improve
from agentloop.critics import count_self_tests
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.graph import reflect_and_retry
from agentloop.recipes import ReflexionSampling, reflexion_code_agent
from tests.code_twins import BAD, DOUBLE, RIGHT, TESTS, Outcome, doubles, in_this_process, shown
from tests.twins import SENTINEL, Doors, found_the_prize, run, third_time

WRITE, REFLECT, RETRY = "Write tests for", "Say in a few sentences", "What you noted"


def kind(messages: Sequence[Any]) -> str:
    text = shown(messages)
    return next((name for name in (WRITE, REFLECT, RETRY) if name in text), "first")


def policy(
    programs: Callable[[int], str] = lambda number: RIGHT if number > 1 else BAD, tests: str = TESTS
) -> ScriptedModel:
    """Writes ``tests``, numbered reflections, and the program of each attempt, counted from 1."""
    reflections, written = Counter[str](), Counter[str]()

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        asked = kind(messages)
        if asked == WRITE:
            return tests
        if asked == REFLECT:
            reflections[""] += 1
            return f"lesson {reflections['']}"
        written[""] += 1
        return programs(written[""])

    return ScriptedModel(script)


def kinds(model: ScriptedModel) -> list[str]:
    return [kind(messages) for messages in model.requests]


def agent(model: Any, **options: Any) -> Any:
    return reflexion_code_agent(model=model, run_tests=in_this_process, **{"n_tests": 6, **options})


def test_it_writes_tests_once_tries_reflects_and_rewrites() -> None:
    model = policy()
    state = run(agent(model), DOUBLE)
    assert kinds(model) == [WRITE, "first", REFLECT, RETRY]
    assert (state["stop_reason"], state["stop_signal"], state["best"].number) == ("passed", "self", 2)


def test_the_first_attempt_is_made_from_the_bare_task() -> None:
    model = policy()
    run(agent(model), DOUBLE)
    first = model.requests[1]
    assert [message["role"] for message in first] == ["system", "user"]
    assert first[1]["content"] == DOUBLE.prompt.strip()


def test_the_tests_are_not_written_anew_inside_a_pass() -> None:
    model = policy(lambda number: BAD)
    run(agent(model, attempts=5), DOUBLE)
    assert kinds(model).count(WRITE) == 1


def test_feedback_lists_what_passed_and_what_failed_with_what_came() -> None:
    model = policy(lambda number: "def double(n): return 4", tests=f"{TESTS}\nassert double(n) == 1")
    state = run(agent(model), DOUBLE)
    told = state["attempt"].feedback.text
    passed, failed = told.split("Tests that failed")
    assert "assert double(2) == 4" in passed and "double(3)" not in passed
    assert "assert double(3) == 6  # got: 4" in failed
    assert "# got: NameError: name 'n' is not defined" in failed


def test_rewriting_is_shown_the_last_program_its_feedback_the_newest_reflection_and_the_task() -> None:
    model = policy(lambda number: f"{BAD}  # {number}")
    run(agent(model, attempts=3), DOUBLE)
    last = model.requests[-1]
    assert [message["role"] for message in last] == ["system", "user", "assistant", "user"]
    assert last[2]["content"] == f"{BAD}  # 2"
    assert "assert double(2) == 4  # got: 2" in last[3]["content"]
    assert "lesson 2" in last[3]["content"] and "lesson 1" not in shown(last)
    assert last[3]["content"].count("def double(n):") == 1


def test_reflecting_is_shown_the_program_and_its_feedback() -> None:
    model = policy()
    run(agent(model), DOUBLE)
    asked = shown(model.requests[2])
    assert BAD in asked and "# got: 2" in asked and "Write no code" in asked


def test_every_failed_attempt_but_the_last_leaves_exactly_one_reflection() -> None:
    model = policy(lambda number: BAD)
    state = run(agent(model, attempts=4), DOUBLE)
    assert kinds(model).count(REFLECT) == 3
    assert [each.reflection.text for each in state["earlier"]] == ["lesson 1", "lesson 2", "lesson 3"]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 9])
def test_trial_t_is_shown_as_many_reflections_as_there_are_but_never_more_than_asked_for(most: int) -> None:
    model = policy(lambda number: f"{BAD}  # {number}")
    run(agent(model, attempts=6, reflections=most), DOUBLE)
    rewritten = [each for each in model.requests if kind(each) == RETRY]
    assert len(rewritten) == 5
    for trial, messages in enumerate(rewritten, start=1):
        assert messages[2]["content"] == f"{BAD}  # {trial}"
        noted = [number for number in range(1, 7) if f"lesson {number}" in shown(messages)]
        assert noted == list(range(1, trial + 1))[len(range(trial)) - min(trial, most) :]


def test_a_false_positive_ends_the_run_as_a_failure_and_is_counted(tmp_path: Path) -> None:
    model = policy(lambda number: BAD, tests="assert double(0) == 0")
    ran = improve(agent(model, attempts=5), [DOUBLE], folder=tmp_path / "r", grader=doubles)
    (trajectory,) = ran.trajectories()
    assert (trajectory.passed, trajectory.stop_reason, trajectory.stop_signal) == (False, "passed", "self")
    assert len(trajectory.attempts) == 1
    counts = count_self_tests(ran.trajectories())
    assert (counts.false_positives, counts.accepted_wrong, counts.rejected_right) == (1, 1, 0)


def test_a_wrong_self_test_keeps_a_right_program_going_and_is_counted(tmp_path: Path) -> None:
    model = policy(lambda number: RIGHT, tests="assert double(2) == 5\nassert double(1) == 2")
    ran = improve(agent(model), [DOUBLE], folder=tmp_path / "r", grader=doubles)
    (trajectory,) = ran.trajectories()
    assert (trajectory.passed, len(trajectory.attempts), trajectory.stop_reason) == (True, 2, "attempts")
    counts = count_self_tests(ran.trajectories())
    assert (counts.rejected_right, counts.false_negatives, counts.false_positives) == (1, 2, 0)


def test_the_last_attempt_is_graded_and_counts_though_an_earlier_one_did_better(tmp_path: Path) -> None:
    half = "def double(n): return 4"
    model = policy(lambda number: half if number == 1 else "def double(n): return -1")
    ran = improve(agent(model), [DOUBLE], folder=tmp_path / "r", grader=doubles)
    (trajectory,) = ran.trajectories()
    assert trajectory.chosen == 2
    assert [attempt.score for attempt in trajectory.attempts] == [0.0, 0.0]


def test_a_failing_first_attempt_that_is_the_only_one_is_graded_all_the_same(tmp_path: Path) -> None:
    model = policy(lambda number: RIGHT, tests="assert double(2) == 5")
    ran = improve(agent(model, attempts=1), [DOUBLE], folder=tmp_path / "r", grader=doubles)
    assert [each.passed for each in ran.trajectories()] == [True]
    assert kinds(model) == [WRITE, "first"]


def test_solved_tasks_cost_no_calls_in_later_trials_and_a_finished_run_costs_none(tmp_path: Path) -> None:
    tasks = [
        DOUBLE.replace(id=name, prompt=f"{DOUBLE.prompt}# {name}") for name in ("at once", "third", "never")
    ]

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        if kind(messages) in (WRITE, REFLECT):
            return TESTS if kind(messages) == WRITE else f"lesson after {text.count('v2') + 1}"
        solved = "at once" in text or ("third" in text and "v2" in text)
        return RIGHT if solved else f"{BAD}  # v2" if "v1" in text else f"{BAD}  # v1"

    model = ScriptedModel(script)
    ran = improve(agent(model, attempts=4), tasks, folder=tmp_path / "r", grader=doubles)
    calls = Counter(
        (each.task.id, int(call.place.split("/")[-3])) for each in ran.trajectories() for call in each.calls
    )
    assert {trial for name, trial in calls if name == "at once"} == {1}
    assert {trial for name, trial in calls if name == "third"} == {1, 2, 3}
    assert {trial for name, trial in calls if name == "never"} == {1, 2, 3, 4}
    before = model.calls
    improve(agent(model, attempts=4), tasks, folder=tmp_path / "r", grader=doubles)
    assert model.calls == before == sum(calls.values())


def test_a_repeated_action_ends_the_episode_and_success_is_looked_at_first() -> None:
    """The form for environments of many steps: the act node's rule, inside the reflecting loop."""

    class Opens(Doors):
        def step(self, action: str) -> Step:
            step = super().step(action)
            return step.replace(done=self.opened_twice(action))

        def opened_twice(self, action: str) -> bool:
            self.seen = [*getattr(self, "seen", []), action]
            return self.seen.count("3") == 2

    model = ScriptedModel(["1", "1", "look elsewhere", "3", "3"])
    state = run(
        reflect_and_retry(
            model=model, environment=Opens, critic=third_time, reflect=model, attempts=2, max_steps=49
        )
    )
    first, second = (*state["earlier"], state["attempt"])
    assert [step.action for step in first.steps] == ["1", "1"]
    assert (first.feedback.verdict, first.reflection.text) == ("fail", "look elsewhere")
    assert [step.done for step in second.steps] == [False, True]
    assert found_the_prize(second) == 1.0


@pytest.mark.parametrize(
    "reply", ["", "No tests come to mind.", "assert double(2 == 4", "# assert nothing", "x = 'assert'"]
)
def test_without_a_test_that_parses_the_first_attempt_does_not_pass(reply: str) -> None:
    model = policy(lambda number: BAD, tests=reply)
    state = run(agent(model), DOUBLE)
    assert (state["attempt"].number, state["attempt"].feedback.verdict) == (2, "unsure")
    assert state["stop_reason"] == "attempts"


def test_the_published_way_takes_no_tests_for_a_pass() -> None:
    state = run(agent(policy(tests="none"), untested="pass"), DOUBLE)
    assert (state["attempt"].number, state["stop_reason"], state["stop_signal"]) == (1, "passed", "self")


def test_at_most_so_many_tests_are_drawn_and_the_same_ones_again(tmp_path: Path) -> None:
    many = "\n".join(f"assert double({n}) == {2 * n}" for n in range(1, 30))

    def drawn(folder: str, seed: int) -> list[str]:
        ran = improve(agent(policy(tests=many), n_tests=3), [DOUBLE], folder=tmp_path / folder, seed=seed)
        (trajectory,) = ran.trajectories()
        assert {attempt.feedback.items["tests"] for attempt in trajectory.attempts} == {"3"}
        return [attempt.feedback.items["failed"] for attempt in trajectory.attempts]

    assert drawn("a", 1) == drawn("b", 1) != drawn("c", 2)


def test_one_test_is_asked_for_unless_told_otherwise() -> None:
    state = run(reflexion_code_agent(model=policy(), run_tests=in_this_process), DOUBLE)
    assert state["attempt"].feedback.items["tests"] == "1"


def test_visible_tests_take_the_place_of_written_ones() -> None:
    model = policy()

    def visible(task: Task) -> list[str]:
        assert task.hidden == {}
        tests: list[str] = task.public["tests"]
        return tests

    state = run(agent(model, visible=visible), DOUBLE)
    assert kinds(model) == ["first", REFLECT, RETRY]
    assert (state["stop_reason"], state["stop_signal"]) == ("passed", "public")
    assert state["attempt"].feedback.items["tests"] == "2"


def test_a_failed_pass_is_followed_by_one_with_new_tests_and_no_memory() -> None:
    model = policy(lambda number: RIGHT if number > 2 else BAD)
    state = run(agent(model, passes=3), DOUBLE)
    assert kinds(model) == [WRITE, "first", REFLECT, RETRY, WRITE, "first"]
    assert "lesson" not in shown(model.requests[-1]) and len(model.requests[-1]) == 2
    assert (state["best"].number, state["stop_reason"]) == (3, "passed")


def test_a_first_attempt_that_passes_ends_all_passes() -> None:
    model = policy(lambda number: RIGHT)
    run(agent(model, passes=3), DOUBLE)
    assert kinds(model) == [WRITE, "first"]


def test_each_pass_of_a_journaled_run_has_tests_of_its_own(tmp_path: Path) -> None:
    def fresh(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        written = f"assert double({sampling['seed']}) == -1"
        return written if kind(messages) == WRITE else "lesson" if kind(messages) == REFLECT else BAD

    ran = improve(agent(ScriptedModel(fresh), passes=2), [DOUBLE], folder=tmp_path / "r")
    (trajectory,) = ran.trajectories()
    first, again, second, last = (
        each.feedback.items["failed"] for each in trajectory.attempts if each.feedback
    )
    assert first == again != second == last


def test_the_last_attempt_counts_though_an_earlier_pass_had_no_tests_to_fail() -> None:
    tests = iter(["none", TESTS])

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return next(tests) if kind(messages) == WRITE else BAD

    state = run(agent(ScriptedModel(script), passes=2, attempts=1), DOUBLE)
    assert (state["best"].number, state["best"].feedback.verdict) == (2, "fail")


def test_it_ends_when_the_passes_are_spent() -> None:
    model = policy(lambda number: BAD)
    state = run(agent(model, passes=3, attempts=2), DOUBLE)
    assert (state["attempt"].number, state["stop_reason"]) == (6, "attempts")
    assert kinds(model).count(WRITE) == 3


def test_code_is_asked_for_at_temperature_0_and_words_at_two_tenths(tmp_path: Path) -> None:
    def asked(folder: str, **options: Any) -> dict[str, tuple[Any, Any]]:
        ran = improve(agent(policy(), **options), [DOUBLE], folder=tmp_path / folder)
        (trajectory,) = ran.trajectories()
        return {
            call.role: (call.sampling["temperature"], call.sampling.get("max_tokens"))
            for call in trajectory.calls
        }

    assert asked("a") == {"tests": (0.2, 1024), "actor": (0.0, 1024), "reflector": (0.2, 1024)}
    hot = ReflexionSampling(code={"temperature": 1.0})
    assert asked("b", sampling=hot)["actor"] == (1.0, None)


def test_hidden_tests_never_reach_a_prompt() -> None:
    for programs in (lambda number: BAD, lambda number: RIGHT):
        model = policy(programs)
        run(agent(model, attempts=3, passes=2), DOUBLE)
        assert SENTINEL not in str(model.requests)


def test_a_resumed_run_asks_for_nothing_that_is_stored_and_keeps_its_tests(tmp_path: Path) -> None:
    def once_more(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        if kind(messages) == WRITE:
            return f"{TESTS}\nassert double({sampling['seed'] % 97}) == 1"
        return "lesson" if kind(messages) == REFLECT else f"{BAD}  # {len(shown(messages))}"

    def go(folder: Path) -> tuple[Run, ScriptedModel]:
        model = ScriptedModel(once_more)
        return improve(
            agent(model, attempts=3, passes=2, n_tests=2), [DOUBLE], folder=folder, grader=doubles
        ), model

    whole, model = go(tmp_path / "whole")
    (wanted,) = whole.trajectories()
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again, asked = go(folder)
        assert [each.to_json() for each in again.trajectories()] == [wanted.to_json()]
        assert asked.calls == model.calls - sum(b'"kind":"call"' in line for line in lines[:cut])


@pytest.mark.parametrize("calls", range(1, 9))
def test_it_ends_within_its_budget_and_goes_on_with_a_larger_one(tmp_path: Path, calls: int) -> None:
    model = policy(lambda number: BAD)
    ran = improve(agent(model, attempts=4), [DOUBLE], folder=tmp_path / "r", budget=Budget(calls=calls))
    assert model.calls == min(calls, 8)
    (trajectory,) = ran.trajectories()
    assert trajectory.stop_reason == ("budget" if calls < 8 else "attempts")
    improve(agent(model, attempts=4), [DOUBLE], folder=tmp_path / "r", budget=Budget(calls=99))
    assert model.calls == 8


def test_tests_that_cannot_be_run_are_an_error_and_no_failure() -> None:
    async def broken(task: Task, program: str, tests: Sequence[str]) -> Sequence[Outcome]:
        raise EnvironmentFailed("no sandbox")

    state = run(reflexion_code_agent(model=policy(), run_tests=broken), DOUBLE)
    assert (state["stop_reason"], state["attempt"].feedback) == ("error", None)
    assert "no sandbox" in state["attempt"].error


def test_a_runner_that_leaves_a_test_out_is_an_error() -> None:
    async def forgets(task: Task, program: str, tests: Sequence[str]) -> Sequence[Outcome]:
        return [Outcome(test=test, passed=True) for test in tests[1:]]

    assert run(reflexion_code_agent(model=policy(), run_tests=forgets), DOUBLE)["stop_reason"] == "error"


def test_a_test_writer_that_fails_leaves_the_trajectory_unfinished(tmp_path: Path) -> None:
    def down(messages: Sequence[Any], sampling: dict[str, Any]) -> Any:
        return RuntimeError("down")

    ran = improve(agent(ScriptedModel(down)), [DOUBLE], folder=tmp_path / "r")
    assert (ran.figures.unfinished, ran.figures.trajectories) == (1, 0)
    improve(agent(policy()), [DOUBLE], folder=tmp_path / "r")
    assert Run(tmp_path / "r").figures.passed == 1


def test_a_model_brings_its_own_texts() -> None:
    model = policy()
    model.prompts = Prompts({"reflexion_code": "Only code."})
    run(agent(model), DOUBLE)
    assert model.requests[1][0]["content"] == "Only code."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
        ({"n_tests": 0}, "n_tests must be at least 1, got 0"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"reflections": -1}, "reflections must be at least 0, got -1"),
        ({"untested": "fail"}, "untested must be 'unsure' or 'pass'"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        agent(policy(), **options)


def test_it_works_inside_a_loop_of_ones_own() -> None:
    async def both() -> list[Any]:
        return list(await asyncio.gather(*(agent(policy()).ainvoke({"task": DOUBLE}) for _ in range(2))))

    assert [state["best"].number for state in asyncio.run(both())] == [2, 2]
