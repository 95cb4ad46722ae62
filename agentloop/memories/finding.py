"""How the corrections are found that fit a task: near in words, in scope, best first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from agentloop.memories.embedding import Vectors, embed
from agentloop.memories.keeping import Keeping
from agentloop.memories.local import LocalVectors
from agentloop.memories.overlap import overlaps
from agentloop.memories.scope import conditions, fits, key_text, task_text
from agentloop.memories.shared import SharedVectors
from agentloop.memories.vector import Hit, IndexDamaged
from agentloop.types import Correction, CorrectionStatus, Task

Lets: TypeAlias = Callable[[Correction], bool]
"""Which corrections may come back, by their status."""

_SHORTLIST = 64
_SCOPES_HELD = 1024


class Near(NamedTuple):
    """A correction with the cosine of its words to a task's."""

    record: Correction
    score: float


class Finding:
    """Searches what is kept, none below ``floor``; see CorrectionMemory for the order.

    Where most of what is kept may not come back (``sparse``), it is looked at before its vector is.
    """

    def __init__(self, kept: Keeping, *, floor: float, sparse: bool = False) -> None:
        self.kept = kept
        self._sparse = sparse
        self._floor = floor
        self._scopes: dict[str, Vectors] = {}

    async def best(
        self, task: Task, *, limit: int, lets: Lets, recalls: Collection[CorrectionStatus]
    ) -> Sequence[Correction]:
        """The corrections that ``lets`` lets through and whose scope fits, best first, one on trial."""
        self.kept.follow()
        if limit < 1:
            return ()
        query = task_text(task)
        vector = (await embed(self.kept.embedder, [query]))[0]
        near = await self._in_scope(await self._nearest(task, vector, lets), vector)
        return _one_on_trial(_distinct(_by_words(query, near)), recalls)[:limit]

    async def _nearest(self, task: Task, vector: Vectors, lets: Lets) -> Sequence[Near]:
        """The shortlist for a task; an index that broke is made anew, once."""
        await self.kept.catch_up()
        try:
            return await self._shortlist(task, vector, lets)
        except IndexDamaged as error:
            if isinstance(self.kept.vectors, SharedVectors):
                raise
            self.kept.vectors.drop(error)
            await self.kept.catch_up()
            return await self._shortlist(task, vector, lets)

    async def _shortlist(self, task: Task, vector: Vectors, lets: Lets) -> Sequence[Near]:
        if self.kept.vectors.by_chroma:
            return await asyncio.to_thread(self._pick, task, vector, lets)
        return self._pick(task, vector, lets)

    def _pick(self, task: Task, vector: Vectors, lets: Lets) -> Sequence[Near]:
        found: list[Near] = []
        for hit in self._hits(vector, lets):
            if hit.score < self._floor:
                break
            record = self._record_of(hit)
            if record is not None and lets(record) and fits(record, task):
                found.append(Near(record, hit.score))
            if len(found) == _SHORTLIST:
                # Looking at one more could ask Chroma for another page.
                break
        return found

    def _hits(self, vector: Vectors, lets: Lets) -> Iterator[Hit]:
        vectors = self.kept.vectors
        if not self._sparse or not isinstance(vectors, LocalVectors):
            return vectors.search(vector)
        return vectors.search(
            vector, among=[id for id, each in self.kept.ledger.corrections.items() if lets(each)]
        )

    def _record_of(self, hit: Hit) -> Correction | None:
        """What is kept under a hit: the log's word, and on a server the server's word on the status."""
        own = self.kept.ledger.corrections.get(hit.id)
        if isinstance(self.kept.vectors, LocalVectors) or hit.record is None:
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
            held.update(zip(lacking, await embed(self.kept.embedder, lacking), strict=True))

        def nearness(text: str) -> float:
            return round(float(np.einsum("i,i->", held[text], vector)), 6)

        def inside(pair: Sequence[str]) -> bool:
            return not pair or nearness(pair[0]) >= nearness(pair[1])

        return [each for each in near if inside(pairs[each.record.id])]


def _prose(correction: Correction) -> Sequence[str]:
    """``applies_when`` and ``not_when`` where both are prose, else nothing."""
    pair = (correction.applies_when, correction.not_when)
    return () if not all(pair) or any(conditions(text) for text in pair) else pair


def _one_on_trial(
    ordered: Sequence[Correction], recalls: Collection[CorrectionStatus]
) -> Sequence[Correction]:
    """All but the candidates after the first: what is tried together cannot be told apart."""
    trials = [each.id for each in ordered if each.status == "candidate" and "candidate" not in recalls]
    return [each for each in ordered if each.id not in trials[1:]]


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
