"""The embedded model ``local/tiny``: its checkpoint, its tasks and the critic that speaks to it."""

from __future__ import annotations

from pathlib import Path

from agentloop.tiny.critic import critic
from agentloop.tiny.families import FAMILIES, HELD_OUT
from agentloop.tiny.houses import HOUSES
from agentloop.tiny.lessons import house_readings
from agentloop.tiny.tasks import tasks

__all__ = ["FAMILIES", "HELD_OUT", "HOUSES", "checkpoint", "critic", "house_readings", "tasks"]


def checkpoint() -> Path:
    """The folder of the bundled model, in the form that transformers loads."""
    return Path(__file__).parent / "checkpoint"
