import ast
import asyncio
import functools
import json
import math
import re
from types import SimpleNamespace

import pytest

from agentloop.errors import BadInput
from agentloop.models.contract import check_model
from agentloop.models.erring import GPT35, ErringModel, Rates, Share, failure
from agentloop.models.mutations import mutations
from agentloop.types import Fact

SMALLEST = "def smallest(numbers):\n    if not numbers:\n        return 0\n    return sorted(numbers)[0]\n"
TESTS = [([], 0), ([3, 1], 1), ([5], 5), ([-2, 4, 9], -2)]
LOCATED = "<feedback>\nThe call `smallest([3, 1])` gives a wrong result.\n</feedback>"
BLIND = "<feedback>\nTry again.\n</feedback>"
DRAWS = 1000


def judge(_key: str, program: str) -> SimpleNamespace:
    """Runs mutations of SMALLEST only, in this process."""
    return ran(program)


@functools.cache
def ran(program: str) -> SimpleNamespace:
    space: dict = {}
    exec(program, space)
    failed, raised = [], False
    for given, wanted in TESTS:
        try:
            if space["smallest"](given) != wanted:
                failed.append(str(given))
        except Exception:  # noqa: BLE001
            raised = True
    if raised:
        return SimpleNamespace(passed=False, why="exception", facts=())
    facts = (Fact(kind="tests", data={"failed": failed, "total": len(TESTS)}),)
    return SimpleNamespace(passed=not failed, why="assert" if failed else "passed", facts=facts)


def task(number: int = 0) -> str:
    return f"Task {number}: write smallest(numbers), the least of them or 0."


def model(seed: int = 0, tasks: int = 1, **given) -> ErringModel:
    return ErringModel({task(number): SMALLEST for number in range(tasks)}, judge, seed=seed, **given)


def says(asked: ErringModel, *contents: str, **sampling) -> str:
    messages = [{"role": "user", "content": content} for content in contents]
    (reply,) = asyncio.run(asked.complete(messages, **sampling))
    return reply.text.removeprefix("```python\n").removesuffix("\n```") + "\n"


def passes(program: str) -> bool:
    return judge("", program).passed


def within(found: int, share: float, total: int = DRAWS) -> bool:
    """Whether a count lies within four standard deviations of what a share of ``total`` draws gives."""
    return abs(found - share * total) <= 4 * math.sqrt(total * share * (1 - share))


def hard(tasks: int) -> tuple[ErringModel, list[str]]:
    """A model and those of its tasks that are hard."""
    asked = model(tasks=tasks)
    return asked, [task(number) for number in range(tasks) if asked.is_hard(task(number))]


def test_first_programs_are_wrong_at_the_logged_rate():
    asked = model(tasks=DRAWS)
    wrong = sum(not passes(says(asked, task(number))) for number in range(DRAWS))
    assert within(wrong, 19 / 82)


def test_located_feedback_mends_at_the_logged_rate():
    asked, keys = hard(1000)
    bug = asked.bugs(keys[0])[0]
    right = 0
    for key in keys:
        right += passes(says(asked, key, asked.bugs(key)[0], LOCATED))
    assert bug != SMALLEST
    assert within(right, 3 / 7 * 3 / 5, len(keys))


def test_a_task_that_cannot_be_mended_stays_wrong_whatever_is_said():
    asked, keys = hard(200)
    never = 0
    for key in keys:
        tries = [passes(says(asked, key, asked.bugs(key)[0], LOCATED, seed=seed)) for seed in range(20)]
        never += not any(tries)
    assert within(never, 4 / 7, len(keys))


@pytest.mark.parametrize("told", [BLIND, "Your answer is wrong. Answer again.", "line seven is a nice line"])
def test_words_that_locate_nothing_mend_at_the_rate_of_sampling_again(told):
    asked, keys = hard(1000)
    right = sum(passes(says(asked, key, asked.bugs(key)[0], told)) for key in keys)
    again = 0
    total = 0
    for key in keys:
        first, second = (passes(says(asked, key, seed=seed)) for seed in (1, 2))
        total += not first
        again += second and not first
    assert within(right, 2 / 19, len(keys))
    assert within(again, 2 / 19, total)


def test_an_observation_that_locates_does_not_help_where_the_feedback_is_blind():
    asked, keys = hard(1000)
    seen = f"<observation>\nassert smallest([3, 1]) == 1\n</observation>\n{BLIND}"
    right = sum(passes(says(asked, key, asked.bugs(key)[0], seen)) for key in keys)
    assert within(right, 2 / 19, len(keys))


