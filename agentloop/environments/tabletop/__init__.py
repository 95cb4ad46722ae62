"""A small table-top world: drawers, boxes and things, each to be handled in its own way, seen on photos."""

from __future__ import annotations

from agentloop.environments.tabletop.session import TabletopEnvironment, tabletop_passes
from agentloop.environments.tabletop.table import Table, Thing
from agentloop.environments.tabletop.tasks import TASKS_A_ROUND, tabletop_tasks

__all__ = [
    "TASKS_A_ROUND",
    "Table",
    "TabletopEnvironment",
    "Thing",
    "tabletop_passes",
    "tabletop_tasks",
]
