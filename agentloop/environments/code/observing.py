"""What the agent is shown of a run: a few lines of text, the same whenever the program does the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.environments.code.edits import Refused
from agentloop.environments.code.verdict import MIB, Verdict
from agentloop.types import Fact

SHOWN = 2_000
"""Characters of one part of an observation; of longer ones the head and the tail are shown."""
FRAMES = 4
MOST_LISTED = 100
STOPPED = ("timeout", "memory", "output_limit", "killed_by_signal")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")

NO_PROGRAM = "There is no program in this reply. Give it in a fenced block: ```python"
NOTHING_TO_EDIT = "There is no program to edit yet. Give a whole program in a fenced block: ```python"
NOTHING_TESTED = "There are no public tests, so nothing was tested."
LOADED = "The program can be loaded."
RAN = "The program ran."


def observation(verdict: Verdict, *, tested: bool, script: bool = False) -> str:
    """What running the program on the public tests showed; ``tested`` tells whether there were any.

    Without any, a ``script`` was run, and anything else only loaded.
    """
    facts = {fact.kind: fact.data for fact in reversed(verdict.facts)}
    said = [_summary(verdict, facts)] if tested else []
    if not tested and verdict.passed:
        said.append(f"{RAN if script else LOADED} {NOTHING_TESTED}")
    if not verdict.passed:
        said += [tell(facts[kind]) for kind, tell in TOLD.items() if kind in facts]
    if verdict.output.strip() and "case" not in facts:
        said.append(f"It printed:\n{_printed(verdict)}")
    # An address is another one in every run; a step must bring the same observation when it is repeated.
    return ADDRESS.sub("0x...", "\n".join(part for part in said if part))


def cut(text: str, longest: int = SHOWN) -> str:
    """A text, or its head and tail with the number of characters between them."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters ...\n{text[-half:]}"