def test_failed_retries_repeat_the_program_at_the_logged_rate():
    asked, keys = hard(1200)
    failed = repeated = 0
    for key in keys:
        bug = asked.bugs(key)[0]
        program = says(asked, key, bug, LOCATED)
        failed += not passes(program)
        repeated += program == bug
    assert within(repeated, 16 / 39, failed)


def test_the_kinds_of_failure_come_at_their_logged_shares():
    kinds = [failure(judge("", asked.bugs(task())[0])) for asked in map(model, range(DRAWS))]
    for kind, count in GPT35.kinds.items():
        assert within(kinds.count(kind), count / 19), kind


def test_every_wrong_program_fails_its_tests():
    for seed in range(30):
        bugs = model(seed).bugs(task())
        assert bugs
        assert not any(passes(bug) for bug in bugs)


def test_a_solution_without_a_failing_mutation_is_named_and_given_as_it_is():
    everything = SimpleNamespace(passed=True, why="passed", facts=())
    asked = ErringModel({task(): SMALLEST}, lambda *_: everything, rates=_always_wrong())
    assert says(asked, task()) == SMALLEST
    assert asked.unplanted == {task()}


def test_a_mutation_that_breaks_the_sandbox_is_not_taken_for_a_failing_one():
    broken = SimpleNamespace(passed=False, why="infra_error", facts=())
    asked = ErringModel({task(): SMALLEST}, lambda *_: broken)
    assert asked.bugs(task()) == ()


def test_a_judge_may_be_async():
    async def later(key, program):
        await asyncio.sleep(0)
        return judge(key, program)

    asked = ErringModel({task(): SMALLEST}, later, rates=_always_wrong())
    assert not passes(says(asked, task()))


def test_a_right_program_is_given_again_whatever_is_said():
    asked, keys = hard(40)
    assert all(says(asked, key, f"```python\n{SMALLEST}```", LOCATED) == SMALLEST for key in keys)


def test_replies_depend_on_the_request_alone_and_not_on_what_came_before():
    one, other = model(7, 50), model(7, 50)
    asked = [task(number) for number in range(50)]
    assert [says(one, key) for key in asked] == [says(other, key) for key in reversed(asked)][::-1]


def test_another_seed_errs_elsewhere():
    assert [model(1, 60).is_hard(task(at)) for at in range(60)] != [
        model(2, 60).is_hard(task(at)) for at in range(60)
    ]


def test_a_task_it_does_not_know_is_an_error():
    with pytest.raises(BadInput, match="knows none of its 1 tasks"):
        says(model(), "something else")


def test_rates_that_no_tasks_can_have_are_refused():
    rates = GPT35._replace(wrong=Share(9, 10), resampled=Share(1, 2))
    with pytest.raises(BadInput, match="wrong .0.90. must be at most 1 - resampled .0.50."):
        ErringModel({task(): SMALLEST}, judge, rates=rates)


def test_it_keeps_the_contract_of_models():
    asyncio.run(check_model(ErringModel({"Name a colour.": SMALLEST}, judge)))


def test_mutations_differ_from_the_program_and_are_python():
    plain = ast.unparse(ast.parse(SMALLEST)) + "\n"
    found = list(mutations(SMALLEST))
    assert len(set(found)) >= 5
    for program in found:
        ast.parse(program)
        assert program != plain


def test_mutations_leave_out_a_case_and_move_a_bound():
    found = set(mutations("def f(n):\n    if n < 0:\n        return 0\n    return list(range(1, n))\n"))
    assert "def f(n):\n    return list(range(1, n))\n" in found
    assert any("range(1, n + 1)" in program for program in found)
    assert any("n <= 0" in program for program in found)


def _always_wrong() -> Rates:
    return GPT35._replace(wrong=Share(1, 1), resampled=Share(0, 1))


SENTINEL = "HIDDEN-VALUE-7319"


