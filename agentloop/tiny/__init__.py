"""The embedded models ``local/tiny`` and ``local/tiny-python``: checkpoints, tasks and critics."""

from __future__ import annotations

from pathlib import Path

from agentloop.tiny.critic import critic
from agentloop.tiny.families import FAMILIES, HELD_OUT
from agentloop.tiny.houses import HOUSES
from agentloop.tiny.lessons import house_readings
from agentloop.tiny.python_critic import python_critic
from agentloop.tiny.python_tasks import python_tasks
from agentloop.tiny.tasks import tasks

__all__ = [
    "FAMILIES",
    "HELD_OUT",
    "HOUSES",
    "checkpoint",
    "critic",
    "house_readings",
    "python_critic",
    "python_tasks",
    "tasks",
]


def checkpoint() -> Path:
    """The folder of the bundled model, in the form that transformers loads."""
    return Path(__file__).parent / "checkpoint"
