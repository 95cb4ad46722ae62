"""CRITIC for programs: two calls an iteration, the report in view, the stop rule inside the loop."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Budget, Fact, Run, ScriptedModel, Step, Task, improve, oracle
from agentloop.environments.code import CodeEnvironment
from agentloop.errors import BadInput
from agentloop.recipes import critic_code_agent
from agentloop.recipes.critic_code import base_of, printed_answer, program_of, unchanged, without_comments
from tests.twins import SENTINEL, run

TASK = Task(id="sum", prompt="What is two and two?", hidden={"answer": "4", "mark": SENTINEL})
CRITIQUE, RETRY = "What is wrong with this program?", "write it now"


class Interpreter:
    """A fake interpreter: runs our own programs here and counts how often."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.opened = self.closed = 0

    def __call__(self, task: Task) -> "Interpreter":
        self.opened += 1
        return self

    def prompt(self) -> str:
        return TASK.prompt

    def step(self, action: str) -> Step:
        self.ran.append(action)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(action, {})
        except Exception as error:
            failed = Fact(kind="exception", data={"type": type(error).__name__, "message": str(error)})
            return Step(action=action, observation=f"It raised {error!r}", facts=(failed,))
        facts = (Fact(kind="output", data={"text": printed.getvalue()}),)
        return Step(action=action, observation="It ran.", facts=facts)

    def final(self) -> list[Fact]:
        return [Fact(kind="end", data={"mark": SENTINEL}, hidden=True)]

    def close(self) -> None:
        self.closed += 1


def shown(messages: Sequence[Any]) -> str:
    return "\n".join(message["content"] for message in messages)


def kinds(model: ScriptedModel) -> list[str]:
    return [
        next((name for name in (RETRY, CRITIQUE) if name in shown(each)), "first") for each in model.requests
    ]


def says(*programs: str, critique: str = "It adds wrongly.") -> ScriptedModel:
    """Writes the programs one after the other, and between two of them a critique."""
    waiting = list(programs)

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return critique if messages[-1]["content"].count(CRITIQUE) else waiting.pop(0)

    return ScriptedModel(script)


def right(attempt: Attempt) -> float:
    return float(printed_answer(attempt) == attempt.task.hidden["answer"])


def numbers(state: dict[str, Any]) -> list[str | None]:
    return [printed_answer(each) for each in (*state["earlier"], state["attempt"])]


def test_an_iteration_is_a_critique_and_a_new_program_which_is_run() -> None:
    model, interpreter = says("print(1)", "print(2)", "print(3)"), Interpreter()
    state = run(critic_code_agent(model=model, environment=interpreter, iterations=2), TASK)
    assert kinds(model) == ["first", CRITIQUE, RETRY, CRITIQUE, RETRY]
    assert interpreter.ran == ["print(1)", "print(2)", "print(3)"]
    assert (state["stop_reason"], state["best"].number) == ("attempts", 3)


def test_four_iterations_are_made_unless_told_otherwise() -> None:
    model = says(*(f"print({n})" for n in range(9)))
    state = run(critic_code_agent(model=model, environment=Interpreter()), TASK)
    assert (state["attempt"].number, model.calls) == (5, 9)


def test_the_critique_sees_question_program_without_comments_report_and_answer() -> None:
    model = says("print(5)  # a guess\n# really", "print(4)")
    run(critic_code_agent(model=model, environment=Interpreter(), iterations=1), TASK)
    asked = shown(model.requests[1])
    for part in (TASK.prompt, "<program>\nprint(5)\n</program>", "It ran.", "<answer>\n5\n</answer>"):
        assert part in asked
    assert "a guess" not in asked and "really" not in asked


def test_the_new_program_is_asked_for_below_the_same_words_and_the_critique() -> None:
    model = says("print(5)", "print(4)")
    run(critic_code_agent(model=model, environment=Interpreter(), iterations=1), TASK)
    critique, retry = model.requests[1], model.requests[2]
    assert [each["role"] for each in retry] == ["user", "assistant", "user"]
    assert (retry[0], retry[1]["content"]) == (critique[0], "It adds wrongly.")