def _printed(verdict: Verdict) -> str:
    """What the program wrote; of one that was stopped the beginning, since how far it came is chance."""
    if verdict.why in STOPPED:
        return verdict.output[: SHOWN // 2].strip("\n")
    return cut(verdict.output.strip("\n"))


def unmatched(found: Refused) -> str:
    """Why an edit was not carried out."""
    place = f" in {found.name}" if found.name else ""
    why = {
        "not closed": f"Edit {found.number} is not whole: it needs a line ======= and, at its end, a line "
        ">>>>>>> REPLACE, with marks as long as those before SEARCH.",
        "no such file": f"Edit {found.number} names {found.name}, which there is not.",
        "nothing to search for": f"Edit {found.number} has no lines to search for{place}.",
        "several places": f"The lines that edit {found.number} searches for stand in several places{place}.",
        "not found": f"The lines that edit {found.number} searches for do not stand there{place}.",
    }[found.why]
    near = f"\nThe nearest lines, from line {found.line} on:\n{cut(found.near)}" if found.near else ""
    return f"{why} Nothing was changed.{near}"


def _summary(verdict: Verdict, facts: Mapping[str, Mapping[str, Any]]) -> str:
    data = facts.get("tests")
    if data is None or "load_error" in facts:
        return "The public tests passed." if verdict.passed else "The public tests did not pass."
    passed, total = passed_of(data), data["total"]
    if verdict.passed:
        return "The public test passed." if total == 1 else f"All {total} public tests passed."
    not_run = f"; {data['not_run']} did not run" if data.get("not_run") else ""
    return f"{passed} of {total} public tests passed{not_run}."


def passed_of(data: Mapping[str, Any]) -> int:
    """How many tests passed. A full list may have been cut; then those that are left over passed."""
    listed = len(data["passed"])
    left_over = int(data["total"]) - int(data.get("not_run", 0)) - len(data["failed"])
    return listed if listed < MOST_LISTED else left_over


def _assertion(data: Mapping[str, Any]) -> str:
    said = f"Failed: {data['test']}"
    if "call" in data and "got" in data:
        wanted = f"; wanted {_relation(data)}{data['wanted']}" if "wanted" in data else ""
        said += f"\n{data['call']} returned {data['got']}{wanted}"
    return cut(said)


def _relation(data: Mapping[str, Any]) -> str:
    operator = data.get("operator", "==")
    return "" if operator == "==" else f"{operator} "


def _exception(data: Mapping[str, Any]) -> str:
    doing = f"{data['call']} raised " if "call" in data else "It raised "
    message = f": {data['message']}" if data.get("message") else ""
    test = f"Failed: {data['test']}\n" if "test" in data else ""
    return cut(f"{test}{doing}{data['type']}{message}{_frames(data.get('frames', ()))}")


def _frames(frames: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for frame in frames[-FRAMES:]:
        place = f"line {frame['line']}" if frame.get("line", 0) > 0 else "the task's own code"
        source = f": {frame['source'].strip()}" if frame.get("source") else ""
        told.append(f"\n  {place}, in {frame['function']}{source}")
    return "".join(told)


def _load_error(data: Mapping[str, Any]) -> str:
    place = f" at line {data['line']}" if data.get("line", 0) > 0 else ""
    text = f"\n  {data['text'].strip()}" if data.get("text") else ""
    said = f"The program could not be loaded: {data['type']}{place}: {data['message']}{text}"
    return cut(said + (_frames(data.get("frames", ())) if len(data.get("frames", ())) > 1 else ""))


def _missing(data: Mapping[str, Any]) -> str:
    defined = ", ".join(data.get("defined", ())[:10])
    return f"The program does not define {data['name']}. It defines: {defined or 'nothing'}."


def _timeout(data: Mapping[str, Any]) -> str:
    # The line it was at is chance, and would make another observation when the step is repeated.
    return f"It was stopped after {data['seconds']:g} seconds{_calling(data)}."


def _memory(data: Mapping[str, Any]) -> str:
    limit = f" of {data['bytes'] // MIB} MiB" if data.get("bytes") else ""
    return f"It ran out of its memory{limit}{_calling(data)}."


def _calling(data: Mapping[str, Any]) -> str:
    return f" in {cut(data['call'])}" if "call" in data else ""


def _output_limit(data: Mapping[str, Any]) -> str:
    return f"It was stopped: it wrote more than {data['bytes'] // MIB} MiB."


def _case(data: Mapping[str, Any]) -> str:
    number = f" {data['number']}" if "number" in data else ""
    parts = {f"Case{number} reads": "stdin", "It wrote": "got", "Wanted": "wanted"}
    return "\n".join(f"{what}:\n{cut(data.get(name) or '(nothing)')}" for what, name in parts.items())


def _unsupported(data: Mapping[str, Any]) -> str:
    if data.get("where") == "argument":
        return f"The test passes a value of type {data['type']}, which cannot be handed to the program."
    doing = f"{data['call']} returned" if "call" in data else "The program returned"
    return f"{doing} a value of type {data['type']}; only plain values can be compared."


TOLD: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "load_error": _load_error,
    "missing_entry_point": _missing,
    "assertion": _assertion,
    "exception": _exception,
    "unsupported_value": _unsupported,
    "case": _case,
    "timeout": _timeout,
    "memory": _memory,
    "output_limit": _output_limit,
    "signal": lambda data: f"It was ended by {data['name']}{_calling(data)}.",
    "exit": lambda data: f"It left with exit code {data['code']}{_calling(data)} before the tests were done.",
    "test_error": lambda data: cut(f"The test itself broke: {data['type']}: {data['message']}"),
    "forged_channel": lambda _data: (
        "It wrote to a channel that is not the program's; nothing it says counts."
    ),
}


def program_fact(text: str, files: Mapping[str, str]) -> Fact:
    """What was run, as a fact: critics find lines in it."""
    return Fact(kind="program", data={"text": text, **({"files": dict(files)} if files else {})})
