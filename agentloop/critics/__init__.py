"""Critics: anything that turns an attempt into feedback. A plain function will do; these are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.critics.execution import execution_critic as execution_critic
    from agentloop.critics.model import ModelCritic as ModelCritic

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ModelCritic": "model",
        "execution_critic": "execution",
    },
)
__all__ = ["ModelCritic", "execution_critic"]
