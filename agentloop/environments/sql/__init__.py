"""SQL over SQLite databases: guarded statements in worker processes, facts for critics, graded results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.environments.sql.environment import SQLEnvironment as SQLEnvironment
    from agentloop.environments.sql.environment import SQLSession as SQLSession
    from agentloop.environments.sql.grading import result_match as result_match
    from agentloop.environments.sql.grading import same_result as same_result
    from agentloop.environments.sql.probes import active_guards as active_guards
    from agentloop.environments.sql.published import bird_compatible as bird_compatible
    from agentloop.environments.sql.published import spider_compatible as spider_compatible

__getattr__, __dir__ = lazy(
    __name__,
    {
        "SQLEnvironment": "environment",
        "SQLSession": "environment",
        "active_guards": "probes",
        "bird_compatible": "published",
        "result_match": "grading",
        "same_result": "grading",
        "spider_compatible": "published",
    },
)
__all__ = [
    "SQLEnvironment",
    "SQLSession",
    "active_guards",
    "bird_compatible",
    "result_match",
    "same_result",
    "spider_compatible",
]
