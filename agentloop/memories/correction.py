"""The memory of corrections: an append-only log as the truth, Chroma as its index."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agentloop.errors import BadInput, MissingExtra
from agentloop.memories.embedding import Embedder, Vectors, embed
from agentloop.memories.folder import now
from agentloop.memories.hashing import HashingEmbedder
from agentloop.memories.keeping import Keeping
from agentloop.memories.local import LocalVectors
from agentloop.memories.overlap import overlaps
from agentloop.memories.scope import conditions, fits, key_text, task_text
from agentloop.memories.shared import SharedVectors
from agentloop.memories.vector import Hit, IndexDamaged
from agentloop.types import Correction, CorrectionStatus, Task

_SHORTLIST = 64
_SCOPES_HELD = 1024


class CorrectionMemory:
    """Keeps corrections over tasks and runs, and recalls those whose scope fits a task.

    ``folder/corrections.jsonl`` is the truth: one line for every correction recorded, recalled,
    settled, marked or forgotten, written before the call returns (recorded, marked and forgotten
    lines are on the disk by then; the others with the next one, or at ``close``). A torn last line
    is cut off on opening, and the log says so.

    **Search.** The task's prompt and short public values are compared with each correction's
    ``key``, or else its ``applies_when`` and ``text``. The 64 nearest in cosine, none below
    ``floor``, are ordered by cosine plus the share of rare words in common, then by id. While there
    are fewer than ``exact_below`` corrections the search is exact, over memory, which was measured
    to be faster than Chroma at that size; beyond, and on a server, Chroma answers.

    **Scope.** Only corrections with a status in ``recalls`` come back: candidate, quarantined and
    retired ones do not, unless named there. ``applies_when`` of the form ``house=acme, table=boats``
    must hold for ``task.public``, and such a ``not_when`` must not. Where both are prose, a correction
    is kept away from tasks that are nearer to its ``not_when`` than to its ``applies_when``.

    **Index.** Chroma under ``folder/index-N`` holds the vectors with scope and provenance. It is
    written every 64 corrections and at ``close``, checked against the log when it is opened, and
    mended or made anew from it, which is said in the log of Python's logging. Vectors of two
    embedders are never mixed: another one is refused (MemoryMismatch), or asked for by ``rebuild``.

    **Several processes.** One process writes; a second is refused (MemoryLocked). Readers
    (``read_only=True``) may be many; they follow the log, count no recalls, and embed for
    themselves. With the ``url`` of a Chroma server (``chroma run``) many may write, in one folder or
    on several machines: each keeps its own log, all find each other's corrections, and the counts of
    recalls and uses are those of the logs in the folder.

    ``recalled`` counts calls of ``recall``. A resumed run reads its recalls from the journal and so
    counts none twice, but for a kill between the recall and the journal's line. Safe to share
    between threads and event loops.
    """

    episodic = False

    def __init__(
        self,
        folder: str | Path,
        *,
        embedder: Embedder | None = None,
        url: str | None = None,
        read_only: bool = False,
        recalls: Collection[CorrectionStatus] = frozenset({"active"}),
        floor: float = 0.1,
        exact_below: int = 20_000,
    ) -> None:
        if find_spec("chromadb") is None:
            raise MissingExtra("CorrectionMemory", "chromadb", "memory")
        self._recalls = frozenset(recalls)
        self._floor = floor
        self._scopes: dict[str, Vectors] = {}
        self._kept = Keeping(
            Path(folder),
            embedder or HashingEmbedder(),
            url=url,
            read_only=read_only,
            exact_below=exact_below,
        )

    @classmethod
    async def rebuild(cls, folder: str | Path, *, embedder: Embedder | None = None) -> None:
        """Make vectors and index anew from the log, by another embedder if one is given."""
        Keeping.rebuilding(Path(folder), embedder or HashingEmbedder())
        with cls(folder, embedder=embedder) as memory:
            await memory._kept.catch_up()

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """At most ``limit`` corrections whose scope fits ``task``, best first, none in the same words."""
        kept = self._kept
        kept.follow()
        if limit < 1:
            return ()
        query = task_text(task)
        vector = (await embed(kept.embedder, [query]))[0]
        near = await self._nearest(task, vector)
        chosen = _distinct(_by_words(query, await self._in_scope(near, vector)))[:limit]
        with kept.mutex:
            if not kept.read_only:
                kept.write(kept.ledger.recalled([each.id for each in chosen], task.id))
            return tuple(kept.ledger.corrections.get(each.id, each) for each in chosen)

    async def record(self, correction: Correction, /) -> None:
        """Keep ``correction``; the same id a second time counts once, also when it was forgotten since."""
        kept = self._kept
        if kept.record(correction if correction.created else correction.replace(created=now())):
            await asyncio.to_thread(kept.sync)
            if isinstance(kept.vectors, SharedVectors):
                await kept.catch_up()

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that a correction helped or hurt, once for each trajectory, over resumed runs too."""
        kept = self._kept
        with kept.mutex:
            if correction_id not in kept.ledger.known and not isinstance(kept.vectors, SharedVectors):
                kept.ledger.find(correction_id)
            kept.write(kept.ledger.settled(correction_id, trajectory, helped))

    def list(self) -> tuple[Correction, ...]:
        """Every correction that was not forgotten, in the order in which they were recorded."""
        return tuple(self._kept.held().values())

    def get(self, id: str) -> Correction:
        """The correction with this id; BadInput when there is none."""
        held = self._kept.held([id])
        if id not in held:
            raise BadInput(f"no correction with id {id!r} is kept; see list()")
        return held[id]

    def mark(self, id: str, status: CorrectionStatus) -> None:
        """Give a correction another status: candidate, active, quarantined or retired."""
        held = self.get(id)
        if held.status != status:
            changed = held.replace(status=status)
            self._kept.write({"event": "marked", "id": id, "status": status})
            self._kept.sync()
            self._kept.vectors.change(changed)

    def forget(self, id: str) -> None:
        """Take a correction out of the memory and its index; it is never recorded again.

        Its words stay in the log, above the line that forgets it.
        """
        self.get(id)
        self._kept.write({"event": "forgotten", "id": id})
        self._kept.sync()
        self._kept.vectors.remove(id)

    def close(self) -> None:
        """Write the index, sync the log and give the folder back. A second time does nothing."""
        self._kept.close()

    def __enter__(self) -> CorrectionMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _nearest(self, task: Task, vector: Vectors) -> Sequence[Near]:
        """The shortlist for a task; an index that broke is made anew, once."""
        await self._kept.catch_up()
        try:
            return await self._shortlist(task, vector)
        except IndexDamaged as error:
            if isinstance(self._kept.vectors, SharedVectors):
                raise
            self._kept.vectors.drop(error)
            await self._kept.catch_up()
            return await self._shortlist(task, vector)

    async def _shortlist(self, task: Task, vector: Vectors) -> Sequence[Near]:
        if self._kept.vectors.by_chroma:
            return await asyncio.to_thread(self._pick, task, vector)
        return self._pick(task, vector)

    def _pick(self, task: Task, vector: Vectors) -> Sequence[Near]:
        found: list[Near] = []
        for hit in self._kept.vectors.search(vector):
            if hit.score < self._floor:
                break
            record = self._record_of(hit)
            if record is not None and record.status in self._recalls and fits(record, task):
                found.append(Near(record, hit.score))
            if len(found) == _SHORTLIST:
                # Looking at one more could ask Chroma for another page.
                break
        return found

    def _record_of(self, hit: Hit) -> Correction | None:
        """What is kept under a hit: the log's word, and on a server the server's word on the status."""
        own = self._kept.ledger.corrections.get(hit.id)
        if isinstance(self._kept.vectors, LocalVectors) or hit.record is None:
            return own
        return own.replace(status=hit.record.status) if own is not None else hit.record

    async def _in_scope(self, near: Sequence[Near], vector: Vectors) -> Sequence[Near]:
        """Those whose ``applies_when`` in prose is at least as near to the task as their ``not_when``."""
        pairs = {each.record.id: _prose(each.record) for each in near}
        if len(self._scopes) >= _SCOPES_HELD:
            self._scopes = {}
        held = self._scopes
        lacking = sorted({text for pair in pairs.values() for text in pair if text not in held})
        if lacking:
            held.update(zip(lacking, await embed(self._kept.embedder, lacking), strict=True))

        def nearness(text: str) -> float:
            return round(float(np.einsum("i,i->", held[text], vector)), 6)

        def inside(pair: Sequence[str]) -> bool:
            return not pair or nearness(pair[0]) >= nearness(pair[1])

        return [each for each in near if inside(pairs[each.record.id])]


def _prose(correction: Correction) -> Sequence[str]:
    """``applies_when`` and ``not_when`` where both are prose, else nothing."""
    pair = (correction.applies_when, correction.not_when)
    return () if not all(pair) or any(conditions(text) for text in pair) else pair


class Near(NamedTuple):
    """A correction with the cosine of its words to a task's."""

    record: Correction
    score: float


def _distinct(ordered: Sequence[Correction]) -> Sequence[Correction]:
    """The first of every text: the same words learnt twice are shown once."""
    kept: dict[str, Correction] = {}
    for each in ordered:
        kept.setdefault(each.text, each)
    return tuple(kept.values())


def _by_words(query: str, near: Sequence[Near]) -> Sequence[Correction]:
    """Order a shortlist by cosine plus the share of rare words in common, then by id."""
    shares = overlaps(query, [key_text(each.record) for each in near])
    scored = [
        (-round(each.score + share, 6), each.record.id, each.record)
        for each, share in zip(near, shares, strict=True)
    ]
    return [record for _, _, record in sorted(scored, key=lambda each: each[:2])]
