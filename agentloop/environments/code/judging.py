"""Runs a program against the checks of a task, and says of whose lines and files the facts speak."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.environments.code.assignment import Assignment, Case, Checks
from agentloop.environments.code.program import Assembled, Program, assembled, lines_of
from agentloop.environments.code.verdict import Backend, Job, Verdict
from agentloop.errors import EnvironmentFailed
from agentloop.types import Fact

OWN_FILE = "program.py"
"""How the sandbox calls the program itself in frames."""
WITH_LINES = ("exception", "load_error", "timeout", "trace")
MOST_LISTED = 100


def judged(
    backend: Backend, assignment: Assignment, program: Program, *, checks: Checks, timeout_seconds: float
) -> Verdict:
    """The verdict of ``checks`` on ``program``; with none, on loading it. Blocks.

    EnvironmentFailed when the back end gave no verdict.
    """
    whole = joined(assignment, program)
    job = Job(
        program=whole.text,
        mode=assignment.mode,
        tests=checks.tests,
        entry_point=assignment.entry_point,
        prompt=assignment.prompt_code,
        files={**assignment.files, **program.files},
        timeout_seconds=timeout_seconds,
    )
    if checks.cases:
        verdict = _cases(backend, job, checks.cases)
    elif assignment.mode == "script" and not checks:
        verdict = sound(backend, job._replace(mode="stdio"))
    elif not assignment.entry_point and not checks:
        verdict = unrun(whole)
    else:
        verdict = sound(backend, job)
        if not checks:
            verdict = only_loaded(verdict)
    files = {**job.files, OWN_FILE: whole.text}
    facts = (counted(grounded(fact, files), whole.before) for fact in verdict.facts)
    written = tuple(fact.replace(data=writable(fact.data)) for fact in facts)
    return verdict.replace(facts=written, output=writable(verdict.output))


def sound(backend: Backend, job: Job) -> Verdict:
    """A verdict on the program; what says nothing of the program is an error, never a failure."""
    verdict = backend.run(job)
    if verdict.broken:
        told = [str(fact.data.get("message", "")) for fact in verdict.facts if fact.kind == "infra_error"]
        raise EnvironmentFailed(f"the sandbox gave no verdict: {'; '.join(told) or 'it did not say why'}")
    return verdict


def joined(assignment: Assignment, program: Program) -> Assembled:
    """The program as it is run, with the code that its task brings."""
    return assembled(program.text, entry_point=assignment.entry_point, prompt_code=assignment.prompt_code)


def _cases(backend: Backend, job: Job, cases: Sequence[Case]) -> Verdict:
    """Run the cases one after the other, until one takes too long: the rest would take as long."""
    verdicts: list[Verdict] = []
    for case in cases:
        verdicts.append(
            sound(backend, job._replace(mode="stdio", tests="", stdin=case.stdin, stdout=case.stdout))
        )
        if verdicts[-1].why == "timeout":
            break
    return together(verdicts, total=len(cases))


def together(verdicts: Sequence[Verdict], *, total: int) -> Verdict:
    """One verdict of several cases: what the first that failed showed, and which passed."""
    failed = [at for at, verdict in enumerate(verdicts) if not verdict.passed]
    passed = [at for at, verdict in enumerate(verdicts) if verdict.passed]
    shown = failed[0] if failed else 0
    tests = {
        "passed": [f"case {at + 1}" for at in passed[:MOST_LISTED]],
        "failed": [f"case {at + 1}" for at in failed[:MOST_LISTED]],
        "not_run": total - len(verdicts),
        "total": total,
    }
    facts = [
        fact.replace(data={**fact.data, "number": shown + 1}) if fact.kind == "case" else fact
        for fact in verdicts[shown].facts
        if failed  # what a right program wrote is what was wanted
    ]
    return verdicts[shown].replace(
        facts=(Fact(kind="tests", data=tests), *facts),
        output=verdicts[shown].output if failed else "",
        seconds=sum(verdict.seconds for verdict in verdicts),
        forgeable=any(verdict.forgeable for verdict in verdicts),
    )


def only_loaded(verdict: Verdict) -> Verdict:
    """The verdict where there were no tests: that nothing was tested is then no fault."""
    kinds = {fact.kind for fact in verdict.facts}
    if verdict.why != "test_error" or kinds & {"load_error", "missing_entry_point"}:
        return verdict
    facts = tuple(fact for fact in verdict.facts if fact.kind not in ("test_error", "tests"))
    return verdict.replace(passed=True, why="passed", facts=facts)


def unrun(whole: Assembled) -> Verdict:
    """The verdict on a program that cannot be loaded without being run, for want of input: on its syntax."""
    try:
        ast.parse(whole.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        data: dict[str, Any] = {
            "type": type(error).__name__,
            "message": getattr(error, "msg", str(error)),
            "frames": [],
        }
        if isinstance(error, SyntaxError):
            data |= {"line": error.lineno, "text": error.text or ""}
        return Verdict(passed=False, why="load_error", facts=(Fact(kind="load_error", data=data),))
    return Verdict(passed=True, why="passed")


def writable(value: Any) -> Any:
    """A value with its texts as they can be written as UTF-8: half of a surrogate pair becomes its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: writable(each) for name, each in value.items()}
    return [writable(each) for each in value] if isinstance(value, list) else value


def grounded(fact: Fact, files: Mapping[str, str]) -> Fact:
    """A fact whose frames quote the files themselves.

    Frames come out of the program's own process, which could put there what it was called with.
    """
    if "frames" not in fact.data:
        return fact
    frames = [_grounded(frame, files.get(frame.get("file", ""), "")) for frame in fact.data["frames"]]
    return fact.replace(data={**fact.data, "frames": frames})


def _grounded(frame: Mapping[str, Any], text: str) -> dict[str, Any]:
    lines, line, function = lines_of(text), frame.get("line"), str(frame.get("function", ""))
    source = lines[line - 1].strip() if isinstance(line, int) and 0 < line <= len(lines) else ""
    known = function in ("<module>", "<lambda>") or re.search(rf"\b{re.escape(function)}\b", text)
    return {**frame, "source": source, "function": function if known else "?"}


def counted(fact: Fact, before: int) -> Fact:
    """A fact whose lines are counted from the agent's own first line; those above it are 0 or less."""
    if not before or fact.kind not in WITH_LINES:
        return fact
    data = dict(_counted(fact.data, before))
    for name in ("frames", "lines"):
        if name in data:
            data[name] = [_counted(each, before) for each in data[name]]
    if isinstance(data.get("error"), Mapping):
        data["error"] = counted(Fact(kind="exception", data=data["error"]), before).data
    return fact.replace(data=data)


def _counted(entry: Mapping[str, Any], before: int) -> Mapping[str, Any]:
    # The frames of the agent's other files keep their own numbers.
    own = entry.get("file", OWN_FILE) == OWN_FILE
    return {**entry, "line": entry["line"] - before} if own and isinstance(entry.get("line"), int) else entry
