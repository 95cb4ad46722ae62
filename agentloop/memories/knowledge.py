"""The memory of DROC: plan constraints and skills as typed records, found by words and by looks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.knowledge import Knowledge, KnowledgeKind, Photo
from agentloop.memories.folder import MemoryFolder, now
from agentloop.memories.ledger import Event, Ledger
from agentloop.memories.looks import ImageEmbedder, TextImageEmbedder, has_visual_word
from agentloop.memories.named_vectors import NamedVectors
from agentloop.memories.scope import fits
from agentloop.types import Correction, CorrectionStatus, Task

logger = logging.getLogger(__name__)

SHORTLIST = 3
"""How many constraints the words of a name leave for the looks to choose from."""


class KnowledgeMemory:
    """Keeps what corrections taught of plans and skills, with the looks of the objects they are about.

    ``folder/corrections.jsonl`` is the truth, in the form of ``CorrectionMemory``, which can read the words
    of this folder: each ``recorded`` line holds, beside the correction, the typed knowledge with its photo
    and its named vectors. A vector of another embedder is left aside and made anew from the photo, which
    Python's logging says.

    **Constraints** are all handed out, newest first, for a model to choose from. Which object a vague name
    means (``resolve``): if the name has a word for looks and there is a text-image embedder ``words``, the
    three constraints whose photos fit "a photo of NAME" best; of these, or of all, the one nearest to a
    photo of what stands there (squared L2 of ``looks``). **Skills**: of those of the named steps, the one
    nearest by ``looks``, and none where that is further than ``within`` (published: no such bound). Without
    ``looks`` no name is resolved, and the newest skill is taken. Of equally near ones, the newest.

    A robot constraint is about no object and is refused with a photo. ``recalled`` counts what was handed
    out, to a model's choice too. One process writes. Safe to share between threads and event loops.
    """

    episodic = False

    def __init__(
        self,
        folder: str | Path,
        *,
        looks: ImageEmbedder | None = None,
        words: TextImageEmbedder | None = None,
        within: float | None = None,
        read_only: bool = False,
    ) -> None:
        self.within, self.read_only = within, read_only
        self._vectors = NamedVectors(looks=looks, words=words)
        self._mutex = threading.RLock()
        self._ledger = Ledger()
        self._knowledge: dict[str, Knowledge] = {}
        self._folder = MemoryFolder(Path(folder), shared=False, read_only=read_only)
        try:
            self._follow()
        except BaseException:
            self._folder.close()
            raise

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The words of the newest ``limit`` pieces of knowledge whose scope fits ``task``, of every kind."""
        found = [each for each in self._active() if fits(each.correction, task)]
        return tuple(each.correction for each in self._handed_out(found[: max(0, limit)], task.id))

    async def record(self, correction: Correction, /) -> None:
        """Keep a correction without looks and values: as a skill, or as a task constraint, by its level."""
        await self.keep(Knowledge(correction=correction, kind=_kind(correction), step=correction.key))

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that something helped or hurt, once for each trajectory."""
        with self._mutex:
            if correction_id not in self._ledger.known:
                self._ledger.find(correction_id)
            self._write(self._ledger.settled(correction_id, trajectory, helped))

    async def keep(self, knowledge: Knowledge, /) -> None:
        """Keep it with the vectors of its photo; the same id a second time counts once."""
        if knowledge.kind == "robot_constraint" and knowledge.photo is not None:
            raise BadInput("a robot constraint is about no object; leave its photo out")
        correction = knowledge.correction
        vectors = await self._vectors.stored(knowledge)
        with self._mutex:
            dated = correction if correction.created else correction.replace(created=now())
            event = self._ledger.recorded(dated)
            if event is None:
                return
            typed = knowledge.to_dict()
            del typed["correction"]
            self._write({**event, "knowledge": typed, "vectors": vectors})
        await asyncio.to_thread(self._folder.sync)

    async def constraints(self, task: Task, /) -> Sequence[Knowledge]:
        """Every constraint whose exact scope fits, newest first, none in the same words; no photos."""
        distinct: dict[str, Knowledge] = {}
        for each in self._active():
            if each.kind != "skill" and fits(each.correction, task):
                distinct.setdefault(each.correction.text, each)
        return [each.replace(photo=None) for each in self._handed_out(list(distinct.values()), task.id)]

    async def steps(self, step: str, /) -> Sequence[str]:
        """The names of all steps that skills are kept of, each once, oldest first."""
        skills = [each.step for each in self._active() if each.kind == "skill"]
        return list(dict.fromkeys(reversed(skills)))

    async def skill(self, steps: Sequence[str], photo: Photo | None, /) -> Knowledge | None:
        """The skill of one of these steps whose object looks most like the one on the photo."""
        among = [each for each in self._active() if each.kind == "skill" and each.step in set(steps)]
        if "looks" in self._vectors and photo is not None:
            found = await self._vectors.nearest(among, [photo])
            near = found is not None and (self.within is None or found[1] <= self.within**2)
            among = [found[0]] if found is not None and near else []
        return next(iter(self._handed_out(among[:1], "")), None)

    async def resolve(self, name: str, ids: Sequence[str], photos: Sequence[Photo], /) -> Knowledge | None:
        """Of these constraints, the one about the object that ``name`` means here."""
        if "looks" not in self._vectors:
            return None
        among: Sequence[Knowledge] = [each for each in self._active() if each.correction.id in set(ids)]
        if "words" in self._vectors and has_visual_word(name):
            among = await self._vectors.fitting(name, among, most=SHORTLIST)
        found = await self._vectors.nearest(among, photos)
        return None if found is None else found[0]

    def list(self) -> tuple[Knowledge, ...]:
        """Everything that was not forgotten, with its counts, in the order in which it was recorded."""
        with self._mutex:
            self._follow()
            return tuple(self.get(id) for id in self._ledger.corrections)

    def get(self, id: str) -> Knowledge:
        """The knowledge with this id; BadInput when there is none."""
        with self._mutex:
            correction = self._ledger.find(id)
            return self._knowledge[id].replace(correction=correction)

    def mark(self, id: str, status: CorrectionStatus) -> None:
        """Give something another status; only what is active is recalled."""
        with self._mutex:
            if self.get(id).correction.status != status:
                self._write({"event": "marked", "id": id, "status": status})

    def forget(self, id: str) -> None:
        """Take something out of the memory; it is never recorded again."""
        with self._mutex:
            self._write(self._ledger.forgotten(id))

    def close(self) -> None:
        """Sync the log and give the folder back. A second time does nothing."""
        self._folder.sync()
        self._folder.close()

    def __enter__(self) -> KnowledgeMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _active(self) -> Sequence[Knowledge]:
        """What may be recalled, newest first; counts as they were when it was recorded."""
        with self._mutex:
            self._follow()
            held = reversed(self._ledger.corrections.values())
            return [self._knowledge[each.id] for each in held if each.status == "active"]

    def _handed_out(self, found: Sequence[Knowledge], task: str) -> Sequence[Knowledge]:
        """The same, counted as recalled."""
        ids = [each.correction.id for each in found]
        with self._mutex:
            if not self.read_only:
                self._write(self._ledger.recalled(ids, task))
            return [self.get(id) for id in ids]

    def _follow(self) -> None:
        """Take in what the log holds beyond what was read before."""
        with self._mutex:
            strange = sum(not self._apply(event) for event in self._folder.new_events())
        if strange:
            logger.warning("vectors of %d photos are of other embedders; they are made anew", strange)

    def _write(self, event: Event | None) -> None:
        if event is not None:
            self._folder.append(event)
            self._apply(event)

    def _apply(self, event: Event) -> bool:
        """Count an event; False where it holds vectors of other embedders than those of this memory."""
        fresh = event["event"] == "recorded" and event["correction"]["id"] not in self._ledger.known
        self._ledger.apply(event)
        if not fresh:
            return True
        id = event["correction"]["id"]
        correction = self._ledger.corrections[id]
        plain = {"kind": _kind(correction), "step": correction.key}
        typed: dict[str, Any] = event.get("knowledge") or plain
        self._knowledge[id] = Knowledge.from_dict({**typed, "correction": event["correction"]})
        return self._vectors.take(id, event.get("vectors", {}))


def _kind(correction: Correction) -> KnowledgeKind:
    """What a correction without typed knowledge counts as."""
    return "skill" if correction.level == "skill" else "task_constraint"
