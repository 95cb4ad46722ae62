"""The debugger-like critic: the path of the call that failed, its values, and what a model makes of it."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Fact, Feedback, ScriptedModel, Step, Task, sees_hidden
from agentloop.critics import debugger_critic, self_test_critic
from agentloop.critics.debugger import Line, blocks_of, call_in, failing_call, path
from agentloop.environments.code import CodeEnvironment
from agentloop.errors import BadInput
from agentloop.hidden import public_attempt
from agentloop.nodes import Judge
from tests.code_twins import DOUBLE, in_this_process
from tests.twins import SENTINEL

PROGRAM = """def total(numbers):
    result = 0
    for number in numbers:
        result = result + 1
    return result"""
TASK = Task(id="total", prompt="Add the numbers up.", hidden={"tests": SENTINEL})
WRONG = Fact(
    kind="assertion",
    data={
        "test": "assert total([5, 7]) == 12",
        "call": "total([5, 7])",
        "wanted": "12",
        "got": "2",
        "line": 1,
    },
)


SANDBOX: list[CodeEnvironment] = []


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[CodeEnvironment]:
    """One sandbox for all tests of this file."""
    SANDBOX.append(CodeEnvironment(require="any", workers=1))
    yield SANDBOX[0]
    SANDBOX.pop().close()


async def traced(task: Task, program: str, call: str) -> Fact:
    assert task.hidden == {}, "hidden data is not the tracer's"
    return await SANDBOX[0].trace(task.replace(public={"entry_point": call.partition("(")[0]}), program, call)


def attempted(program: str = PROGRAM, *facts: Fact, hidden: tuple[Fact, ...] = ()) -> Attempt:
    step = Step(action=program, observation="-", facts=(Fact(kind="program", data={"text": program}), *facts))
    return Attempt(
        id="t/1", trajectory="t", task=TASK, number=1, text=f"Here:\n{program}", steps=(step,), facts=hidden
    )


def wrong(attempt: Attempt) -> Feedback:
    return Feedback(text="It is wrong.", verdict="fail", score=0.25, source="x")


def told(attempt: Attempt, **options: Any) -> Feedback:
    critic: Any = debugger_critic(traced, **{"critic": wrong, **options})
    feedback: Feedback = asyncio.run(critic(attempt))
    return feedback


def test_the_path_of_the_failing_call_is_told_with_the_values_that_changed() -> None:
    said = told(attempted(PROGRAM, WRONG)).text.splitlines()
    assert said[0] == "It is wrong."
    assert "`total([5, 7])`" in said[2]
    assert said[3:] == [
        "line 1: def total(numbers):    # numbers = [5, 7]",
        "line 2: result = 0    # result = 0",
        "line 3: for number in numbers:    # number = 5",
        "line 4: result = result + 1    # result = 1",
        "line 3: for number in numbers:    # number = 7",
        "line 4: result = result + 1    # result = 2",
        "line 3: for number in numbers:",
        "line 5: return result    # returned 2",
        "It returned 2.",
    ]


def test_verdict_and_score_stay_those_of_the_critic_it_adds_to() -> None:
    feedback = told(attempted(PROGRAM, WRONG))
    assert (feedback.verdict, feedback.score, feedback.source) == ("fail", 0.25, "x")


def test_the_critic_over_facts_speaks_first_unless_another_is_given() -> None:
    verdict = Fact(kind="tests_passed", data={"passed": False, "why": "assert", "count": 0, "total": 1})
    text = told(attempted(PROGRAM, verdict, WRONG), critic=None).text
    assert text.index("gives a wrong result") < text.index("line 2:")


def test_nothing_is_guessed_without_a_model() -> None:
    assert "wrong" not in told(attempted(PROGRAM, WRONG)).text.removeprefix("It is wrong.")


def test_an_attempt_in_which_no_call_failed_is_left_as_it_is() -> None:
    assert told(attempted(PROGRAM)) == wrong(attempted(PROGRAM))
    load = Fact(kind="load_error", data={"type": "SyntaxError", "message": "invalid syntax"})
    assert told(attempted("def total(", load)).text == "It is wrong."
    assert told(attempted(PROGRAM).replace(steps=())).text == "It is wrong."


def test_a_call_that_raises_is_told_up_to_where_it_did() -> None:
    raised = Fact(kind="exception", data={"type": "TypeError", "message": "-", "call": "total(3)"})
    said = told(attempted(PROGRAM, raised)).text
    assert "line 3: for number in numbers:    # raised TypeError" in said
    assert "It ended with TypeError: 'int' object is not iterable." in said


def test_a_long_path_is_told_by_its_two_ends() -> None:
    long = Fact(kind="timeout", data={"seconds": 3, "call": f"total({list(range(100))})"})
    said = told(attempted(PROGRAM, long), most_lines=7).text
    lines = [line for line in said.splitlines() if line.startswith("line ")]
    assert (len(lines), "... 197 lines ..." in said) == (7, True)
    assert (lines[0][:7], lines[-1][:7]) == ("line 1:", "line 5:")
    assert max(len(line) for line in lines) < 300


def test_a_path_that_was_cut_says_so_and_one_that_could_not_be_had_says_why() -> None:
    async def endless(task: Task, program: str, call: str) -> Fact:
        line = {"line": 1, "source": "while True:", "values": {}}
        return Fact(kind="trace", data={"lines": [line], "cut": True, "error": "TIMEOUT"})

    async def broken(task: Task, program: str, call: str) -> Fact:
        return Fact(
            kind="trace", data={"lines": [], "error": "NameError: name 'x' is not defined", "cut": False}
        )

    attempt = attempted(PROGRAM, WRONG)
    first, second = (asyncio.run(debugger_critic(each, critic=wrong)(attempt)) for each in (endless, broken))
    assert first.text.endswith("Some of it was not recorded. It ended with TIMEOUT.")
    assert second.text.endswith("It ended with NameError: name 'x' is not defined.")


def test_the_program_is_the_one_that_was_run_and_not_the_reply_around_it() -> None:
    seen: list[str] = []

    async def trace(task: Task, program: str, call: str) -> Fact:
        seen.append(program)
        return Fact(kind="trace", data={"lines": [], "result": "1"})

    asyncio.run(debugger_critic(trace, critic=wrong)(attempted(PROGRAM, WRONG)))  # type: ignore[arg-type]
    assert seen == [PROGRAM]


def test_the_path_of_a_hidden_test_is_never_shown() -> None:
    hidden = WRONG.replace(hidden=True)
    for attempt in (attempted(PROGRAM, hidden), attempted(PROGRAM, hidden=(hidden,))):
        assert told(attempt).text == "It is wrong."

    async def judge() -> Any:
        critic = sees_hidden(debugger_critic(traced, critic=wrong))
        return await Judge(critic)({"attempt": attempted(PROGRAM, hidden)}, _Runtime())  # type: ignore[arg-type]

    feedback = asyncio.run(judge())["attempt"].feedback
    assert "line 2" not in feedback.text and SENTINEL not in feedback.text


class _Runtime:
    context = None


def test_a_critic_that_is_async_can_be_added_to_and_its_signal_stays() -> None:
    """Over self-written tests the path is that of the first one that failed."""
    tester = ScriptedModel(lambda messages, sampling: "assert double(2) == 4\nassert double(3) == 6")
    critic: Any = debugger_critic(traced, critic=self_test_critic(tester, in_this_process))
    program = "def double(n):\n    return n"
    attempt = Attempt(id="d/1", trajectory="d", task=DOUBLE, number=1, text=program)
    feedback = asyncio.run(critic(attempt))
    assert (
        "`double(2)`, line by line" in feedback.text and "line 2: return n    # returned 2" in feedback.text
    )
    assert critic.signal == "self"
    assert not inspect.iscoroutinefunction(critic)


def reader(reply: str) -> ScriptedModel:
    return ScriptedModel(lambda messages, sampling: reply)


def test_a_model_reads_the_path_block_by_block_and_the_first_wrong_one_is_told() -> None:
    model = reader("Block 1: correct: sets up\n**Block 4: wrong: adds 1, not number**\nBlock 8: wrong: x")
    feedback = told(attempted(PROGRAM, WRONG), model=model, sampling={"temperature": 0.0})
    assert feedback.text.endswith("looks wrong is at line 4: adds 1, not number")
    assert (feedback.items["block"], feedback.usage.calls, model.calls) == ("4", 1, 1)
    asked = model.requests[0][0]["content"]
    assert "Block 4:\nline 4: result = result + 1    # result = 1" in asked
    assert all(part in asked for part in (TASK.prompt, "It is wrong.", PROGRAM))
    assert SENTINEL not in asked


def test_a_model_that_calls_every_block_right_adds_nothing() -> None:
    feedback = told(attempted(PROGRAM, WRONG), model=reader("Block 1: correct: fine"))
    assert "looks wrong" not in feedback.text and feedback.items == {}


@pytest.mark.parametrize(
    "reply", ["", "It all looks odd.", "Block 99: wrong: no such block", "Block 0: wrong: none"]
)
def test_a_reply_that_cannot_be_read_is_said_to_be_so(reply: str) -> None:
    feedback = told(attempted(PROGRAM, WRONG), model=reader(reply))
    assert "looks wrong" not in feedback.text and feedback.items == {"parse": "failed"}


def test_a_model_is_not_asked_where_there_is_no_path() -> None:
    model = reader("Block 1: wrong: x")
    told(attempted(PROGRAM), model=model)
    assert model.calls == 0


def test_of_many_blocks_the_first_and_the_last_are_read() -> None:
    many = Fact(kind="assertion", data={"test": "-", "call": f"total({list(range(30))})"})
    model = reader("Block 1: correct: x")
    told(attempted(PROGRAM, many), model=model, most_blocks=4)
    asked = model.requests[0][0]["content"]
    assert [number for number in range(1, 99) if f"\nBlock {number}:\nline" in asked] == [1, 2, 63, 64]


def line(number: int, block: int = 1, function: str = "f") -> Line:
    return Line(number, "x", function=function, block=block)


def test_a_block_is_told_as_often_as_it_was_run_through() -> None:
    def numbers(*lines: Line) -> list[list[int]]:
        return [[each.number for each in block] for block in blocks_of(lines)]

    assert numbers(line(1), line(2), line(3, 2), line(4, 2)) == [[1, 2], [3, 4]]
    assert numbers(line(1), line(2), line(1), line(2), line(2)) == [[1, 2], [1, 2], [2]]
    assert numbers(line(1), line(2, function="g")) == [[1], [2]]


@given(st.lists(st.builds(line, st.integers(1, 5), st.integers(0, 3), st.sampled_from("fg"))))
def test_the_blocks_are_the_path_and_nothing_else(steps: list[Line]) -> None:
    blocks = blocks_of(steps)
    assert [each for block in blocks for each in block] == steps
    assert all(block for block in blocks)


def test_a_trace_that_tells_no_more_than_lines_is_enough() -> None:
    (bare,) = path([{"line": -2, "source": "  import math"}])
    assert bare.told() == "import math"


def test_the_failing_call_is_the_first_that_a_public_fact_names() -> None:
    raised = Fact(kind="exception", data={"type": "E", "message": "", "call": "total(1)"})
    nameless = WRONG.replace(data={"test": "assert x"})
    assert failing_call(attempted(PROGRAM, nameless, raised, WRONG)) == "total(1)"
    assert failing_call(attempted(PROGRAM, Fact(kind="output", data={"call": "f(1)"}))) is None
    assert failing_call(attempted(PROGRAM, WRONG.replace(hidden=True))) is None
    assert (call_in("assert f(g(1)) == 2"), call_in("assert x == 1")) == ("f(g(1))", None)


def test_a_mistake_of_the_caller_is_raised_at_once() -> None:
    with pytest.raises(BadInput, match="most_lines must be at least 2"):
        debugger_critic(traced, most_lines=1)
    with pytest.raises(BadInput, match="most_blocks must be at least 2"):
        debugger_critic(traced, most_blocks=0)


def test_over_a_code_environment_the_path_is_that_of_the_public_test_that_failed(
    environment: CodeEnvironment,
) -> None:
    task = Task(
        id="total",
        prompt="Add the numbers up.",
        public={"entry_point": "total", "tests": ["assert total([]) == 0", "assert total([5, 7]) == 12"]},
        hidden={"tests": f"assert total([1]) == 1  # {SENTINEL}"},
    )

    async def judged() -> Feedback:
        session = environment(task)
        step = await session.step(f"```python\n{PROGRAM}\n```")
        facts = tuple(await session.final())
        attempt = Attempt(
            id="t/1", trajectory="t", task=task, number=1, text=step.action, steps=(step,), facts=facts
        )
        critic: Any = debugger_critic(environment.trace)
        feedback: Feedback = await critic(public_attempt(attempt))
        return feedback

    feedback = asyncio.run(judged())
    assert feedback.verdict == "fail"
    for part in ("`total([5, 7])`", "12", "line 4: result = result + 1    # result = 2", "It returned 2."):
        assert part in feedback.text
    assert SENTINEL not in feedback.text
