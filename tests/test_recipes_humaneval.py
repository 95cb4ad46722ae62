"""Reflexion for programming over the 82 HumanEval tasks, in the sandbox, with a policy that errs.

The policy starts from the reference solution with a bug planted in its syntax tree, and repairs it once
a reflection names a failed test. Its own tests are taken from the problem's, or are wrong on purpose.
"""

import ast
import asyncio
import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentloop import Feedback, Run, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.critics import count_self_tests
from agentloop.environments.code import CodeEnvironment, code_passes, humaneval
from agentloop.recipes import reflexion_code_agent
from tests.code_twins import shown
from tests.twins import SENTINEL

pytestmark = [pytest.mark.data, pytest.mark.slow]

KINDS = ("solved", "false positive", "slow", "untested", "wrong test")
"""What is special about every sixth task; the others are solved at the second attempt."""


class Planted(NamedTuple):
    """A task, the program with a bug, a test that shows it, and the value that the bug brings."""

    task: Task
    kind: str
    bug: str
    test: str
    got: str

    def own_tests(self) -> str:
        call = self.test.removeprefix("assert ").rpartition(" == ")[0]
        return {
            "false positive": f"assert {call} == {self.got}",
            "untested": "There is nothing to test.",
            "wrong test": f"assert {call} == 'never this'",
        }.get(self.kind, self.test)


def mutants(program: str) -> Iterator[str]:
    """The program with one thing changed: a comparison, an operator, a number, or what it returns."""
    tree = ast.parse(program)
    places = [at for at, node in enumerate(ast.walk(tree)) if _changed(copy.deepcopy(node)) is not None]
    for place in places:
        changed = copy.deepcopy(tree)
        node = list(ast.walk(changed))[place]
        fresh = _changed(node)
        assert fresh is not None
        node.__dict__.update(fresh.__dict__)
        yield ast.unparse(changed)


def _changed(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Lt, ast.Gt, ast.Eq)):
        flipped = {ast.Lt: ast.GtE(), ast.Gt: ast.LtE(), ast.Eq: ast.NotEq()}[type(node.ops[0])]
        node.ops[0] = flipped
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        node.value = node.value + 1
    elif isinstance(node, ast.Return) and node.value is not None:
        node.value = ast.Constant(None)
    else:
        return None
    return node


def plain_tests(task: Task) -> list[str]:
    """The problem's tests that hold a call against a plain value, as a model might write them."""
    found = []
    for node in ast.walk(ast.parse(task.hidden["tests"])):
        if not isinstance(node, ast.Assert) or not isinstance(node.test, ast.Compare):
            continue
        left, wanted = node.test.left, node.test.comparators[0]
        called = (
            isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "candidate"
        )
        if called and isinstance(node.test.ops[0], ast.Eq) and _literal(ast.unparse(wanted)):
            left.func.id = task.public["entry_point"]  # type: ignore[attr-defined]
            found.append(f"assert {ast.unparse(left)} == {ast.unparse(wanted)}")
    return found[:6]


def _literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True


async def planted(environment: CodeEnvironment, task: Task, kind: str) -> Planted | None:
    """The task with the first bug that one of its tests shows.

    None where no test of it reads plainly: such a task keeps its reference solution, untested.
    """
    public = task.replace(hidden={})
    right = [
        each
        for each in await environment.run_tests(public, task.hidden["solution"], plain_tests(task))
        if each.passed
    ]
    for bug in mutants(task.hidden["solution"]) if right else ():
        for each in await environment.run_tests(public, bug, [each.test for each in right]):
            if not each.passed and _literal(each.got) and each.got != "TIMEOUT":
                return Planted(task, kind, bug, each.test, each.got)
    return None


def policy(cases: Sequence[Planted]) -> ScriptedModel:
    """Answers from what it is shown alone, so that a run can be cut off and resumed."""

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        case = next(each for each in cases if each.task.prompt.strip() in text)
        if "Write tests for" in text:
            return f"```python\n{case.own_tests()}\n```"
        version = max([int(each) for each in re.findall(r"# version (\d+)", text)], default=0)
        if "Say in a few sentences" in text:
            failed = re.search(r"^(assert .*)  # got: ", text, re.MULTILINE)
            return f"Lesson {version}: " + (f"`{failed.group(1)}` fails." if failed else "no idea.")
        located = f"Lesson {version}: `assert" in text and case.test in text
        repaired = case.kind == "solved" or (located and (case.kind != "slow" or version >= 2))
        program = case.task.hidden["solution"] if repaired else case.bug
        return f"```python\n{program}\n# version {version + 1}\n```"

    return ScriptedModel(script)


class Ran(NamedTuple):
    cases: dict[str, Planted]
    run: Run
    model: ScriptedModel
    agent: Any
    again: int


