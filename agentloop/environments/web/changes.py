"""What changed between two looks at a page: lines that came, lines that went, address and title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from agentloop.environments.web.marks import Seen
from agentloop.environments.web.observing import content, shortened
from agentloop.types import Fact

MOST_LINES = 40
LONGEST_LINE = 300


def changed(before: Seen, after: Seen) -> Fact:
    """The fact ``changed``. Lines that only moved have not changed; of many, ``left_out`` counts the rest."""
    lines, later = contents(before), contents(after)
    added, removed = only_in(later, lines), only_in(lines, later)
    most = max(MOST_LINES // 2, MOST_LINES - len(removed))
    shown = added[:most]
    gone = removed[: MOST_LINES - len(shown)]
    data: dict[str, Any] = {"added": [_cut(line) for line in shown], "removed": [_cut(line) for line in gone]}
    left_out = len(added) + len(removed) - len(shown) - len(gone)
    data |= {"left_out": left_out} if left_out else {}
    if before.url != after.url:
        data["url"] = [shortened(before.url), shortened(after.url)]
    if before.title != after.title:
        data["title"] = [before.title, after.title]
    return Fact(kind="changed", data=data)


def contents(seen: Seen) -> list[str]:
    """What the page says, line by line; a list or a frame as such says nothing."""
    return [content(line) for line in seen.lines if line.mark or line.words or line.extras]


def only_in(these: Sequence[str], those: Sequence[str]) -> list[str]:
    """The lines that stand in ``these`` more often than in ``those``, in their order."""
    left = Counter(those)
    found = []
    for line in these:
        if left[line]:
            left[line] -= 1
        else:
            found.append(line)
    return found


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."
