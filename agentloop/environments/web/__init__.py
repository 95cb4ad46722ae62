"""The environment of web pages: a fenced browser, seeded tasks, and the action strings that agents know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.environments.web.actions import Action as Action
    from agentloop.environments.web.actions import Malformed as Malformed
    from agentloop.environments.web.browser import Browser as Browser
    from agentloop.environments.web.environment import WebEnvironment as WebEnvironment
    from agentloop.environments.web.environment import web_passes as web_passes
    from agentloop.environments.web.fence import Fence as Fence
    from agentloop.environments.web.replies import action_in as action_in
    from agentloop.environments.web.session import WebSession as WebSession
    from agentloop.environments.web.site import Answer as Answer
    from agentloop.environments.web.site import Outcome as Outcome
    from agentloop.environments.web.site import Site as Site
    from agentloop.environments.web.site import Start as Start
    from agentloop.environments.web.window import Window as Window

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Action": "actions",
        "Answer": "site",
        "Browser": "browser",
        "Fence": "fence",
        "Malformed": "actions",
        "Outcome": "site",
        "Site": "site",
        "Start": "site",
        "WebEnvironment": "environment",
        "WebSession": "session",
        "Window": "window",
        "action_in": "replies",
        "web_passes": "environment",
    },
)
__all__ = [
    "Action",
    "Answer",
    "Browser",
    "Fence",
    "Malformed",
    "Outcome",
    "Site",
    "Start",
    "WebEnvironment",
    "WebSession",
    "Window",
    "action_in",
    "web_passes",
]
