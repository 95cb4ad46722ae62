"""A correction changed in the editor of a person: written to a file, read back, never lost."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from agentloop.errors import BadInput, MemoryLocked
from agentloop.memories.editing import EDITABLE
from agentloop.types import Correction

_ORDER = ("status", "applies_when", "not_when", "key", "text")
_HELP = """\
# Change what stands below the names, save and leave; to change nothing, just leave.
# status: candidate, active, quarantined or retired. applies_when and not_when: exact as house=acme,
# or in words. key: what it is found by; empty means its scope and text.
"""


@contextmanager
def asked(held: Correction) -> Iterator[Mapping[str, str]]:
    """What a person changed in $VISUAL or $EDITOR; the file stays where that cannot be written down."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in EDITABLE)
        raise BadInput(f"no editor: set EDITOR, or say what is to be changed by {options}")
    if _changes(written(held), held):
        raise BadInput(f"{held.id} holds a line such as [text], which a file cannot tell apart; use options")
    file, name = tempfile.mkstemp(prefix="agentloop-", suffix=".txt", text=True)
    os.close(file)
    path = Path(name)
    path.write_text(written(held), encoding="utf-8")
    try:
        _run(command, path)
        yield _changes(path.read_text(encoding="utf-8"), held)
    except (BadInput, MemoryLocked) as error:
        raise type(error)(f"{error}. What you wrote is in {path}") from error
    path.unlink()


def written(held: Correction) -> str:
    """A correction as a person edits it: each name on a line of its own, its value below."""
    return _HELP + "".join(f"[{name}]\n{getattr(held, name)}\n" for name in _ORDER)


def parsed(text: str) -> dict[str, str]:
    """The values in a file made by ``written``; BadInput where a name is missing."""
    found: dict[str, str] = {}
    _, rest = _cut("\n" + text, _ORDER[0])
    for name, following in pairwise(_ORDER):
        found[name], rest = _cut(rest, following)
    return {**found, _ORDER[-1]: rest.strip("\n")}


def _cut(text: str, name: str) -> tuple[str, str]:
    """What stands before the line with a name, and what after it."""
    before, mark, after = text.partition(f"\n[{name}]\n")
    if not mark:
        raise BadInput(f"the line [{name}] is missing; leave the names in brackets as they are")
    return before.strip("\n"), "\n" + after


def _changes(text: str, held: Correction) -> dict[str, str]:
    values = parsed(text)
    return {name: value for name, value in values.items() if value != getattr(held, name).strip("\n")}


def _run(command: str, path: Path) -> None:
    try:
        done = subprocess.run([*shlex.split(command), str(path)], check=False)
    except OSError as error:
        raise BadInput(f"the editor {command!r} does not start: {error}; set EDITOR to another") from error
    if done.returncode:
        raise BadInput(f"the editor {command!r} ended with {done.returncode}; nothing was changed")
