"""Exact search over vectors held in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import numpy as np

from agentloop.memories.embedding import Vectors


class ExactVectors:
    """Rows of length 1 by id, searched by their cosine to a query.

    The product is ``einsum``, which stays on one thread: for one query a BLAS library may wake its
    threads, which costs more than it saves.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._rows = np.zeros((0, 0), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def add(self, ids: Sequence[str], rows: Vectors) -> None:
        """Hold some rows; an id that is held already keeps its row."""
        fresh = [i for i, id in enumerate(ids) if id not in self._places]
        size = len(self._ids)
        self._reserve(size + len(fresh), rows.shape[1])
        self._rows[size : size + len(fresh)] = rows[fresh]
        for i in fresh:
            self._places[ids[i]] = len(self._ids)
            self._ids.append(ids[i])

    def remove(self, id: str) -> None:
        """Let one row go; the last row takes its place."""
        place = self._places.pop(id, None)
        if place is None:
            return
        last = self._ids.pop()
        if last != id:
            self._ids[place] = last
            self._places[last] = place
            self._rows[place] = self._rows[len(self._ids)]

    def rows(self, ids: Sequence[str]) -> Vectors:
        """The rows of ``ids``, in their order."""
        return self._rows[[self._places[id] for id in ids]]

    def search(self, query: Vectors, *, among: Collection[str] | None = None) -> Iterator[tuple[str, float]]:
        """Every id, or those ``among`` some, with its cosine to ``query``, nearest first; equal ones by id.

        Cosines are rounded to six places, so that the order does not hang on the processor. What is
        added or removed while the result is read does not change it.
        """
        ids = list(self._ids) if among is None else [id for id in among if id in self._places]
        if not ids:
            return iter(())
        if among is not None:
            return _ordered(ids, np.einsum("ij,j->i", self.rows(ids), query))
        return _ordered(ids, np.einsum("ij,j->i", self._rows[: len(ids)], query))

    def _reserve(self, size: int, dimension: int) -> None:
        if size <= len(self._rows):
            return
        grown = np.zeros((max(size, 2 * len(self._rows), 64), dimension), dtype=np.float32)
        grown[: len(self._ids)] = self._rows[: len(self._ids)] if len(self._ids) else 0.0
        self._rows = grown


def _ordered(ids: list[str], cosines: Vectors) -> Iterator[tuple[str, float]]:
    scores = np.round(cosines.astype(np.float64), 6)
    order = np.argsort(-scores, kind="stable")
    for score, places in groupby(order, key=lambda place: float(scores[place])):
        for id in sorted(ids[place] for place in places):
            yield id, score