@pytest.fixture(scope="module")
def environment() -> Iterator[CodeEnvironment]:
    made = CodeEnvironment(require="any", workers=2, test_seconds=2.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cases(data: Path, environment: CodeEnvironment) -> list[Planted]:
    marked = [
        task.replace(hidden={**task.hidden, "tests": f"{task.hidden['tests']}\n# {SENTINEL}\n"})
        for task in humaneval(data / "humaneval" / "problems.jsonl", public="none")
    ]
    assert len(marked) == 82

    async def plant() -> list[Planted | None]:
        kinds = [KINDS[(at // 6) % len(KINDS)] if at % 6 == 0 else "second" for at in range(82)]
        return [await planted(environment, task, kind) for task, kind in zip(marked, kinds, strict=True)]

    made = asyncio.run(plant())
    pairs = zip(marked, made, strict=True)
    return [each or Planted(task, "untested", task.hidden["solution"], "", "") for task, each in pairs]


@pytest.fixture(scope="module")
def ran(cases: list[Planted], environment: CodeEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    model, folder = policy(cases), tmp_path_factory.mktemp("humaneval") / "run"
    agent = reflexion_code_agent(
        model=model, run_tests=environment.run_tests, environment=environment, attempts=4, n_tests=6
    )
    tasks = [case.task for case in cases]
    improve(agent, tasks, folder=folder, grader=code_passes, concurrency=4)
    asked = model.calls
    improve(agent, tasks, folder=folder, grader=code_passes, concurrency=4)
    return Ran({case.task.id: case for case in cases}, Run(folder), model, agent, model.calls - asked)


def of(ran: Ran, *kinds: str) -> list[Any]:
    found = [each for each in ran.run.trajectories() if ran.cases[each.task.id].kind in kinds]
    assert found, kinds
    return found


def test_a_bug_that_a_test_shows_is_planted_in_most_tasks(cases: list[Planted]) -> None:
    counted = Counter(case.kind for case in cases)
    assert counted["second"] >= 55
    assert all(counted[kind] >= 2 for kind in KINDS)


def test_every_task_is_judged_and_none_is_left_unfinished(ran: Ran) -> None:
    figures = ran.run.figures
    assert (figures.trajectories, figures.unfinished, figures.errors) == (82, 0, Counter())


def test_the_bug_is_repaired_once_a_reflection_names_the_failed_test(ran: Ran) -> None:
    for kind, attempts in (("solved", 1), ("second", 2), ("slow", 3)):
        for trajectory in of(ran, kind):
            assert (trajectory.passed, len(trajectory.attempts)) == (True, attempts), trajectory.id
            assert (trajectory.stop_reason, trajectory.stop_signal) == ("passed", "self")


def test_every_failed_attempt_but_the_last_leaves_exactly_one_reflection(ran: Ran) -> None:
    for trajectory in ran.run.trajectories():
        noted = [attempt.reflection is not None for attempt in trajectory.attempts]
        assert noted == [True] * (len(noted) - 1) + [False]
        assert [call.role for call in trajectory.calls].count("reflector") == len(noted) - 1


def test_every_rewriting_is_shown_one_reflection_the_newest(ran: Ran) -> None:
    for trajectory in ran.run.trajectories():
        for attempt in trajectory.attempts:
            (place,) = [each for each in attempt.calls if "/act/" in each]
            lessons = set(re.findall(r"Lesson (\d+)", shown(trajectory.call(place).messages)))
            assert lessons == ({str(attempt.number - 1)} if attempt.number > 1 else set())


def test_a_false_positive_ends_the_run_as_a_failure_and_is_counted(ran: Ran) -> None:
    for trajectory in of(ran, "false positive"):
        assert (trajectory.passed, trajectory.stop_reason, len(trajectory.attempts)) == (False, "passed", 1)
    counts = count_self_tests(ran.run.trajectories())
    assert counts.false_positives == counts.accepted_wrong == len(of(ran, "false positive"))


def test_a_wrong_test_or_none_keeps_it_going_to_the_last_attempt_which_is_graded(ran: Ran) -> None:
    for trajectory in of(ran, "untested", "wrong test"):
        assert (trajectory.stop_reason, trajectory.chosen, len(trajectory.attempts)) == ("attempts", 4, 4)
        assert all(attempt.score is not None for attempt in trajectory.attempts)


def test_a_repeated_action_ends_the_episode(
    cases: list[Planted], environment: CodeEnvironment, tmp_path: Path
) -> None:
    """In the form of many steps: the same program brings the same observation, and the attempt is over."""

    def fails(attempt: Any) -> Feedback:
        return Feedback(text="It fails.", verdict="fail")

    stubborn = ScriptedModel(
        lambda messages, sampling: next(
            each.bug for each in cases if each.task.prompt.strip() in shown(messages)
        )
    )
    agent = reflect_and_retry(
        model=stubborn, environment=environment, critic=fails, attempts=1, max_steps=49, stop=[]
    )
    ended = improve(agent, [case.task for case in cases], folder=tmp_path / "r", grader=code_passes)
    assert {len(attempt.steps) for each in ended.trajectories() for attempt in each.attempts} == {2}
    assert stubborn.calls == 2 * len(cases)


def test_solved_tasks_cost_no_calls_in_later_trials_and_a_finished_run_costs_none(ran: Ran) -> None:
    last = {"solved": 1, "false positive": 1, "second": 2, "slow": 3}
    for trajectory in of(ran, *last):
        trials = {int(call.place.rsplit("/", 3)[1]) for call in trajectory.calls}
        assert max(trials) == last[ran.cases[trajectory.task.id].kind]
    assert ran.again == 0
    assert ran.model.calls == ran.run.figures.usage.calls


def test_hidden_tests_reach_no_prompt(ran: Ran) -> None:
    assert SENTINEL not in str(ran.model.requests)
