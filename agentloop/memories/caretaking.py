"""A memory opened to be looked after: by a person or a tool that embeds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agentloop.errors import BadInput
from agentloop.memories.correction import CorrectionMemory
from agentloop.memories.history import History
from agentloop.memories.ledger import Event


class AbsentEmbedder:
    """Stands for the embedder that a memory's log names, which is not at hand and is not needed.

    What would have to be embedded waits for whoever opens the memory with the real one.
    """

    def __init__(self, noted: Event | None) -> None:
        noted = noted or {"name": "not known yet", "version": "", "dimension": None}
        self.name: str = noted["name"]
        self.version: str = noted["version"]
        self.dimension: int | None = noted["dimension"]

    async def __call__(self, texts: Sequence[str], /) -> NoReturn:
        """Refuse: a memory that is only looked after recalls nothing."""
        raise BadInput(
            f"this memory was opened to be looked after, without its embedder ({self.name}); "
            "open it as CorrectionMemory(folder, embedder=...) to recall from it"
        )


def look_after(folder: str | Path, *, read_only: bool = False) -> CorrectionMemory:
    """Open the memory in ``folder`` whatever embedder made its vectors: to list, edit, merge and forget."""
    noted = History(folder).ledger.embedder
    return CorrectionMemory(folder, embedder=AbsentEmbedder(noted), read_only=read_only)
