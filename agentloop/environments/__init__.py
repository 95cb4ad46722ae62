"""Where actions have effects. An environment is any callable that takes a Task and opens a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.environments.code.environment import CodeEnvironment as CodeEnvironment
    from agentloop.environments.gymnasium_environment import GymnasiumEnvironment as GymnasiumEnvironment
    from agentloop.environments.gymnasium_environment import as_gymnasium as as_gymnasium
    from agentloop.environments.household import HouseholdEnvironment as HouseholdEnvironment
    from agentloop.environments.household import household_tasks as household_tasks
    from agentloop.environments.openenv_environment import OpenEnvironment as OpenEnvironment
    from agentloop.environments.openenv_server import serve_openenv as serve_openenv
    from agentloop.environments.pages import PagesEnvironment as PagesEnvironment
    from agentloop.environments.reasoning import reasoning_score as reasoning_score
    from agentloop.environments.reasoning import reasoning_tasks as reasoning_tasks
    from agentloop.environments.reward import reward_passes as reward_passes
    from agentloop.environments.sql.environment import SQLEnvironment as SQLEnvironment
    from agentloop.environments.textworld_environment import TextWorldEnvironment as TextWorldEnvironment
    from agentloop.environments.textworld_environment import textworld_task as textworld_task
    from agentloop.environments.web.environment import WebEnvironment as WebEnvironment

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CodeEnvironment": "code.environment",
        "GymnasiumEnvironment": "gymnasium_environment",
        "HouseholdEnvironment": "household",
        "OpenEnvironment": "openenv_environment",
        "PagesEnvironment": "pages",
        "SQLEnvironment": "sql.environment",
        "TextWorldEnvironment": "textworld_environment",
        "WebEnvironment": "web.environment",
        "as_gymnasium": "gymnasium_environment",
        "household_tasks": "household",
        "reasoning_score": "reasoning",
        "reasoning_tasks": "reasoning",
        "reward_passes": "reward",
        "serve_openenv": "openenv_server",
        "textworld_task": "textworld_environment",
    },
)
__all__ = [
    "CodeEnvironment",
    "GymnasiumEnvironment",
    "HouseholdEnvironment",
    "OpenEnvironment",
    "PagesEnvironment",
    "SQLEnvironment",
    "TextWorldEnvironment",
    "WebEnvironment",
    "as_gymnasium",
    "household_tasks",
    "reasoning_score",
    "reasoning_tasks",
    "reward_passes",
    "serve_openenv",
    "textworld_task",
]
