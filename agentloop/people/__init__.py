"""Simulated people for tests and benchmarks: deterministic, by rule, no model needed. Loads on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.people.tabletop import TabletopPerson as TabletopPerson
    from agentloop.people.writer import Editor as Editor
    from agentloop.people.writing_model import scripted_writer as scripted_writer
    from agentloop.people.writing_texts import writing_tasks as writing_tasks

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Editor": "writer",
        "TabletopPerson": "tabletop",
        "scripted_writer": "writing_model",
        "writing_tasks": "writing_texts",
    },
)

__all__ = ["Editor", "TabletopPerson", "scripted_writer", "writing_tasks"]