@pytest.mark.parametrize("marker", ["Here's a better solution:", "HERE'S A BETTER SOLUTION\n```"])
def test_a_critique_is_cut_before_the_better_solution(marker: str) -> None:
    model = says("print(5)", "print(4)", critique=f"Off by one.\n{marker} print(99)")
    state = run(critic_code_agent(model=model, environment=Interpreter(), iterations=1), TASK)
    assert state["earlier"][0].feedback.text == "Off by one."
    assert "99" not in shown(model.requests[2])


def test_two_unchanged_answers_stop_it_at_the_third_attempt() -> None:
    model, interpreter = says("print(4)", "print(2+2)", "print(8//2)", "print(0)"), Interpreter()
    state = run(critic_code_agent(model=model, environment=interpreter), TASK)
    assert (state["stop_reason"], state["stop_signal"], state["attempt"].number) == ("unchanged", "self", 3)
    assert kinds(model)[-1] == RETRY


def test_it_goes_on_when_the_answer_changes_in_between() -> None:
    model = says("print(4)", "print(5)", "print(4)", "print(4)", "print(4)")
    state = run(critic_code_agent(model=model, environment=Interpreter()), TASK)
    assert (state["stop_reason"], state["attempt"].number) == ("unchanged", 5)


def test_an_unchanged_program_keeps_its_report_and_answer_and_is_not_run_again() -> None:
    model, interpreter = says("print(4)", "print(4)  # as it was", "print(4)"), Interpreter()
    state = run(critic_code_agent(model=model, environment=interpreter), TASK)
    assert interpreter.ran == ["print(4)"]
    assert [each.steps[-1].observation for each in (*state["earlier"], state["attempt"])] == ["It ran."] * 3
    assert all(each.facts[0].data["mark"] == SENTINEL for each in (*state["earlier"], state["attempt"]))
    assert interpreter.opened == interpreter.closed == 3
    assert state["stop_reason"] == "unchanged"


def test_an_attempt_without_an_answer_inherits_the_one_before() -> None:
    model = says("print(4)", "1/0", "print(4)", "print(9)")
    state = run(critic_code_agent(model=model, environment=Interpreter()), TASK)
    assert numbers(state) == ["4", None, "4"]
    assert state["stop_reason"] == "unchanged"


def test_attempts_without_any_answer_do_not_stop_it() -> None:
    model = says("1/0", "1/0  # again", "2/0", "3/0", "print(4)")
    state = run(critic_code_agent(model=model, environment=Interpreter()), TASK)
    assert (numbers(state)[-1], state["best"].number) == ("4", 5)


def test_the_base_is_the_latest_attempt_with_an_answer() -> None:
    model, interpreter = says("print(3)", "1/0", "print(4)", "print(5)"), Interpreter()
    state = run(critic_code_agent(model=model, environment=interpreter, iterations=3), TASK)
    assert "print(3)" in shown(model.requests[3]) and "1/0" not in shown(model.requests[3])
    assert [each.feedback.items["of_attempt"] for each in state["earlier"]] == ["1", "1", "3"]


def test_the_attempt_that_counts_is_the_latest_with_an_answer() -> None:
    model = says("print(3)", "print(4)", "1/0")
    state = run(critic_code_agent(model=model, environment=Interpreter(), iterations=2), TASK)
    assert (state["attempt"].number, state["best"].number) == (3, 2)


def test_a_report_of_failure_is_what_the_critique_sees_while_there_is_no_answer() -> None:
    model = says("1/0", "print(4)")
    run(critic_code_agent(model=model, environment=Interpreter(), iterations=1), TASK)
    asked = shown(model.requests[1])
    assert "ZeroDivisionError" in asked and "<answer>\nnone\n</answer>" in asked


