"""What a task asks of a program: read from its ``public`` and ``hidden`` data, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.environments.code.program import is_safe
from agentloop.errors import BadInput
from agentloop.types import Task

TestMode: TypeAlias = Literal["calls", "script"]


class Case(NamedTuple):
    """What a program reads from standard input, and what it must write."""

    stdin: str
    stdout: str


class Checks(NamedTuple):
    """What a program is judged by: tests, or cases, or neither."""

    tests: str = ""
    cases: tuple[Case, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(self.tests or self.cases)


class Assignment(NamedTuple):
    """A task as the code environment understands it. docs/code.md describes the form."""

    entry_point: str
    prompt_code: str
    files: Mapping[str, str]
    program: str
    mode: TestMode
    public: Checks
    hidden: Checks


def assignment_of(task: Task) -> Assignment:
    """What ``task`` asks; BadInput says which part of it cannot be read, and what is allowed."""
    public = task.public
    language = public.get("language", "python")
    if str(language).lower() not in ("python", "py", "python3"):
        raise BadInput(f"task {task.id!r}: public.language is {language!r}; only python is run")
    mode = public.get("mode", "calls")
    if mode not in ("calls", "script"):
        raise BadInput(f"task {task.id!r}: public.mode must be calls or script, got {mode!r}")
    read = Assignment(
        entry_point=_entry_point(task),
        prompt_code=_text(task, "public.prompt_code", public.get("prompt_code")),
        files=_files(task, public.get("files")),
        program=_text(task, "public.program", public.get("program")),
        mode=mode,
        public=_checks(task, "public", public),
        hidden=_checks(task, "hidden", task.hidden),
    )
    if mode == "calls" and not read.entry_point and (read.public.tests or read.hidden.tests):
        raise BadInput(
            f"task {task.id!r} has tests and no public.entry_point; name the function that they call, or "
            "set public.mode to script to run them in the program's own process, which can forge its pass"
        )
    return read


def _entry_point(task: Task) -> str:
    name = _text(task, "public.entry_point", task.public.get("entry_point"))
    if name and not name.isidentifier():
        raise BadInput(f"task {task.id!r}: public.entry_point must be the name of a function, got {name!r}")
    return name


def _checks(task: Task, place: str, data: Mapping[str, Any]) -> Checks:
    tests, cases = data.get("tests"), data.get("cases")
    if tests and cases:
        raise BadInput(f"task {task.id!r}: {place} has both tests and cases; give one of them")
    if isinstance(tests, (list, tuple)):
        tests = "\n".join(_text(task, f"{place}.tests", each) for each in tests)
    listed = () if cases is None else cases
    if not isinstance(listed, (list, tuple)):
        raise BadInput(f"task {task.id!r}: {place}.cases must be a list, got {type(cases).__name__}")
    return Checks(_text(task, f"{place}.tests", tests), tuple(_case(task, place, each) for each in listed))


def _case(task: Task, place: str, data: Any) -> Case:
    if not isinstance(data, Mapping) or not {"stdin", "stdout"} >= set(data) or "stdout" not in data:
        raise BadInput(
            f"task {task.id!r}: each of {place}.cases must be an object with stdout and, if it reads "
            f"anything, stdin; got {data!r:.80}"
        )
    return Case(
        _text(task, f"{place}.cases.stdin", data.get("stdin")),
        _text(task, f"{place}.cases.stdout", data["stdout"]),
    )


def _files(task: Task, files: Any) -> Mapping[str, str]:
    if files is None:
        return {}
    if not isinstance(files, Mapping):
        raise BadInput(f"task {task.id!r}: public.files must map names to texts, got {type(files).__name__}")
    for name, text in files.items():
        _text(task, f"public.files[{name!r}]", text)
        if not is_safe(str(name)):
            raise BadInput(f"task {task.id!r}: the file {name!r} leads out of its folder; name one inside")
    return dict(files)


def _text(task: Task, place: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"task {task.id!r}: {place} must be text, got {type(value).__name__}")
    return value
