"""Chat models: over LiteLLM, over a checkpoint on this machine, and scripted. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.models.chat import ChatModel as ChatModel
    from agentloop.models.chat import LiteLLMModel as LiteLLMModel
    from agentloop.models.contract import check_model as check_model
    from agentloop.models.embed import LiteLLMEmbedder as LiteLLMEmbedder
    from agentloop.models.faults import FaultServer as FaultServer
    from agentloop.models.local import LocalModel as LocalModel
    from agentloop.models.local import renderer as renderer
    from agentloop.models.scripted import ScriptedModel as ScriptedModel

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ChatModel": "chat",
        "FaultServer": "faults",
        "LiteLLMEmbedder": "embed",
        "LiteLLMModel": "chat",
        "LocalModel": "local",
        "ScriptedModel": "scripted",
        "check_model": "contract",
        "renderer": "local",
    },
)

__all__ = [
    "ChatModel",
    "FaultServer",
    "LiteLLMEmbedder",
    "LiteLLMModel",
    "LocalModel",
    "ScriptedModel",
    "check_model",
    "renderer",
]
