"""What several commands make of the options that they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentloop.errors import BadInput

if TYPE_CHECKING:
    from agentloop.budget import Budget
    from agentloop.commands.building import Wanted

UNFINISHED = 3
"""Exit code: the budget was spent before the end."""


def wanted(given: dict[str, Any]) -> Wanted:
    """What is to be built, of all that was given."""
    from dataclasses import fields

    from agentloop.commands.building import Wanted

    return Wanted(**{field.name: given[field.name] for field in fields(Wanted) if field.name in given})


def budget(
    calls: int | None, tokens: int | None, dollars: float | None, seconds: float | None
) -> Budget | None:
    """The budget, if there is to be one."""
    from agentloop.budget import Budget

    given = {"calls": calls, "tokens": tokens, "dollars": dollars, "seconds": seconds}
    for name, value in given.items():
        if value is not None and value <= 0:
            raise BadInput(f"--budget-{name} must be greater than 0, got {value}")
    if all(value is None for value in given.values()):
        return None
    return Budget(calls=calls, tokens=tokens, dollars=dollars, seconds=seconds)
