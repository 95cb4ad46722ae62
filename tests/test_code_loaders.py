"""HumanEval, MBPP in both forms, JSON Lines of tasks, and the tasks that come with the package."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments.code import code_tasks, humaneval, mbpp, small_tasks
from agentloop.environments.code.assignment import assignment_of
from agentloop.environments.code.loaders import docstring_tests
from agentloop.errors import BadInput

PROBLEM = {
    "task_id": "HumanEval/900",
    "prompt": 'def double(x):\n    """Twice x.\n    >>> double(2)\n    4\n    """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(3) == 6\n\n",
}
TYPED = {
    "name": "mbpp_900_double",
    "prompt": 'def double(x: int) -> int:\n    """\n\tTwice x.\n    """\n',
    "entry_point": "double",
    "test": (
        "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(-1) == -2\n\n"
        "def test_check():\n    check(double)\n\ntest_check()\n"
    ),
}
ORIGINAL = {
    "text": "Write a function to double a number.",
    "code": "def helper(x):\r\n  return x\r\ndef double(x):\r\n  return 2 * helper(x)",
    "task_id": 900,
    "test_setup_code": "",
    "test_list": ["assert set(double([1])) == set([1, 1])", "assert double(1) == 2"],
    "challenge_test_list": ["assert double(0) == 0"],
}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(*rows: Any, name: str = "problems.jsonl") -> Path:
        path = tmp_path / name
        data = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return written


@pytest.mark.parametrize("name", ["problems.jsonl", "problems.jsonl.gz", "gzipped-without-saying"])
def test_a_problem_of_humaneval_is_a_task_with_hidden_tests(write: Any, name: str) -> None:
    path = write(PROBLEM, "", name=name if "says" in name else name.replace("gzipped", "plain"))
    (task,) = humaneval(path)
    assert (task.id, task.prompt) == ("HumanEval/900", PROBLEM["prompt"])
    assert task.public == {
        "entry_point": "double",
        "prompt_code": PROBLEM["prompt"],
        "tests": ["assert double(2) == 4"],
    }
    assert task.hidden["tests"].endswith("assert candidate(3) == 6\n\ncheck(double)\n")
    assert task.hidden["solution"] == PROBLEM["prompt"] + "    return 2 * x\n"


def test_the_examples_of_a_docstring_can_be_left_out(write: Any) -> None:
    (task,) = humaneval(write(PROBLEM), public="none")
    assert "tests" not in task.public


@pytest.mark.parametrize(
    ("docstring", "tests"),
    [
        (">>> f(1)\n2", ["assert f(1) == 2"]),
        (">>> f( 1 )   # so\n2.5", ["assert f(1) == 2.5"]),
        (">>> round(f([1, 2]), 2)\n-0.5", ["assert round(f([1, 2]), 2) == -0.5"]),
        (">>> f('a')\n'b'\n>>> f('a')\n'b'", ["assert f('a') == 'b'"]),
        (
            ">>> f(1)\n[1, (2, None)]\n>>> f(2)\nTrue",
            ["assert f(1) == [1, (2, None)]", "assert f(2) == True"],
        ),
        (">>> x = f(1)\n>>> x\n2", []),
        (">>> print(f(1))\nhello there", []),
        (">>> f(0)\nTraceback (most recent call last):\n  ...\nValueError: no", []),
        (">>> f(1)\n<object at 0x1>", []),
        (">>> f(1) == 2\n>>> f(2) == [3]", ["assert f(1) == 2", "assert f(2) == [3]"]),
        (">>> f(1)", []),
        (">>> g(1)\n2", []),
        (">>>f(1)\n2", []),
        ("f(1) => 2", []),
    ],
)
def test_the_examples_of_a_docstring_that_can_be_tested_are(docstring: str, tests: list[str]) -> None:
    indented = docstring.replace("\n", "\n    ")
    assert docstring_tests(f'def f(x):\n    """{indented}\n    """\n', "f") == tests


def test_a_prompt_that_is_not_python_has_no_examples() -> None:
    assert docstring_tests("def f(x:\n>>> f(1)\n2", "f") == []


def test_a_problem_in_mbpps_typed_form_is_a_task(write: Any) -> None:
    (task,) = mbpp(write(TYPED))
    assert (task.id, task.prompt) == ("mbpp_900_double", TYPED["prompt"])
    assert task.public == {"entry_point": "double", "prompt_code": TYPED["prompt"]}
    assert task.hidden == {"tests": TYPED["test"]}


def test_the_first_tests_of_mbpp_can_be_public(write: Any) -> None:
    typed, original = mbpp(write(TYPED, ORIGINAL), public=1)
    assert typed.public["tests"] == ["assert double(3) == 6"]
    assert original.public["tests"] == ["assert set(double([1])) == set([1, 1])"]
    assert original.prompt.endswith("must pass these tests:\n\nassert set(double([1])) == set([1, 1])")


def test_a_problem_in_mbpps_own_form_is_a_task_whose_tests_name_its_function(write: Any) -> None:
    (task,) = mbpp(write(ORIGINAL))
    assert (task.id, task.prompt) == ("mbpp_900", ORIGINAL["text"])
    assert task.public == {"entry_point": "double"}
    assert task.hidden["tests"].splitlines() == [*ORIGINAL["test_list"], *ORIGINAL["challenge_test_list"]]
    assert "\r" not in task.hidden["solution"]


def test_without_a_solution_the_function_is_the_one_every_test_calls(write: Any) -> None:
    (task,) = mbpp(write({**ORIGINAL, "code": None}))
    assert task.public == {"entry_point": "double"}


def test_what_the_tests_call_and_the_solution_does_not_define_is_not_its_function(write: Any) -> None:
    tests = ["assert isclose(double(1), 2)", "assert isclose(double(0), 0)"]
    (task,) = mbpp(write({**ORIGINAL, "test_list": tests, "challenge_test_list": []}))
    assert task.public == {"entry_point": "double"}


def test_what_the_tests_of_mbpp_need_first_comes_first(write: Any) -> None:
    row = {**ORIGINAL, "test_imports": ["import math"], "test_setup_code": "x = 1"}
    (task,) = mbpp(write(row), public=1)
    assert task.hidden["tests"].startswith("import math\nx = 1\nassert ")
    assert task.public["tests"][0] == "import math\nx = 1"


TASK = {"id": "t", "prompt": "?", "public": {"entry_point": "f"}, "hidden": {"tests": "assert f(1) == 2"}}


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.jsonl.gz"])
def test_tasks_are_read_one_a_line(write: Any, name: str) -> None:
    (task,) = code_tasks(write(TASK, name=name))
    assert task.to_dict() == TASK


@pytest.mark.parametrize(
    ("load", "row", "said"),
    [
        (humaneval, {"task_id": "a"}, "line 2 of .* missing: prompt, entry_point, test"),
        (humaneval, "{", "line 2 of .* is not JSON"),
        (humaneval, "[]", "line 2 of .* must be a JSON object, got list"),
        (humaneval, {**PROBLEM, "entry_point": "a b"}, "line 2 of .* name of a function"),
        (mbpp, {"task_id": 1}, "line 2 of .* is no problem of MBPP: it needs task_id, text and test_list"),
        (mbpp, {**TYPED, "prompt": None}, "line 2 of .* missing: prompt"),
        (mbpp, {**ORIGINAL, "test_list": ["assert 1 == 1"]}, "line 2 of .* no function is called by each"),
        (mbpp, {**ORIGINAL, "test_list": ["assert ("]}, "line 2 of .* are not Python"),
        (code_tasks, {"id": "t"}, "line 2 of .* is no Task: prompt"),
        (code_tasks, {**TASK, "answer": 1}, "line 2 of .* is no Task: answer"),
        (code_tasks, {**TASK, "public": {}}, "line 2 of .* no public.entry_point"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(write: Any, load: Any, row: Any, said: str) -> None:
    first = {humaneval: PROBLEM, mbpp: TYPED, code_tasks: TASK}[load]
    with pytest.raises(BadInput, match=said):
        load(write(first, row))


@pytest.mark.parametrize("load", [humaneval, mbpp, code_tasks])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, load: Any) -> None:
    with pytest.raises(BadInput, match="no file at .*nowhere.jsonl"):
        load(tmp_path / "nowhere.jsonl")


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(BadInput, match="cannot be read as JSON Lines"):
        humaneval(tmp_path / "x.gz")


def test_options_out_of_range_are_refused(write: Any) -> None:
    with pytest.raises(BadInput, match="docstring or none"):
        humaneval(write(PROBLEM), public="all")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="0 or more"):
        mbpp(write(TYPED), public=-1)


def test_the_tasks_of_the_package_have_public_and_hidden_tests_and_a_solution() -> None:
    tasks = small_tasks()
    assert len(tasks) == len({task.id for task in tasks}) == 24
    for task in tasks:
        assignment = assignment_of(task)
        assert assignment.public
        assert assignment.hidden
        assert task.hidden["solution"]
    assert sum(bool(assignment_of(task).public.cases) for task in tasks) == 4


def test_no_hidden_test_of_the_packages_tasks_is_public_too() -> None:
    for task in small_tasks():
        for name in ("tests", "cases"):
            public, hidden = task.public.get(name, []), task.hidden.get(name, [])
            assert not [each for each in hidden if each in public], task.id


@pytest.mark.data
def test_the_problems_of_humaneval_and_mbpp_are_read(data: Path) -> None:
    problems, typed = humaneval(data / "humaneval/problems.jsonl"), mbpp(data / "mbpp-typed/problems.jsonl")
    assert (len(problems), len(typed)) == (82, 203)
    assert sum("tests" in task.public for task in problems) == 38
    assert all(task.hidden["tests"].rstrip().endswith(")") for task in [*problems, *typed])
