"""Chat models: over LiteLLM, over a checkpoint on this machine, and scripted. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentloop.models.chat import ChatModel as ChatModel
    from agentloop.models.chat import LiteLLMModel as LiteLLMModel
    from agentloop.models.contract import check_model as check_model
    from agentloop.models.embed import LiteLLMEmbedder as LiteLLMEmbedder
    from agentloop.models.faults import FaultServer as FaultServer
    from agentloop.models.local import LocalModel as LocalModel
    from agentloop.models.local import renderer as renderer
    from agentloop.models.scripted import ScriptedModel as ScriptedModel

_HOMES = {
    "ChatModel": "chat",
    "FaultServer": "faults",
    "LiteLLMEmbedder": "embed",
    "LiteLLMModel": "chat",
    "LocalModel": "local",
    "ScriptedModel": "scripted",
    "check_model": "contract",
    "renderer": "local",
}

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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; known: {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
