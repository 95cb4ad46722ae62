"""The code environment over a scripted back end: tasks, steps, facts, final tests, and what never happens."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import tested
from agentloop.environments.code import CodeEnvironment, Job, ScriptedBackend, Verdict, code_passes
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.hidden import public_attempt
from agentloop.types import Attempt, Fact, Step, Task

HEAD = 'def double(x):\n    """Twice x."""\n'
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x\n```"
TASK = Task(
    id="t",
    prompt=HEAD,
    public={"entry_point": "double", "prompt_code": HEAD, "tests": ["assert double(1) == 2"]},
    hidden={"tests": "assert double(777123) == 1554246"},
)


def failing(test: str, got: str, wanted: str, call: str) -> Verdict:
    tests = {"passed": [], "failed": [test], "not_run": 0, "total": 1}
    assertion = {"test": test, "line": 1, "call": call, "wanted": wanted, "got": got, "operator": "=="}
    facts = (Fact(kind="tests", data=tests), Fact(kind="assertion", data=assertion))
    return Verdict(passed=False, why="assert", facts=facts, layers=("scripted",))


def judge(job: Job) -> Verdict:
    """Right programs hold ``2 * x``; the rest returns its argument."""
    if "2 * x" in job.program:
        tests = {
            "passed": [job.tests] if job.tests else [],
            "failed": [],
            "not_run": 0,
            "total": bool(job.tests),
        }
        return Verdict(
            passed=True, why="passed", facts=(Fact(kind="tests", data=tests),), layers=("scripted",)
        )
    if "777123" in job.tests:
        return failing(job.tests, "777123", "1554246", "double(777123)")
    return failing("assert double(1) == 2", "1", "2", "double(1)")


def environment(backend: ScriptedBackend | None = None, **options: Any) -> CodeEnvironment:
    return CodeEnvironment(backend or ScriptedBackend(judge), **options)


def attempted(*actions: str, task: Task = TASK, backend: ScriptedBackend | None = None) -> Attempt:
    """The attempt that ``actions`` make, hidden facts and all."""

    async def make() -> Attempt:
        session = environment(backend)(task)
        steps = [await session.step(action) for action in actions]
        facts = await session.final()
        await session.close()
        return Attempt(
            id="a",
            trajectory="x",
            task=task,
            number=1,
            text=actions[-1] if actions else "",
            steps=tuple(steps),
            facts=tuple(facts),
        )

    return asyncio.run(make())


def kinds(step: Step) -> list[str]:
    return [fact.kind for fact in step.facts]


def test_a_right_program_is_done_and_graded_as_a_pass() -> None:
    attempt = attempted(RIGHT)
    assert attempt.steps[0].observation == "The public test passed."
    assert attempt.steps[0].done
    assert code_passes(attempt) == 1.0


def test_a_wrong_program_is_told_the_first_failing_call_and_graded_as_a_failure() -> None:
    attempt = attempted(WRONG)
    assert attempt.steps[0].observation == (
        "0 of 1 public tests passed.\nFailed: assert double(1) == 2\ndouble(1) returned 1; wanted 2"
    )
    assert not attempt.steps[0].done
    assert kinds(attempt.steps[0]) == ["program", "tests_passed", "tests", "assertion"]
    assert code_passes(attempt) == 0.0


def test_hidden_tests_run_only_at_the_end_and_on_the_last_program() -> None:
    backend = ScriptedBackend(judge)
    attempted(RIGHT, WRONG, backend=backend)
    assert ["777123" in job.tests for job in backend.jobs] == [False, False, True]
    assert "2 * x" not in backend.jobs[-1].program


def test_nothing_of_the_hidden_tests_is_left_in_what_a_critic_is_given() -> None:
    attempt = attempted(WRONG)
    assert "777123" in attempt.to_json()
    assert "777123" not in public_attempt(attempt).to_json()
    assert "1554246" not in public_attempt(attempt).to_json()


def test_a_body_is_put_below_its_prompt_and_the_checker_is_given_the_prompt() -> None:
    backend = ScriptedBackend(judge)
    attempted("    return 2 * x", backend=backend)
    assert backend.jobs[0].program == HEAD + "    return 2 * x"
    assert backend.jobs[0].prompt == HEAD


def test_lines_in_facts_are_counted_in_what_the_agent_wrote() -> None:
    frames = [{"file": "program.py", "line": 3, "function": "double", "source": "    return y"}]
    frames.append({"file": "helper.py", "line": 9, "function": "h", "source": "y"})
    data = {"type": "NameError", "message": "no y", "frames": frames}
    raising = Verdict(passed=False, why="exception", facts=(Fact(kind="exception", data=data),))
    attempt = attempted("    return y", backend=ScriptedBackend({}, otherwise=raising))
    (fact,) = [fact for fact in attempt.steps[0].facts if fact.kind == "exception"]
    assert [frame["line"] for frame in fact.data["frames"]] == [1, 9]
    assert "line 1, in double: return y" in attempt.steps[0].observation


def test_frames_quote_the_program_and_not_what_the_program_says_of_itself() -> None:
    forged = [{"file": "program.py", "line": 3, "function": "secret777123", "source": "secret777123"}]
    forged += [{"file": "program.py", "line": 99, "function": "double", "source": "secret777123"}]
    data = {"type": "E", "message": "", "frames": forged}
    raising = Verdict(passed=False, why="exception", facts=(Fact(kind="exception", data=data),))
    attempt = attempted("    return y", backend=ScriptedBackend({}, otherwise=raising))
    assert "secret777123" not in attempt.steps[0].to_json()
    (fact,) = [fact for fact in attempt.steps[0].facts if fact.kind == "exception"]
    assert [frame["source"] for frame in fact.data["frames"]] == ["return y", ""]
    assert [frame["function"] for frame in fact.data["frames"]] == ["?", "double"]


def test_an_edit_changes_the_last_program() -> None:
    edit = "<<<<<<< SEARCH\n    return x\n=======\n    return 2 * x\n>>>>>>> REPLACE"
    attempt = attempted(WRONG, edit)
    assert [step.done for step in attempt.steps] == [False, True]
    assert code_passes(attempt) == 1.0


def test_an_edit_that_does_not_match_changes_and_runs_nothing() -> None:
    backend = ScriptedBackend(judge)
    attempt = attempted(
        WRONG, "<<<<<<< SEARCH\n    return z\n=======\n    z\n>>>>>>> REPLACE", backend=backend
    )
    assert kinds(attempt.steps[1]) == ["unmatched_edit"]
    assert attempt.steps[1].observation == (
        "The lines that edit 1 searches for do not stand there. Nothing was changed.\n"
        "The nearest lines, from line 2 on:\n    return x"
    )
    assert len(backend.jobs) == 2


def test_an_edit_before_any_program_is_refused() -> None:
    attempt = attempted("<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE")
    assert "no program to edit yet" in attempt.steps[0].observation


def test_an_edit_before_any_program_changes_the_one_the_task_begins_with() -> None:
    task = TASK.replace(public={**TASK.public, "program": "def double(x):\n    return x\n"})
    attempt = attempted("<<<<<<< SEARCH\n    return x\n=======\n    return 2 * x\n>>>>>>> REPLACE", task=task)
    assert code_passes(attempt) == 1.0


def test_an_edit_can_change_a_file_that_the_task_brings() -> None:
    backend = ScriptedBackend(judge)
    task = TASK.replace(public={**TASK.public, "program": "import h\n", "files": {"h.py": "y = 1\n"}})
    attempted("h.py\n<<<<<<< SEARCH\ny = 1\n=======\ny = 2\n>>>>>>> REPLACE", task=task, backend=backend)
    assert backend.jobs[0].files == {"h.py": "y = 2\n"}


def test_a_reply_without_a_program_fails_and_runs_nothing() -> None:
    backend = ScriptedBackend(judge)
    attempt = attempted("I do not know.", backend=backend)
    assert "no program in this reply" in attempt.steps[0].observation
    assert backend.jobs == []
    assert code_passes(attempt) == 0.0


def test_without_public_tests_the_program_is_loaded_and_the_observation_says_so() -> None:
    task = TASK.replace(public={"entry_point": "double"})
    attempt = attempted(RIGHT, task=task)
    assert attempt.steps[0].observation.endswith("There are no public tests, so nothing was tested.")
    assert not attempt.steps[0].done
    assert kinds(attempt.steps[0])[:2] == ["program", "loaded"]


def test_a_line_final_ends_the_attempt_whatever_the_tests_say() -> None:
    assert attempted("# final\n" + WRONG).steps[0].done


def test_files_of_the_task_and_of_the_reply_lie_beside_the_program() -> None:
    backend = ScriptedBackend(judge)
    task = TASK.replace(public={**TASK.public, "files": {"data.txt": "1\n", "h.py": "old\n"}})
    attempted(f"```python h.py\ny = 1\n```\n{RIGHT}", task=task, backend=backend)
    assert backend.jobs[0].files == {"data.txt": "1\n", "h.py": "y = 1\n"}


CASES = Task(
    id="c",
    prompt="Echo.",
    public={"cases": [{"stdin": "1\n", "stdout": "1\n"}, {"stdin": "2\n", "stdout": "2\n"}]},
    hidden={"cases": [{"stdin": "9\n", "stdout": "9\n"}]},
)


def echo(job: Job) -> Verdict:
    if job.stdin in job.program:
        return Verdict(passed=True, why="passed", output=job.stdout or "")
    data = {"stdin": job.stdin, "wanted": job.stdout, "got": "x\n"}
    why = "timeout" if "sleep" in job.program else "wrong_output"
    return Verdict(passed=False, why=why, facts=(Fact(kind="case", data=data),))


def test_cases_are_run_each_and_the_first_that_fails_is_shown() -> None:
    backend = ScriptedBackend(echo)
    attempt = attempted("print('1\n')", task=CASES, backend=backend)
    assert [job.mode for job in backend.jobs] == ["stdio"] * 3
    assert attempt.steps[0].observation == (
        "1 of 2 public tests passed.\nCase 2 reads:\n2\n\nIt wrote:\nx\n\nWanted:\n2\n"
    )


def test_cases_after_one_that_takes_too_long_are_not_run() -> None:
    backend = ScriptedBackend(echo)
    attempt = attempted("sleep(9)", task=CASES, backend=backend)
    assert len(backend.jobs) == 2
    (tests,) = [fact.data for fact in attempt.steps[0].facts if fact.kind == "tests"]
    assert (tests["failed"], tests["not_run"]) == (["case 1"], 1)


def test_without_public_cases_a_program_is_not_run_for_want_of_input() -> None:
    backend = ScriptedBackend(echo)
    task = CASES.replace(public={})
    good, bad = attempted("print(input())", "print(", task=task, backend=backend).steps
    assert good.observation.startswith("The program can be loaded.")
    assert "SyntaxError at line 1" in bad.observation
    assert [job.mode for job in backend.jobs] == ["stdio"]


def test_a_sandbox_without_a_verdict_is_an_error_and_never_a_failure() -> None:
    broken = Verdict(
        passed=False, why="infra_error", facts=(Fact(kind="infra_error", data={"message": "no worker"}),)
    )
    with pytest.raises(EnvironmentFailed, match="no worker"):
        attempted(RIGHT, backend=ScriptedBackend({}, otherwise=broken))


def test_an_attempt_that_broke_off_has_no_grade() -> None:
    with pytest.raises(BadInput, match="no hidden fact 'tests_passed'"):
        code_passes(attempted(RIGHT).replace(facts=()))


def test_public_tests_that_passed_are_no_grade() -> None:
    attempt = attempted(RIGHT)
    with pytest.raises(BadInput):
        code_passes(attempt.replace(facts=attempt.steps[0].facts))


def test_a_forgeable_verdict_is_marked() -> None:
    forgeable = Verdict(passed=True, why="passed", forgeable=True)
    task = TASK.replace(public={**TASK.public, "mode": "script"})
    attempt = attempted(RIGHT, task=task, backend=ScriptedBackend({}, otherwise=forgeable))
    assert attempt.facts[0].data["forgeable"] is True


def test_every_verdict_says_which_layers_confined_it() -> None:
    assert attempted(RIGHT).facts[0].data["layers"] == ["scripted"]


def test_a_session_taken_up_from_a_snapshot_goes_on_with_its_last_program() -> None:
    async def go_on() -> Any:
        first, second = (environment()(TASK) for _ in range(2))
        await first.step(WRONG)
        second.restore(first.snapshot())
        step = await second.step("<<<<<<< SEARCH\n    return x\n=======\n    return 2 * x\n>>>>>>> REPLACE")
        return step, first.snapshot(), second.snapshot()

    step, first, second = asyncio.run(go_on())
    assert step.done
    assert first != second


def test_a_snapshot_of_a_fresh_session_restores_to_no_program() -> None:
    session = environment()(TASK)
    session.restore(session.snapshot())
    assert session.snapshot() == {}


def shown(task: Task) -> str:
    return asyncio.run(environment()(task).prompt())


def test_the_prompt_is_the_tasks_own() -> None:
    assert shown(TASK) == HEAD


def test_a_prompt_that_does_not_mention_the_entry_point_is_told_it() -> None:
    assert shown(TASK.replace(prompt="Write doubled.")) == "Write doubled.\n\nThe tests call `double`."


def test_a_program_to_begin_with_is_shown_once() -> None:
    task = TASK.replace(public={**TASK.public, "program": "def double(x): ...\n"})
    assert "def double(x): ..." in shown(task)
    assert shown(task.replace(prompt="Mend it:\ndef double(x): ...")).count("def double(x): ...") == 1


def test_each_test_is_run_alone_and_told_what_came_instead() -> None:
    backend = ScriptedBackend(judge)
    tests = ["assert double(1) == 2", "assert double(777123) == 1554246"]
    found = asyncio.run(environment(backend, test_seconds=5.0).run_tests(TASK, "    return x", tests))
    assert found == [
        tested.Tested(test=tests[0], passed=False, got="1"),
        tested.Tested(test=tests[1], passed=False, got="777123"),
    ]
    assert sorted(job.tests for job in backend.jobs) == tests
    assert {job.timeout_seconds for job in backend.jobs} == {5.0}


@pytest.mark.parametrize(
    ("kind", "data", "why", "got"),
    [
        ("timeout", {"seconds": 5.0}, "timeout", "TIMEOUT"),
        ("exception", {"type": "ValueError", "message": "no"}, "exception", "ValueError: no"),
        ("load_error", {"type": "SyntaxError", "message": "bad"}, "load_error", "SyntaxError: bad"),
        ("missing_entry_point", {"name": "f"}, "load_error", "NameError: name 'f' is not defined"),
        ("unsupported_value", {"type": "generator"}, "unsupported_value", "a value of type generator"),
        ("memory", {"bytes": 1}, "memory", "MemoryError"),
        ("exit", {"code": 0}, "exit", "SystemExit"),
    ],
)
def test_what_came_instead_is_told_as_reflexion_tells_it(kind: str, data: Any, why: Any, got: str) -> None:
    verdict = Verdict(passed=False, why=why, facts=(Fact(kind=kind, data=data),))
    backend = ScriptedBackend({}, otherwise=verdict)
    (found,) = asyncio.run(environment(backend).run_tests(TASK, RIGHT, ["assert double(1) == 2"]))
    assert (found.passed, found.got) == (False, got)


def test_running_no_tests_gives_no_results() -> None:
    assert asyncio.run(environment().run_tests(TASK, RIGHT, [])) == []


def test_an_infrastructure_error_among_tests_is_raised() -> None:
    backend = ScriptedBackend({}, otherwise=Verdict(passed=False, why="infra_error"))
    with pytest.raises(EnvironmentFailed):
        asyncio.run(environment(backend).run_tests(TASK, RIGHT, ["assert double(1) == 2"]))


def test_a_trace_is_counted_in_the_lines_of_the_agent() -> None:
    line = {"line": 3, "source": "return x", "values": {"x": "1"}}
    traced = Fact(kind="trace", data={"lines": [line], "result": "1", "cut": False})
    backend = ScriptedBackend({}, otherwise=Verdict(passed=True, why="passed", facts=(traced,)))
    fact = asyncio.run(environment(backend).trace(TASK, "    return x", "double(1)"))
    assert fact.data["lines"][0]["line"] == 1
    assert (backend.jobs[0].mode, backend.jobs[0].call) == ("trace", "double(1)")


def test_what_cannot_be_traced_says_why() -> None:
    error = Fact(kind="load_error", data={"type": "SyntaxError", "message": "bad"})
    backend = ScriptedBackend({}, otherwise=Verdict(passed=False, why="load_error", facts=(error,)))
    fact = asyncio.run(environment(backend).trace(TASK, RIGHT, "double(1)"))
    assert fact.data == {"lines": [], "error": "SyntaxError: bad", "cut": False}


@pytest.mark.parametrize(
    ("public", "hidden", "said"),
    [
        ({"language": "rust"}, {}, "only python is run"),
        ({"mode": "exec"}, {}, "calls or script"),
        ({"entry_point": 3}, {}, "public.entry_point must be text"),
        ({"entry_point": "a b"}, {}, "name of a function"),
        ({"tests": "assert 1"}, {}, "no public.entry_point"),
        ({}, {"tests": "assert 1"}, "no public.entry_point"),
        ({"entry_point": "f", "tests": [1]}, {}, "public.tests must be text"),
        ({"tests": "x", "cases": [{"stdout": ""}]}, {}, "both tests and cases"),
        ({"cases": {"stdout": ""}}, {}, "public.cases must be a list"),
        ({"cases": [{"stdin": ""}]}, {}, "must be an object with stdout"),
        ({}, {"cases": [{"stdout": "", "stdn": ""}]}, "must be an object with stdout"),
        ({}, {"cases": [{"stdout": 3}]}, "hidden.cases.stdout must be text"),
        ({"files": ["a"]}, {}, "must map names to texts"),
        ({"files": {"a": 1}}, {}, "must be text, got int"),
        ({"files": {"../a": ""}}, {}, "leads out of its folder"),
    ],
)
def test_a_task_of_another_form_is_refused_with_what_is_allowed(public: Any, hidden: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        environment()(Task(id="t", prompt="?", public=public, hidden=hidden))


@pytest.mark.parametrize("options", [{"timeout_seconds": 0}, {"test_seconds": -1}, {"workers": 0}])
def test_a_setting_out_of_range_is_refused(options: Any) -> None:
    with pytest.raises(BadInput, match=next(iter(options))):
        environment(**options)


def test_switches_cannot_be_set_on_a_sandbox_that_is_given() -> None:
    with pytest.raises(BadInput, match="network"):
        environment(network=True)


def test_a_sandbox_that_is_given_stays_open() -> None:
    backend = ScriptedBackend(judge)
    made = environment(backend)
    made.close()
    with pytest.raises(EnvironmentFailed, match="closed"):
        asyncio.run(made.run_tests(TASK, RIGHT, ["assert double(1) == 2"]))
    assert backend.run(Job(program="2 * x")).passed


def test_an_address_in_an_observation_does_not_change_from_run_to_run() -> None:
    verdict = failing("assert double(1) == 2", "<object at 0x7f0011223344>", "2", "double(1)")
    attempt = attempted(WRONG, backend=ScriptedBackend({}, otherwise=verdict))
    assert "<object at 0x...>" in attempt.steps[0].observation


def test_an_observation_is_bounded() -> None:
    huge = "x" * 1_000_000
    tests = {"passed": [], "failed": [huge], "not_run": 0, "total": 1}
    facts = (
        Fact(kind="tests", data=tests),
        Fact(kind="assertion", data={"test": huge, "call": huge, "got": huge, "wanted": huge}),
        Fact(kind="exception", data={"type": "E", "message": huge, "frames": []}),
        Fact(kind="case", data={"stdin": huge, "wanted": huge, "got": huge}),
    )
    verdict = Verdict(passed=False, why="assert", facts=facts, output=huge)
    attempt = attempted(WRONG, backend=ScriptedBackend({}, otherwise=verdict))
    assert len(attempt.steps[0].observation) < 20_000


@given(st.text(max_size=80))
def test_any_reply_is_a_step(reply: str) -> None:
    attempt = attempted(reply)
    assert attempt.steps[0].observation
    assert code_passes(attempt) in (0.0, 1.0)
