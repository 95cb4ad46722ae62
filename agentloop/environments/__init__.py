"""Where actions have effects. An environment is any callable that takes a Task and opens a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.environments.code.environment import CodeEnvironment as CodeEnvironment
    from agentloop.environments.sql.environment import SQLEnvironment as SQLEnvironment
    from agentloop.environments.web.environment import WebEnvironment as WebEnvironment

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CodeEnvironment": "code.environment",
        "SQLEnvironment": "sql.environment",
        "WebEnvironment": "web.environment",
    },
)
__all__ = ["CodeEnvironment", "SQLEnvironment", "WebEnvironment"]
