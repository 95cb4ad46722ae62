"""Agents that improve from feedback in words: told what was wrong, they retry, remember, are trained."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentloop.lazy import lazy
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
    from agentloop.replaying import areplay, replay
    from agentloop.run import Run
    from agentloop.scoping import scoped
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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Attempt": "types",
        "Budget": "budget",
        "ChatModel": "models",
        "Correction": "types",
        "Fact": "types",
        "Feedback": "types",
        "Prompts": "prompts",
        "Reply": "types",
        "Run": "run",
        "RunContext": "context",
        "ScriptedModel": "models",
        "Span": "types",
        "Step": "types",
        "Task": "types",
        "Trajectory": "types",
        "Usage": "types",
        "aevaluate": "evaluation",
        "aimprove": "loop",
        "areplay": "replaying",
        "compare": "evaluation",
        "evaluate": "evaluation",
        "improve": "loop",
        "insert": "graph",
        "once": "context",
        "oracle": "stopping",
        "reflect_and_retry": "graph",
        "reflect_and_retry_graph": "graph",
        "replay": "replaying",
        "scoped": "scoping",
        "sees_hidden": "hidden",
        "stuck": "stopping",
    },
)

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
    "areplay",
    "compare",
    "evaluate",
    "improve",
    "insert",
    "once",
    "oracle",
    "reflect_and_retry",
    "reflect_and_retry_graph",
    "replay",
    "scoped",
    "sees_hidden",
    "stuck",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
