"""Vectors on a Chroma server, which several processes and machines write."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from agentloop.memories.embedding import Identity, Vectors
from agentloop.memories.vector import Hit, VectorIndex
from agentloop.types import Correction


class SharedVectors:
    """The rows of a server's index; everything is written at once and searched there."""

    by_chroma = True
    due = False

    def __init__(self, url: str, identity: Identity) -> None:
        self.identity = identity
        self.lost: set[str] = set()
        self._url = url
        self._index: VectorIndex | None = None
        self._present: set[str] = set()
        self._outdated: set[str] = set()
        self._mutex = threading.RLock()

    def __contains__(self, id: object) -> bool:
        return id in self._present

    def load(self, corrections: Mapping[str, Correction]) -> None:
        """See which of ``corrections`` the server has; the others are to be added."""
        self._present = self._opened().ids() & corrections.keys() - self._outdated

    def add(self, corrections: Sequence[Correction], rows: Vectors) -> None:
        """Write rows; those that another writer added or made forgotten stay as they are."""
        self._opened().add(corrections, rows)
        for each, row in zip(corrections, rows, strict=True):
            if each.id in self._outdated:
                self._opened().update(each, row)
                self._outdated.discard(each.id)
        self._present.update(each.id for each in corrections)

    def outdate(self, id: str) -> None:
        """Have the vector of a correction written anew when it is added again."""
        self._outdated.add(id)
        self._present.discard(id)

    def change(self, correction: Correction) -> None:
        """Write the status of a correction."""
        self._opened().update(correction)

    def flush(self) -> None:
        """Nothing waits here."""

    def remove(self, id: str) -> None:
        """Take a correction's words away for every writer."""
        self._opened().blank(id)

    def get(self, ids: Sequence[str] | None = None) -> list[Correction]:
        """What the server holds of these corrections, or of all of them."""
        return self._opened().get(ids)

    def search(self, query: Vectors) -> Iterator[Hit]:
        """Corrections of every writer by cosine to ``query``, nearest first."""
        return self._opened().search(query, records=True)

    def close(self) -> None:
        """Let the client go."""
        with self._mutex:
            if self._index is not None:
                self._index.close()
                self._index = None

    def _opened(self) -> VectorIndex:
        with self._mutex:
            if self._index is None:
                self._index = VectorIndex.server(self._url, self.identity)
            return self._index
