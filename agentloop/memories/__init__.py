"""Memories: what is kept from feedback, and how it is found again. Each name loads on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.memories.clip import ClipEmbedder as ClipEmbedder
    from agentloop.memories.contract import check_memory as check_memory
    from agentloop.memories.correction import CorrectionMemory as CorrectionMemory
    from agentloop.memories.embedding import Embedder as Embedder
    from agentloop.memories.episodic import EpisodicMemory as EpisodicMemory
    from agentloop.memories.gate import Gate as Gate
    from agentloop.memories.hashing import HashingEmbedder as HashingEmbedder
    from agentloop.memories.knowledge import KnowledgeMemory as KnowledgeMemory
    from agentloop.memories.looks import ColourEmbedder as ColourEmbedder
    from agentloop.memories.looks import ImageEmbedder as ImageEmbedder
    from agentloop.memories.looks import PatternEmbedder as PatternEmbedder
    from agentloop.memories.looks import TextImageEmbedder as TextImageEmbedder
    from agentloop.memories.minilm import MiniLMEmbedder as MiniLMEmbedder
    from agentloop.memories.preference import PreferenceMemory as PreferenceMemory
    from agentloop.memories.rent import Rent as Rent
    from agentloop.memories.rent import Worth as Worth
    from agentloop.memories.revising import revise as revise
    from agentloop.memories.store_view import as_store as as_store

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ClipEmbedder": "clip",
        "ColourEmbedder": "looks",
        "CorrectionMemory": "correction",
        "Embedder": "embedding",
        "EpisodicMemory": "episodic",
        "Gate": "gate",
        "HashingEmbedder": "hashing",
        "ImageEmbedder": "looks",
        "KnowledgeMemory": "knowledge",
        "MiniLMEmbedder": "minilm",
        "PatternEmbedder": "looks",
        "PreferenceMemory": "preference",
        "Rent": "rent",
        "TextImageEmbedder": "looks",
        "Worth": "rent",
        "as_store": "store_view",
        "check_memory": "contract",
        "revise": "revising",
    },
)

__all__ = [
    "ClipEmbedder",
    "ColourEmbedder",
    "CorrectionMemory",
    "Embedder",
    "EpisodicMemory",
    "Gate",
    "HashingEmbedder",
    "ImageEmbedder",
    "KnowledgeMemory",
    "MiniLMEmbedder",
    "PatternEmbedder",
    "PreferenceMemory",
    "Rent",
    "TextImageEmbedder",
    "Worth",
    "as_store",
    "check_memory",
    "revise",
]
