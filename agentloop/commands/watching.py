"""A run in the terminal as it goes: of every agent at work its goal, last action, what changed, its reward.

The view follows the journal, which has every step before it is used. So it shows any environment, costs
the run nothing but a file that is read behind it, and cannot come in its way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agentloop.commands.telling import talk
from agentloop.critics.web_words import action_of, difference, hindrances, one_line
from agentloop.journal import trajectory_of
from agentloop.loop import Progress
from agentloop.types import Step, Task

ROWS = 12
"""The most agents that are shown, those that acted last."""
AROUND = 6
"""Lines of the terminal that are left for the head and for what was there before."""
AT_ONCE = 1 << 20
"""Bytes of the journal read for one picture; what came earlier is passed over, the view being of now."""
PER_SECOND = 4


class Row(NamedTuple):
    """One agent at work."""

    goal: str
    at: str
    action: str
    change: str
    reward: str


class Follower:
    """Reads what is added to a journal since the last look; what stood there before is not told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = path.stat().st_size if path.is_file() else 0
        self._torn = b""

    def added(self) -> Iterator[dict[str, Any]]:
        """The steps and ends that were written since; a line that is being written waits for its end."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            if size < self._offset:  # a torn last line was cut off when the run was taken up again
                self._offset, self._torn = size, b""
            if size - self._offset > AT_ONCE:
                self._offset, self._torn = size - AT_ONCE, b""
            file.seek(self._offset)
            data = self._torn + file.read(AT_ONCE)
            self._offset = file.tell()
        *lines, self._torn = data.split(b"\n")
        for line in lines:
            if b'"kind":"step"' in line or line.startswith(b'{"end"'):
                yield from _entry(line)


class View:
    """The agents at work, as far as the journal tells."""

    def __init__(self, title: str, tasks: Sequence[Task], journal: Path) -> None:
        self.title = title
        self.told: Progress | None = None
        self._goals = {task.id: task.prompt for task in tasks}
        self._follower = Follower(journal)
        self._rows: dict[str, Row] = {}

    def tell(self, told: Progress) -> None:
        """The callback for ``progress``."""
        self.told = told

    def update(self) -> None:
        """Take up what the journal has gained."""
        for entry in self._follower.added():
            if "end" in entry:
                self._rows.pop(entry["end"], None)
                continue
            trajectory = trajectory_of(entry["place"])
            before = self._rows.pop(trajectory, None)  # the latest comes last
            self._rows[trajectory] = self._row(trajectory, entry, before)

    def rows(self, most: int = ROWS) -> list[Row]:
        """The agents that acted last, the very last at the end."""
        return list(self._rows.values())[-most:]

    def shown(self, height: int, width: int) -> RenderableType:
        """The picture of now, within so many lines and columns."""
        self.update()
        most = max(1, min(ROWS, height - AROUND))
        rows, more = self.rows(most), len(self._rows) - most
        table = Table(box=None, pad_edge=False, width=width)
        for name, share in (
            ("goal", 3),
            ("step", None),
            ("action", 3),
            ("what changed", 4),
            ("reward", None),
        ):
            table.add_column(name, ratio=share, no_wrap=True, overflow="ellipsis")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        parts: list[RenderableType] = [Text(self._head(), no_wrap=True, overflow="ellipsis"), table]
        if more > 0:
            parts.append(Text(f"and {more} more"))
        return Group(*parts)

    def _head(self) -> str:
        told = self.told
        if told is None:
            return self.title
        return f"{self.title}: {told.done} of {told.total} done, {told.passed} passed, {told.calls} calls"

    def _row(self, trajectory: str, entry: dict[str, Any], before: Row | None) -> Row:
        step = Step.from_dict(entry["value"])
        attempt, node = entry["place"].rsplit("/", 3)[1:3]
        number = (
            int(before.at.rpartition(".")[2]) + 1 if before and before.at.startswith(f"{attempt}.") else 1
        )
        return Row(
            goal=self._goals.get(trajectory.rpartition("#")[0], trajectory),
            at=f"{attempt}.{number}" if node == "act" else attempt,
            action=action_of(step.action),
            change=change_of(step),
            reward=reward_of(step),
        )


def change_of(step: Step) -> str:
    """What came of a step: what stood in its way, what changed, or else the head of the observation."""
    if found := hindrances(step):
        return found[0].where
    changed = next((fact.data for fact in step.facts if fact.kind == "changed"), None)
    if changed is not None:
        return difference(changed) or "nothing"
    return step.observation


def reward_of(step: Step) -> str:
    """The reward as far as the step tells one."""
    told = [fact.data.get("reward") for fact in step.facts if fact.kind == "reward"]
    value = told[-1] if told else step.reward
    return "" if value is None else f"{value:g}"


@contextmanager
def live(
    title: str, tasks: Sequence[Task], journal: Path, *, console: Console = talk
) -> Iterator[Callable[[Progress], None]]:
    """The view in the terminal while the block lasts; gives the callback for ``progress``."""
    view = View(title, tasks, journal)

    def now() -> RenderableType:
        return view.shown(console.height, console.width)

    with Live(get_renderable=now, console=console, refresh_per_second=PER_SECOND, transient=True):
        yield view.tell


def _entry(line: bytes) -> Iterator[dict[str, Any]]:
    try:
        entry = json.loads(line.decode("utf-8", "surrogatepass"))
    except ValueError:
        return  # the head of what was passed over
    if isinstance(entry, dict) and ("end" in entry or entry.get("kind") == "step"):
        yield entry