def test_without_the_tool_nothing_is_run_and_no_report_is_shown() -> None:
    interpreter = Interpreter()
    model = says("print(5)", "print(4)", "print(4)  # same", "print(4)")
    state = run(critic_code_agent(model=model, environment=None), TASK)
    assert interpreter.ran == [] and all(not each.steps for each in (*state["earlier"], state["attempt"]))
    assert "<report>" not in str(model.requests) and "<answer>" not in str(model.requests)
    assert (state["stop_reason"], state["attempt"].number) == ("unchanged", 4)


def test_the_oracle_stops_it_only_when_asked_for_and_is_named(tmp_path: Path) -> None:
    programs = ("print(3)", "print(4)", "print(5)")
    agent = critic_code_agent(
        model=says(*programs), environment=Interpreter(), iterations=2, stop=[oracle(right)]
    )
    (stopped,) = improve(agent, [TASK], folder=tmp_path / "o", grader=right).trajectories()
    assert (stopped.stop_signal, stopped.chosen, stopped.passed) == ("oracle", 2, True)
    agent = critic_code_agent(model=says(*programs), environment=Interpreter(), iterations=2)
    (plain,) = improve(agent, [TASK], folder=tmp_path / "p", grader=right).trajectories()
    assert (plain.stop_signal, plain.chosen, plain.passed) == ("none", 3, False)


def test_both_calls_are_sampled_at_one_half(tmp_path: Path) -> None:
    agent = critic_code_agent(model=says("print(1)", "print(2)"), environment=Interpreter(), iterations=1)
    (trajectory,) = improve(agent, [TASK], folder=tmp_path / "r").trajectories()
    assert [(call.role, call.sampling["temperature"]) for call in trajectory.calls] == [
        ("actor", 0.5),
        ("critic", 0.5),
        ("actor", 0.5),
    ]
    assert trajectory.attempts[0].usage.calls == 2


def test_hidden_data_never_reaches_a_prompt() -> None:
    model = says("print(5)", "print(6)", "print(7)", "print(8)", "print(9)")
    run(critic_code_agent(model=model, environment=Interpreter()), TASK)
    assert SENTINEL not in str(model.requests)


def test_an_answer_read_from_hidden_facts_is_not_shown() -> None:
    def peeks(attempt: Attempt) -> str | None:
        return next((str(fact.data["mark"]) for fact in attempt.facts if fact.hidden), None)

    model = says("print(5)", "print(6)")
    agent = critic_code_agent(model=model, environment=Interpreter(), iterations=1, answer=peeks)
    run(agent, TASK)
    assert SENTINEL not in str(model.requests)


def test_a_critic_that_fails_ends_it_with_what_there_is(tmp_path: Path) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> Any:
        return RuntimeError("down") if CRITIQUE in messages[-1]["content"] else "print(4)"

    state = run(critic_code_agent(model=ScriptedModel(script), environment=Interpreter()), TASK)
    assert (state["stop_reason"], printed_answer(state["best"])) == ("error", "4")
    assert state["best"].error is None
    ran = improve(
        critic_code_agent(model=ScriptedModel(script), environment=Interpreter()),
        [TASK],
        folder=tmp_path / "r",
    )
    assert ran.figures.unfinished == 1


@pytest.mark.parametrize("calls", range(1, 10))
def test_it_ends_within_its_budget_and_goes_on_with_a_larger_one(tmp_path: Path, calls: int) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return "Wrong." if CRITIQUE in messages[-1]["content"] else f"print({sampling['seed']})"

    model, interpreter = ScriptedModel(script), Interpreter()
    agent = critic_code_agent(model=model, environment=interpreter)
    ran = improve(agent, [TASK], folder=tmp_path / "r", budget=Budget(calls=calls))
    assert model.calls == calls
    (trajectory,) = ran.trajectories()
    assert trajectory.stop_reason == ("budget" if calls < 9 else "attempts")
    improve(agent, [TASK], folder=tmp_path / "r", budget=Budget(calls=99))
    assert (model.calls, len(interpreter.ran)) == (9, 5)
    assert Run(tmp_path / "r").figures.attempts == 5


