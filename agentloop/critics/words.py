"""What a critic finds in one fact, before it is said at some level of detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentloop.types import Verdict


class Finding(NamedTuple):
    """One thing found: what it means for the verdict, in which respect, and how.

    ``where`` says what is wrong without saying how to mend it, ``how`` the rest. ``share`` of the
    answer, 0 to 1, is right all the same.
    """

    verdict: Verdict
    where: str
    how: str = ""
    share: float = 0.0


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 row``, ``2 rows``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Sequence[str], joint: str = "and") -> str:
    """Names in code marks as a list in words."""
    marked = [f"`{name}`" for name in names]
    if len(marked) < 2:
        return "".join(marked)
    return f"{', '.join(marked[:-1])} {joint} {marked[-1]}"
