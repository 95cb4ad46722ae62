"""Search over vectors held in memory: exact, and beyond many rows by a sketch of them first."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import numpy as np

from agentloop.memories.embedding import Vectors

SKETCHED = 20_000
"""From how many rows on a search looks at the sketch first."""

_SKETCH = 256
_SHORTLIST = 2000


class ExactVectors:
    """Rows of length 1 by id, searched by their cosine to a query.

    From ``SKETCHED`` rows on, if they have 256 numbers or more, a search begins with the 2,000 rows that
    are nearest in a sketch: the rows turned at random into half their dimensions, at most 256 (Johnson
    and Lindenstrauss 1984), by a fixed seed. Their cosines are exact, and the other rows follow
    when these have been read, so that every row is found in the end; the first ten are those of an
    exact search but for a few in a thousand.

    The products with one query are ``einsum``, which stays on one thread: for one query a BLAS library
    may wake its threads, which costs more than it saves.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._rows = np.zeros((0, 0), dtype=np.float32)
        self._sketch = _Sketch()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def add(self, ids: Sequence[str], rows: Vectors) -> None:
        """Hold some rows; an id that is held already keeps its row."""
        with self._mutex:
            fresh = [i for i, id in enumerate(ids) if id not in self._places]
            size = len(self._ids)
            self._reserve(size + len(fresh), rows.shape[1])
            self._rows[size : size + len(fresh)] = rows[fresh]
            for i in fresh:
                self._places[ids[i]] = len(self._ids)
                self._ids.append(ids[i])

    def remove(self, id: str) -> None:
        """Let one row go; the last row takes its place."""
        with self._mutex:
            place = self._places.pop(id, None)
            if place is None:
                return
            last = self._ids.pop()
            if last != id:
                self._ids[place] = last
                self._places[last] = place
                self._rows[place] = self._rows[len(self._ids)]
            self._sketch.moved(place, len(self._ids), self._rows[place])

    def rows(self, ids: Sequence[str]) -> Vectors:
        """The rows of ``ids``, in their order."""
        return self._rows[[self._places[id] for id in ids]]

    def search(self, query: Vectors, *, among: Collection[str] | None = None) -> Iterator[tuple[str, float]]:
        """Every id, or those ``among`` some, with its cosine to ``query``, nearest first; equal ones by id.

        Cosines are rounded to six places, so that the order does not hang on the processor. What is
        added or removed while the result is read does not change it, but where a sketch is used: then
        rows that come after the first 2,000 are those of that moment.
        """
        if not self._ids or (among is not None and not among):
            return iter(())
        if among is not None and 8 * len(among) < len(self._ids):
            ids = [id for id in among if id in self._places]
            return _ordered(ids, np.einsum("ij,j->i", self.rows(ids), query)) if ids else iter(())
        found = self._sketched(query) if self._is_large() else self._exactly(query)
        if among is None:
            return found
        wanted = set(among)
        return (each for each in found if each[0] in wanted)

    def _exactly(self, query: Vectors) -> Iterator[tuple[str, float]]:
        with self._mutex:
            ids = list(self._ids)
            return _ordered(ids, np.einsum("ij,j->i", self._rows[: len(ids)], query))

    def _sketched(self, query: Vectors) -> Iterator[tuple[str, float]]:
        with self._mutex:
            places = self._sketch.nearest(self._rows[: len(self._ids)], query)
            ids = [self._ids[place] for place in places]
            cosines = np.einsum("ij,j->i", self._rows[places], query)

        def every() -> Iterator[tuple[str, float]]:
            yield from _ordered(ids, cosines)
            seen = set(ids)
            yield from (each for each in self._exactly(query) if each[0] not in seen)

        return every()

    def _is_large(self) -> bool:
        return len(self._ids) >= SKETCHED and self._rows.shape[1] >= _SKETCH

    def _reserve(self, size: int, dimension: int) -> None:
        if size <= len(self._rows):
            return
        grown = np.zeros((max(size, 2 * len(self._rows), 64), dimension), dtype=np.float32)
        grown[: len(self._ids)] = self._rows[: len(self._ids)] if len(self._ids) else 0.0
        self._rows = grown


class _Sketch:
    """Rows turned into few dimensions, made when they are first searched and kept up from then on."""

    def __init__(self) -> None:
        self._turn = np.zeros((0, 0), dtype=np.float32)
        self._rows = np.zeros((0, 0), dtype=np.float32)
        self._made = 0

    def nearest(self, rows: Vectors, query: Vectors) -> list[int]:
        """The places of the rows that look nearest to ``query``."""
        self._follow(rows)
        scores = np.einsum("ij,j->i", self._rows[: len(rows)], np.einsum("ij,i->j", self._turn, query))
        best = np.argpartition(-scores, _SHORTLIST)[:_SHORTLIST]
        return [int(place) for place in best]

    def moved(self, place: int, last: int, row: Vectors) -> None:
        """The last row, this one, took the place of another."""
        if last < self._made:
            self._rows[place] = self._rows[last]
            self._made = last
        elif place < self._made:
            self._rows[place] = np.einsum("ij,i->j", self._turn, row)

    def _follow(self, rows: Vectors) -> None:
        if not len(self._turn):
            shape = (rows.shape[1], min(_SKETCH, rows.shape[1] // 2))
            draws = np.random.default_rng(0).standard_normal(shape)
            self._turn = np.linalg.qr(draws)[0].astype(np.float32)
        if len(rows) > len(self._rows):
            grown = np.zeros((max(len(rows), 2 * len(self._rows)), self._turn.shape[1]), dtype=np.float32)
            grown[: self._made] = self._rows[: self._made] if self._made else 0.0
            self._rows = grown
        if self._made < len(rows):
            self._rows[self._made : len(rows)] = rows[self._made :] @ self._turn
            self._made = len(rows)


def _ordered(ids: list[str], cosines: Vectors) -> Iterator[tuple[str, float]]:
    scores = np.round(cosines.astype(np.float64), 6)
    order = np.argsort(-scores, kind="stable")
    for score, places in groupby(order, key=lambda place: float(scores[place])):
        for id in sorted(ids[place] for place in places):
            yield id, score