def test_nothing_hidden_reaches_it_in_a_run(tmp_path):
    from agentloop import improve, reflect_and_retry
    from agentloop.critics import execution_critic
    from agentloop.environments.code.environment import CodeEnvironment
    from agentloop.environments.code.scripted import ScriptedBackend
    from agentloop.environments.code.verdict import Verdict
    from agentloop.types import Task

    def verdict(job) -> Verdict:
        found = judge("", job.program)
        why = "passed" if found.passed else "assert"
        shown = {"test": SENTINEL, "call": f"smallest({SENTINEL})", "wanted": SENTINEL, "got": "0"}
        facts = () if found.passed or SENTINEL not in job.tests else (Fact(kind="assertion", data=shown),)
        return Verdict(passed=found.passed, why=why, facts=facts)

    asked, keys = hard(20)
    tasks = [
        Task(
            id=f"t{at}",
            prompt=key,
            public={"entry_point": "smallest", "tests": ["assert smallest([3, 1]) == 1"]},
            hidden={"tests": f"assert smallest([]) == 0, {SENTINEL!r}", "solution": f"# {SENTINEL}"},
        )
        for at, key in enumerate(keys)
    ]
    environment = CodeEnvironment(ScriptedBackend(verdict))
    agent = reflect_and_retry(
        model=asked, environment=environment, critic=execution_critic("explained"), attempts=3
    )
    improve(agent, tasks, folder=tmp_path / "run", samples=2)
    environment.close()
    assert len(asked.requests) > len(tasks)
    assert SENTINEL not in json.dumps([list(request) for request in asked.requests])


ASSERTED = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)


def without_own_tests(program: str) -> str:
    tree = ast.parse(program)
    tree.body = [each for each in tree.body if isinstance(each, ASSERTED)]
    return ast.unparse(tree)


class Logs:
    """HumanEval's problems, and the programs that were logged for them, run on the hidden tests."""

    def __init__(self, data):
        from agentloop.environments.code import Sandbox

        self.folder = data / "runlogs-code"
        self.sandbox = Sandbox(require="any", workers=1)
        lines = (data / "humaneval" / "problems.jsonl").read_text(encoding="utf-8").splitlines()
        self.problems = {row["task_id"]: row for row in map(json.loads, lines)}

    def rows(self, name: str) -> list[dict]:
        text = (self.folder / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def run(self, name: str, program: str):
        from agentloop.environments.code import Job

        problem = self.problems[name]
        entry, start = problem["entry_point"], f"from typing import *\nimport math\n{problem['prompt']}"
        before = re.split(rf"^def {entry}\b", start, maxsplit=1, flags=re.MULTILINE)[0]
        tests = f"{problem['test']}\ncheck({entry})\n"
        return self.sandbox.run(
            Job(program=f"{before}\n{program}", tests=tests, entry_point=entry, prompt=start)
        )


@pytest.fixture(scope="module")
def logs(data):
    found = Logs(data)
    yield found
    found.sandbox.close()


@pytest.mark.data
def test_the_rates_of_first_programs_are_those_of_the_logs(logs):
    seen = {
        row["task_id"]: logs.run(row["task_id"], without_own_tests(row["solution"]))
        for row in logs.rows("ldb-seed-gpt35")
    }
    wrong = {name: failure(each) for name, each in seen.items() if not each.passed}
    weaker = {row["task_id"]: row["solution"] for row in logs.rows("ldb-seed-codellama")}
    right = sum(logs.run(name, weaker[name]).passed for name in wrong)
    assert Share(len(wrong), len(seen)) == GPT35.wrong
    assert {kind: [*wrong.values()].count(kind) for kind in GPT35.kinds} == GPT35.kinds
    assert Share(right, len(wrong)) == GPT35.resampled


@pytest.mark.data
def test_the_rates_of_mending_are_those_of_the_logs(logs):
    stays, mended, retries, repeated, failed = 0, 0, 0, 0, 0
    for row in logs.rows("ldb-reflexion-gpt35"):
        programs = row["implementations"]
        if len(programs) == 1:
            continue
        passed = [logs.run(row["task_id"], program).passed for program in programs]
        begins = 1 if not row["seed"].strip() else 0
        wrong = [at for at in range(begins, len(programs) - 1) if not passed[at]]
        failed += sum(not passed[at + 1] for at in wrong)
        repeated += sum(
            programs[at].strip() == programs[at + 1].strip() and not passed[at + 1] for at in wrong
        )
        if wrong:
            first = next((at for at in wrong if passed[at + 1]), None)
            mended += first is not None
            stays += first is None
            retries += sum(at <= first for at in wrong) if first is not None else 0
    assert Share(mended, mended + stays) == GPT35.mendable
    assert Share(mended, retries) == GPT35.mended
    assert Share(repeated, failed) == GPT35.repeated


@pytest.mark.data
def test_wrong_programs_for_real_problems_fail_their_hidden_tests(logs):
    names = [f"HumanEval/{number}" for number in (0, 4, 12, 26, 34, 46, 58, 72)]
    solutions = {
        name: logs.problems[name]["prompt"] + logs.problems[name]["canonical_solution"] for name in names
    }
    asked = ErringModel(solutions, logs.run)
    for name in names:
        bugs = asked.bugs(name)
        assert bugs
        assert not any(logs.run(name, bug).passed for bug in bugs)
