"""The code environment with a real sandbox: what a session shows, the same each time, and whole runs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentloop import improve, reflect_and_retry, sees_hidden
from agentloop.critics import execution_critic
from agentloop.environments.code import CodeEnvironment, code_passes, humaneval, small_tasks
from agentloop.errors import BadInput
from agentloop.models.programmer import programmer
from agentloop.types import Attempt, Step, Task

HEAD = 'def f(x):\n    """Next."""\n'
TASK = Task(
    id="t",
    prompt=HEAD,
    public={
        "entry_point": "f",
        "prompt_code": HEAD,
        "tests": ["assert f(1) == 2", "assert f(2) == 3", "assert f(-1) == 0"],
    },
    hidden={"tests": "assert f(777123) == 777124"},
)


@pytest.fixture(scope="module")
def environment() -> Iterator[CodeEnvironment]:
    made = CodeEnvironment(timeout_seconds=1.0, test_seconds=1.0)
    yield made
    made.close()


def stepped(environment: CodeEnvironment, *actions: str, task: Task = TASK) -> tuple[list[Step], Attempt]:
    async def make() -> tuple[list[Step], Attempt]:
        session = environment(task)
        steps = [await session.step(action) for action in actions]
        made = Attempt(
            id="a",
            trajectory="x",
            task=task,
            number=1,
            text=actions[-1],
            steps=tuple(steps),
            facts=tuple(await session.final()),
        )
        await session.close()
        return steps, made

    return asyncio.run(make())


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("    return x + 1", "All 3 public tests passed."),
        ("def f(x):\n    return x + 1", "All 3 public tests passed."),
        (
            "    return x * 2",
            "1 of 3 public tests passed.\nFailed: assert f(2) == 3\nf(2) returned 4; wanted 3",
        ),
        (
            "    return x[0]",
            "f(1) raised TypeError: 'int' object is not subscriptable\n  line 1, in f: return x[0]",
        ),
        ("    return (x", "could not be loaded: SyntaxError at line 1"),
        ("def g(x):\n    return x", "The program does not define f. It defines: g."),
        ("    while True: pass", "stopped after 1 seconds"),
        ("    return [0] * 10**11", "ran out of its memory of 1024 MiB"),
        ("    import os; os._exit(0)", "left with exit code 0"),
        ("    print('noise')\n    return x", "It printed:\nnoise"),
        ("```python h.py\nstep = 1\n```\n```python\nimport h\ndef f(x): return x + h.step\n```", "All 3"),
    ],
)
def test_a_session_shows_what_running_the_program_brought(
    environment: CodeEnvironment, action: str, shown: str
) -> None:
    (step,), _ = stepped(environment, action)
    assert shown in step.observation


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("    return x", "The program can be loaded. There are no public tests, so nothing was tested."),
        (
            "```python\nx = (\n```",
            "The program could not be loaded: SyntaxError at line 1: '(' was never closed\n  x = (",
        ),
        ("def g(x): return x", "The program does not define f. It defines: g."),
        ("def f(x): return x\n1 / 0", "could not be loaded: ZeroDivisionError at line 2: division by zero"),
        ("def f(x): return x\nwhile True: pass", "It was stopped after 1 seconds."),
    ],
)
def test_without_public_tests_a_program_is_loaded_and_no_more(
    environment: CodeEnvironment, action: str, shown: str
) -> None:
    task = TASK.replace(public={"entry_point": "f", "prompt_code": HEAD})
    (step,), _ = stepped(environment, action, task=task)
    assert shown in step.observation


CHANGING = [
    "    while True: x += 1; y = x; z = y",
    "    n = 0\n    while True:\n        n += 1; print(n, 'x' * 9999)",
    "    import time\n    n = 0\n    while True:\n        n += 1; print(n, 'x' * 99); time.sleep(0.0007)",
    "    return object()",
    "    return {'a', 'b', 'c', 'd', str(x)}",
    "    raise ValueError({'a', 'b', 'c', str(x)})",
    "    return f(x)",
    "    return lambda: x",
    "    print(object(), id)\n    return x",
]


@pytest.mark.slow
@pytest.mark.parametrize("action", CHANGING)
def test_a_step_that_is_repeated_brings_the_same_observation(
    environment: CodeEnvironment, action: str
) -> None:
    """A run that was cut off repeats its recorded steps, and must find the same."""
    seen = {stepped(environment, action)[0][0].observation for _ in range(3)}
    with_another = CodeEnvironment(timeout_seconds=1.0)
    try:
        seen.add(stepped(with_another, action)[0][0].observation)
    finally:
        with_another.close()
    assert len(seen) == 1, seen


def test_an_edit_is_run_on_the_last_program(environment: CodeEnvironment) -> None:
    edit = "<<<<<<< SEARCH\n    return x\n=======\n    return x + 1\n>>>>>>> REPLACE"
    steps, attempt = stepped(environment, "def f(x):\n    return x", edit)
    assert [step.done for step in steps] == [False, True]
    assert code_passes(attempt) == 1.0


def test_a_program_that_passes_public_tests_by_knowing_them_fails_the_hidden_ones(
    environment: CodeEnvironment,
) -> None:
    _, attempt = stepped(environment, "    return {1: 2, 2: 3, -1: 0}.get(x)")
    assert code_passes(attempt) == 0.0
    feedback = execution_critic()(attempt)
    assert feedback.text == (
        "0 of 1 hidden tests passed. The result for an input that is not shown is wrong. "
        "It is None there: does every path return a value?"
    )


TELLING = [
    "    raise ValueError(f'it is {x}')",
    "    raise type(f'it is {x}', (Exception,), {})()",
    "    import os; os._exit(x % 251)",
    "    return type(f'it is {x}', (), {})()",
    "    print(x)\n    return x",
    "    exec(f'def it_is_{x}(): raise ValueError({x})\\nit_is_{x}()')",
    "    assert False, x",
]


@pytest.mark.parametrize("action", TELLING)
def test_a_program_cannot_tell_a_hidden_input_through_the_critic(
    environment: CodeEnvironment, action: str
) -> None:
    _, attempt = stepped(environment, action.replace("    ", "    if abs(x) < 9: return x + 1\n    ", 1))
    feedback = execution_critic()(attempt)
    assert feedback.verdict == "fail"
    assert "777123" not in feedback.to_json()


def test_each_test_is_run_alone(environment: CodeEnvironment) -> None:
    tests = ["assert f(1) == 2", "assert f(2) == 9", "assert f('a') == 1", "while True: f(1)"]
    found = asyncio.run(environment.run_tests(TASK, "    return x + 1", tests))
    assert [each.passed for each in found] == [True, False, False, False]
    assert found[1].got == "3"
    assert found[2].got == 'TypeError: can only concatenate str (not "int") to str'


def test_a_trace_shows_the_values_along_the_lines_of_the_agent(environment: CodeEnvironment) -> None:
    fact = asyncio.run(environment.trace(TASK, "    y = x + 1\n    return y", "f(1)"))
    assert [(each["line"], each["values"]) for each in fact.data["lines"]][-2:] == [(1, {"y": "2"}), (2, {})]
    assert fact.data["result"] == "2"


def test_tests_in_the_programs_own_process_are_marked_as_forgeable(environment: CodeEnvironment) -> None:
    task = Task(
        id="s",
        prompt="Write a class A.",
        public={"mode": "script", "tests": "assert A().one() == 1"},
        hidden={"tests": "assert A().one() + A().one() == 2"},
    )
    _, attempt = stepped(environment, "class A:\n    def one(self):\n        return 1", task=task)
    assert code_passes(attempt) == 1.0
    assert attempt.facts[0].data["forgeable"] is True


def runs(tasks: list[Task], folder: Path, environment: CodeEnvironment, critic: Any) -> Any:
    model = programmer({task.prompt: task.hidden["solution"] for task in tasks})
    agent = reflect_and_retry(model=model, environment=environment, critic=critic, attempts=2)
    return improve(agent, tasks, folder=folder, grader=code_passes).figures


def test_located_words_let_the_next_attempt_pass_and_a_binary_one_does_not(
    environment: CodeEnvironment, tmp_path: Path
) -> None:
    tasks = small_tasks()[::6]
    told = runs(tasks, tmp_path / "a", environment, execution_critic("located"))
    blind = runs(tasks, tmp_path / "b", environment, execution_critic("binary"))
    assert (told.passed, blind.passed) == (len(tasks), 0)


@pytest.mark.slow
@pytest.mark.data
def test_problems_of_humaneval_with_examples_are_solved_at_the_second_attempt(
    environment: CodeEnvironment, tmp_path: Path, data: Path
) -> None:
    tasks = [task for task in humaneval(data / "humaneval/problems.jsonl") if task.public.get("tests")]
    figures = runs(tasks, tmp_path, environment, execution_critic("explained"))
    assert (figures.passed, len(tasks)) == (38, 38)
    # The examples of one problem contradict its reference: public tests never stop that one.
    assert figures.stopped["passed"] == 37


def test_what_a_privileged_critic_says_of_a_run_names_no_hidden_value(
    environment: CodeEnvironment, tmp_path: Path
) -> None:
    task = TASK.replace(public={"entry_point": "f", "prompt_code": HEAD})
    model = programmer({HEAD: "def f(x):\n    return x + 1"}, heeds=lambda words: False)
    agent = reflect_and_retry(
        model=model, environment=environment, critic=sees_hidden(execution_critic()), attempts=3
    )
    improve(agent, [task], folder=tmp_path, grader=code_passes)
    shown = "".join(message["content"] for request in model.requests for message in request)
    assert "hidden tests passed" in shown
    assert "777123" not in shown
    assert "777124" not in shown


def test_isolation_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="full, strong, any"):
        CodeEnvironment(require="weak")  # type: ignore[arg-type]


HOSTILE = [
    "def f(x):\n    return '\ud800'",
    "def f(x):\n    raise ValueError('\\ud800')",
    "def f(x):\n    print('\\ud800')",
    "<<<<<<< SEARCH\n\ud800\n=======\n",
    "def f(x):\n    return 1 \0",
    "```python \ud800.py\nx = 1\n```\n```python\ndef f(x): return 1\n```",
    "```python " + "a/" * 300 + "x.py\nx = 1\n```\n```python\ndef f(x): return 1\n```",
    "```python program.py\nx = 1\n```\n```python\ndef f(x): return 1\n```",
    "```python a\nx = 1\n```\n```python a/b.py\ny\n```\n```python\ndef f(x): return 1\n```",
    "```python a.py\nx = 1\n```\n```python a.py/b.py\ny\n```\n```python\ndef f(x): return 1\n```",
    "def f(x):\n    return " + "(" * 3_000 + "1" + ")" * 3_000,
    "def f(x):\n    return 1\n#" + "y" * 3_000_000,
    "```python\n" + "x = 1\n" * 200_000 + "```",
    "".join(f"```python m{number}.py\nx = 1\n```\n" for number in range(3_000)) + "```python\nx = 1\n```",
    "# -*- coding: no-such-code -*-\ndef f(x): return 1",
    "\ufeffdef f(x):\n    return 1",
    "def f(x):\r\n    return 1\r\n",
]


@pytest.mark.parametrize("reply", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_reply_holds_it_is_a_failure_of_the_reply_and_not_an_error(
    environment: CodeEnvironment, reply: str
) -> None:
    (step,), attempt = stepped(environment, reply)
    assert not step.done
    assert step.observation
    assert code_passes(attempt) == 0.0
    written = attempt.replace(text="", steps=(step.replace(action=""),)).to_json()
    assert Attempt.from_json(written).facts == attempt.facts
