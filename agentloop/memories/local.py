"""Vectors of one process: searched in memory up to a size, by Chroma's index beyond."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from agentloop.memories.embedding import Identity, Vectors
from agentloop.memories.exact import ExactVectors
from agentloop.memories.vector import Hit, IndexDamaged, VectorIndex
from agentloop.types import Correction

_WRITE_EVERY = 64

logger = logging.getLogger(__name__)


class LocalVectors:
    """Vectors in memory, with the Chroma index under ``folder`` as their durable copy.

    Below ``exact_below`` corrections every search is over memory (ExactVectors); from there on the vectors
    stay in Chroma, which then answers. The index is opened when it is first needed and written in
    batches. A damaged one is dropped with a warning, and what it alone held is ``lost`` until it is
    added again. ``folder`` None (a reader's) means that there is no index.
    """

    def __init__(self, folder: Path | None, identity: Identity, *, exact_below: int) -> None:
        self.identity = identity
        self.lost: set[str] = set()
        self._folder = folder
        self._exact_below = exact_below
        self._exact = ExactVectors()
        self._indexed: set[str] = set()
        self._changed: dict[str, Correction] = {}
        self._fresh: dict[str, Correction] = {}
        self._index: VectorIndex | None = None
        self._spilled = False
        self._mutex = threading.RLock()

    def __contains__(self, id: object) -> bool:
        return id in self._exact or id in self._indexed

    @property
    def by_chroma(self) -> bool:
        """Whether Chroma answers searches, since memory does not hold every vector."""
        return self._spilled

    @property
    def due(self) -> bool:
        """Whether a batch for the index is full, or a search would miss what waits for it."""
        if self._folder is None:
            return False
        return len(self._fresh) >= (1 if self._spilled else _WRITE_EVERY) or self._spills()

    def load(self, corrections: Mapping[str, Correction]) -> None:
        """Take over what the index holds of ``corrections``; drop what it holds beyond them, and say so."""
        with self._mutex:
            path = self._path()
            if path is None or not path.is_dir():
                return
            try:
                self._take(self._opened(), corrections)
            except IndexDamaged as error:
                self.drop(error)

    def add(self, corrections: Sequence[Correction], rows: Vectors) -> None:
        """Hold new vectors in memory, to be written to the index later."""
        with self._mutex:
            self._exact.add([each.id for each in corrections], rows)
            self._fresh.update((each.id, each) for each in corrections if each.id not in self._indexed)
            self.lost.difference_update(each.id for each in corrections)

    def change(self, correction: Correction) -> None:
        """Bring the status of a correction to the index with the next batch."""
        with self._mutex:
            if correction.id in self._fresh:
                self._fresh[correction.id] = correction
            elif self._folder is not None:
                self._changed[correction.id] = correction

    def flush(self) -> None:
        """Write to the index what it lacks."""
        with self._mutex:
            if self._folder is None or not (self._fresh or self._changed):
                return
            try:
                self._write()
            except IndexDamaged as error:
                self.drop(error)
                self._write()
            if self._spills():
                self._spilled, self._exact = True, ExactVectors()

    def remove(self, id: str) -> None:
        """Take one row out of the index, at once."""
        with self._mutex:
            self._exact.remove(id)
            self._fresh.pop(id, None)
            self._changed.pop(id, None)
            path = self._path()
            if path is None or not path.is_dir():
                return
            try:
                self._opened().remove([id])
            except IndexDamaged as error:
                self.drop(error)
            self._indexed.discard(id)

    def outdate(self, id: str) -> None:
        """Let a vector go, since the words it was made of change; another is to be added."""
        self.remove(id)

    def search(self, query: Vectors, *, among: Collection[str] | None = None) -> Iterator[Hit]:
        """Corrections by cosine to ``query``, nearest first. IndexDamaged only when Chroma answers.

        An exact search looks at those ``among`` some only; Chroma's brings the others as well.
        """
        with self._mutex:
            if self._spilled:
                return self._opened().search(query, records=False)
            return (Hit(id, score) for id, score in self._exact.search(query, among=among))

    def drop(self, error: IndexDamaged | None = None) -> None:
        """Delete the index. The next gets a folder of its own, since Chroma keeps the old one in mind."""
        with self._mutex:
            path = self._path()
            if error is not None:
                logger.warning("the index in %s is made anew from the log: %s", path, error)
            self.close()
            self._spilled = False
            self.lost |= {id for id in self._indexed if id not in self._exact}
            self._indexed.clear()
            if self._folder is not None and path is not None and path.is_dir():
                (self._folder / f"index-{_generation(path) + 1}").mkdir()
                shutil.rmtree(path)

    def close(self) -> None:
        """Let Chroma go."""
        with self._mutex:
            if self._index is not None:
                self._index.close()
                self._index = None

    def _path(self) -> Path | None:
        """The folder of the newest index."""
        if self._folder is None:
            return None
        return newest_index(self._folder)

    def _opened(self) -> VectorIndex:
        path = self._path()
        assert path is not None
        if self._index is None:
            self._index = VectorIndex.local(path, self.identity)
        return self._index

    def _take(self, index: VectorIndex, corrections: Mapping[str, Correction]) -> None:
        held = index.ids()
        extra = sorted(held - corrections.keys())
        if extra:
            logger.warning("the index held %d rows that the log does not know; removed", len(extra))
            index.remove(extra)
        lacking = len(corrections.keys() - held)
        if lacking:
            logger.info("the index lacks %d of %d corrections; they are embedded", lacking, len(corrections))
        self._spilled = len(held) >= self._exact_below
        if held and not self._spilled:
            ids, rows = index.vectors()
            self._exact.add(ids, rows)
        self._indexed = held & corrections.keys()

    def _write(self) -> None:
        index = self._opened()
        if self._fresh:
            index.add(list(self._fresh.values()), self._exact.rows(list(self._fresh)))
            self._indexed.update(self._fresh)
            self._fresh.clear()
        for correction in self._changed.values():
            index.update(correction)
        self._changed.clear()

    def _spills(self) -> bool:
        return not self._spilled and not self.lost and len(self._exact) >= self._exact_below


def newest_index(folder: Path) -> Path:
    """The folder of a memory's newest index; the first's, where there is none yet."""
    return max(folder.glob("index-*"), key=_generation, default=folder / "index-1")


def _generation(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0
