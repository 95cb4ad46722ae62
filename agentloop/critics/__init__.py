"""Critics: anything that turns an attempt into feedback. A plain function will do; these are ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentloop.critics.execution import execution_critic as execution_critic
    from agentloop.critics.model import ModelCritic as ModelCritic

_HOMES = {
    "ModelCritic": "agentloop.critics.model",
    "execution_critic": "agentloop.critics.execution",
}
__all__ = ["ModelCritic", "execution_critic"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
