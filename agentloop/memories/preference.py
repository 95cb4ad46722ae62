"""The memory of CIPHER: short preferences, each under the context it was learnt in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from agentloop.errors import BadInput, MissingExtra
from agentloop.memories.embedding import Embedder, Vectors, embed
from agentloop.memories.folder import now
from agentloop.memories.hashing import HashingEmbedder
from agentloop.memories.keeping import Keeping
from agentloop.memories.local import LocalVectors
from agentloop.memories.vector import Hit, IndexDamaged
from agentloop.types import Correction, Task


class PreferenceMemory:
    """Keeps preferences of a person by context, and recalls those of the contexts closest to a task.

    After CIPHER ("Aligning LLM Agents by Learning Latent Preference from User Edits", arXiv
    2404.15269): the ``key`` of a correction is the context, its ``text`` the preference, a short phrase.
    ``recall`` compares the task's prompt with the keys and nothing else, by cosine, and gives the
    ``limit`` closest, the same phrase as often as it was kept; of contexts equally close the one recorded
    last comes first (the paper leaves that open). Nothing is re-ordered by words, merged, decayed or
    deleted. A blank preference is not kept: the released program keeps the word "None" there.

    ``floor`` is an option of ours: a context below this cosine is not recalled, since a wrong style can
    cost more than none. None, as published, recalls however far.

    Kept as in ``CorrectionMemory``: ``folder/corrections.jsonl`` is the truth, Chroma its index, one
    process writes and readers may be many; ``forget`` and a status other than active are a person's
    doing. Safe to share between threads and event loops.
    """

    episodic = False
    by_context = True
    """Tells an agent to keep what has no key of its own under the words of the task it was learnt at."""

    def __init__(
        self,
        folder: str | Path,
        *,
        embedder: Embedder | None = None,
        floor: float | None = None,
        read_only: bool = False,
        exact_below: int = 200_000,
    ) -> None:
        if find_spec("chromadb") is None:
            raise MissingExtra("PreferenceMemory", "chromadb", "memory")
        if floor is not None and not -1.0 <= floor <= 1.0:
            raise BadInput(f"floor must be a cosine from -1 to 1, or None for no floor, got {floor}")
        self._floor = floor
        self._kept = Keeping(
            Path(folder),
            embedder or HashingEmbedder(),
            url=None,
            read_only=read_only,
            exact_below=exact_below,
        )

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The preferences of the ``limit`` contexts closest to the task's prompt, closest first."""
        kept = self._kept
        kept.follow()
        if limit < 1:
            return ()
        vector = (await embed(kept.embedder, [task.prompt]))[0]
        closest = await self._closest(vector, limit)
        with kept.mutex:
            if not kept.read_only:
                kept.write(kept.ledger.recalled([each.id for each in closest], task.id))
            return tuple(kept.ledger.corrections.get(each.id, each) for each in closest)

    async def record(self, correction: Correction, /) -> None:
        """Keep a preference; a blank one is left out, and the same id a second time counts once."""
        if not correction.text.strip():
            return
        if not correction.key.strip():
            raise BadInput(
                f"preference {correction.id!r} has no key to be found by; set key to the words of its context"
            )
        if self._kept.record(correction if correction.created else correction.replace(created=now())):
            await asyncio.to_thread(self._kept.sync)

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that a preference helped or hurt, once for each trajectory; recall does not heed it."""
        kept = self._kept
        with kept.mutex:
            if correction_id not in kept.ledger.known:
                kept.ledger.find(correction_id)
            kept.write(kept.ledger.settled(correction_id, trajectory, helped))

    def list(self) -> tuple[Correction, ...]:
        """Every preference that was not forgotten, in the order in which they were recorded."""
        return tuple(self._kept.held().values())

    def get(self, id: str) -> Correction:
        """The preference with this id; BadInput when there is none."""
        self._kept.follow()
        return self._kept.ledger.find(id)

    def forget(self, id: str) -> None:
        """Take a preference out of the memory; its words stay in the log, and it is never recorded again."""
        self.get(id)
        self._kept.write({"event": "forgotten", "id": id})
        self._kept.sync()
        self._kept.vectors.remove(id)

    def close(self) -> None:
        """Write the index, sync the log and give the folder back. A second time does nothing."""
        self._kept.close()

    def __enter__(self) -> PreferenceMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _closest(self, vector: Vectors, limit: int) -> Sequence[Correction]:
        """The closest preferences; an index that broke is made anew, once."""
        await self._kept.catch_up()
        try:
            return await asyncio.to_thread(self._search, vector, limit)
        except IndexDamaged as error:
            assert isinstance(self._kept.vectors, LocalVectors)
            self._kept.vectors.drop(error)
            await self._kept.catch_up()
            return await asyncio.to_thread(self._search, vector, limit)

    def _search(self, vector: Vectors, limit: int) -> Sequence[Correction]:
        with self._kept.mutex:
            held = dict(self._kept.ledger.corrections)
        found: list[Hit] = []
        for hit in self._kept.vectors.search(vector):
            further = len(found) >= limit and hit.score < found[-1].score
            if further or (self._floor is not None and hit.score < self._floor):
                break
            if hit.id in held and held[hit.id].status == "active":
                found.append(hit)
        order = {id: place for place, id in enumerate(held)}
        found.sort(key=lambda hit: (-hit.score, -order[hit.id]))
        return [held[hit.id] for hit in found[:limit]]
