"""Agents that improve from feedback in words: told what was wrong, they retry, remember, are trained."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from agentloop.version import __version__

if TYPE_CHECKING:
    from agentloop.budget import Budget
    from agentloop.context import RunContext, once
    from agentloop.evaluation import aevaluate, compare, evaluate
    from agentloop.graph import insert, reflect_and_retry, reflect_and_retry_graph
    from agentloop.hidden import sees_hidden
    from agentloop.loop import aimprove, improve
    from agentloop.models import ChatModel, ScriptedModel
    from agentloop.prompts import Prompts
    from agentloop.run import Run
    from agentloop.stopping import oracle, stuck
    from agentloop.types import (
        Attempt,
        Correction,
        Fact,
        Feedback,
        Reply,
        Span,
        Step,
        Task,
        Trajectory,
        Usage,
    )

_HOMES = {
    "agentloop.budget": ["Budget"],
    "agentloop.context": ["RunContext", "once"],
    "agentloop.evaluation": ["aevaluate", "compare", "evaluate"],
    "agentloop.graph": ["insert", "reflect_and_retry", "reflect_and_retry_graph"],
    "agentloop.hidden": ["sees_hidden"],
    "agentloop.loop": ["aimprove", "improve"],
    "agentloop.models": ["ChatModel", "ScriptedModel"],
    "agentloop.stopping": ["oracle", "stuck"],
    "agentloop.prompts": ["Prompts"],
    "agentloop.run": ["Run"],
    "agentloop.types": [
        "Attempt",
        "Correction",
        "Fact",
        "Feedback",
        "Reply",
        "Span",
        "Step",
        "Task",
        "Trajectory",
        "Usage",
    ],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Attempt",
    "Budget",
    "ChatModel",
    "Correction",
    "Fact",
    "Feedback",
    "Prompts",
    "Reply",
    "Run",
    "RunContext",
    "ScriptedModel",
    "Span",
    "Step",
    "Task",
    "Trajectory",
    "Usage",
    "__version__",
    "aevaluate",
    "aimprove",
    "compare",
    "evaluate",
    "improve",
    "insert",
    "once",
    "oracle",
    "reflect_and_retry",
    "reflect_and_retry_graph",
    "sees_hidden",
    "stuck",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing the package costs next to nothing."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'agentloop' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
