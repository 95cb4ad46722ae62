"""Which tasks a correction is for, and by which words it is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from agentloop.types import Correction, Task

_CONDITION = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*=\s*([^,;=]+?)\s*")
_PLAIN = re.compile(r"[\w .,'-]{1,80}")


def key_text(correction: Correction) -> str:
    """The words a correction is found by: its key, or where it applies with what it says."""
    if correction.key:
        return correction.key
    applies = "" if conditions(correction.applies_when) else correction.applies_when
    return f"{applies} {correction.text}".strip()


def task_text(task: Task) -> str:
    """The words of a task to search with: its prompt and short public values, such as a house's name.

    Hidden data, long values (schemas, scripts) and paths are left out.
    """
    values = [str(value) for value in task.public.values() if isinstance(value, str | int | float)]
    return " ".join([task.prompt, *(value for value in values if _PLAIN.fullmatch(value))])


def conditions(text: str) -> dict[str, str]:
    """The exact conditions in a scope such as ``house=acme, table=boats``; none when it is prose."""
    return dict(_parsed(text))


@lru_cache(maxsize=10_000)
def _parsed(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for part in re.split(r"[,;]", text):
        match = _CONDITION.fullmatch(part)
        if match is None:
            return ()
        found.append((match.group(1), match.group(2)))
    return tuple(found)


def fits(correction: Correction, task: Task) -> bool:
    """Whether the exact conditions of the correction's scope let it reach ``task``.

    ``applies_when`` must hold in full for the task's public data, a value that is not there included;
    a ``not_when`` that holds in full keeps the correction away. Scopes in prose always fit here.
    """
    wanted, unwanted = conditions(correction.applies_when), conditions(correction.not_when)
    if wanted and not _hold(wanted, task.public):
        return False
    return not (unwanted and _hold(unwanted, task.public))


def scopes_meet(one: Correction, other: Correction) -> bool:
    """Whether a task may be in the scope of both; scopes in prose may always."""
    here, there = conditions(one.applies_when), conditions(other.applies_when)
    if any(here[name].lower() != there[name].lower() for name in here.keys() & there.keys()):
        return False
    shut_out = (conditions(one.not_when), there), (conditions(other.not_when), here)
    return not any(unwanted and unwanted.items() <= wanted.items() for unwanted, wanted in shut_out)


def _hold(wanted: Mapping[str, str], public: Mapping[str, Any]) -> bool:
    return all(
        name in public and str(public[name]).strip().lower() == value.lower()
        for name, value in wanted.items()
    )