def test_a_program_is_read_out_of_its_fence() -> None:
    reply = "Think.\n```python\nprint(1)\n```\nOr better:\n```\nprint(2)\n```\n"
    attempt = Attempt(id="a", trajectory="t", task=TASK, number=1, text=reply)
    assert program_of(attempt) == "print(2)"
    assert program_of(attempt.replace(text=" print(3)\n")) == "print(3)"


@pytest.mark.parametrize(
    ("program", "left"),
    [
        ("a = 1  # one\n# two\nb = 2", "a = 1\nb = 2"),
        ("s = '# no comment'", "s = '# no comment'"),
        ('s = """\n# inside\n"""  # out', 's = """\n# inside\n"""'),
        ("def f(:  # broken", "def f(:  # broken"),
        ("# only", ""),
        ("", ""),
    ],
)
def test_comments_go_and_nothing_else(program: str, left: str) -> None:
    assert without_comments(program) == left


@given(st.text(max_size=60))
def test_any_text_can_be_freed_of_its_comments(text: str) -> None:
    assert isinstance(without_comments(text), str)


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=6))
def test_the_rule_in_the_loop_freezes_where_the_scorer_would(answers: list[str | None]) -> None:
    """The published scorer: the first index of at least 2 whose answer equals the two before it."""
    filled = list(answers)
    for at in range(1, len(filled)):
        filled[at] = filled[at] if filled[at] is not None else filled[at - 1]
    frozen = next(
        (at for at in range(2, len(filled)) if filled[at] and filled[at - 2 : at + 1] == [filled[at]] * 3),
        None,
    )
    attempts = [
        Attempt(id=str(at), trajectory="t", task=TASK, number=at + 1, text=said or "")
        for at, said in enumerate(answers)
    ]
    rule = unchanged(lambda attempt: attempt.text or None)

    async def stops(at: int) -> bool:
        state: Any = {"earlier": tuple(attempts[:at]), "attempt": attempts[at]}
        return await rule(state) is not None  # type: ignore[misc]

    import asyncio

    stopped = next((at for at in range(len(attempts)) if asyncio.run(stops(at))), None)
    assert stopped == frozen


def test_the_base_without_any_answer_is_the_latest() -> None:
    attempts = [Attempt(id=str(n), trajectory="t", task=TASK, number=n) for n in (1, 2)]
    assert base_of(attempts, lambda attempt: None).number == 2


def test_a_mistake_of_the_caller_is_raised_at_once() -> None:
    with pytest.raises(BadInput, match="iterations must be at least 0, got -1"):
        critic_code_agent(model=says(), environment=None, iterations=-1)
    with pytest.raises(BadInput, match="marker must be a text"):
        critic_code_agent(model=says(), environment=None, marker="")


def test_programs_are_run_in_a_code_environment(tmp_path: Path) -> None:
    """A program that is not a function of its own is run as a script."""
    task = TASK.replace(public={"mode": "script"}, hidden={"answer": "4"})
    programs = ("print(2 + 3)", "print(1 / 0)", "```python\nprint(2 + 2)\n```")
    environment = CodeEnvironment(require="any", workers=1)
    try:
        agent = critic_code_agent(model=says(*programs), environment=environment, iterations=2)
        (trajectory,) = improve(agent, [task], folder=tmp_path / "r", grader=right).trajectories()
    finally:
        environment.close()
    assert [printed_answer(each) for each in trajectory.attempts] == ["5", None, "4"]
    assert (trajectory.chosen, trajectory.passed) == (3, True)
    critique = trajectory.calls[1].messages[0]["content"]
    assert "<program>\nprint(2 + 3)\n</program>" in critique and "<answer>\n5\n</answer>" in critique
