"""Memories: what is kept from feedback, and how it is found again. Each name loads on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.memories.contract import check_memory as check_memory
    from agentloop.memories.correction import CorrectionMemory as CorrectionMemory
    from agentloop.memories.embedding import Embedder as Embedder
    from agentloop.memories.episodic import EpisodicMemory as EpisodicMemory
    from agentloop.memories.hashing import HashingEmbedder as HashingEmbedder
    from agentloop.memories.minilm import MiniLMEmbedder as MiniLMEmbedder

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CorrectionMemory": "correction",
        "Embedder": "embedding",
        "EpisodicMemory": "episodic",
        "HashingEmbedder": "hashing",
        "MiniLMEmbedder": "minilm",
        "check_memory": "contract",
    },
)

__all__ = [
    "CorrectionMemory",
    "Embedder",
    "EpisodicMemory",
    "HashingEmbedder",
    "MiniLMEmbedder",
    "check_memory",
]
