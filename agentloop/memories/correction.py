"""The memory of corrections: an append-only log as the truth, Chroma as its index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MissingExtra
from agentloop.memories.admitting import Door, refused
from agentloop.memories.collecting import SWEEP_EVERY, Collecting
from agentloop.memories.contradicting import Contradiction, contradictions
from agentloop.memories.editing import edit
from agentloop.memories.embedding import Embedder, embed
from agentloop.memories.finding import Finding, Lets
from agentloop.memories.folder import now
from agentloop.memories.gate import Admission, Gate, Reason, Refused
from agentloop.memories.hashing import HashingEmbedder
from agentloop.memories.keeping import Keeping
from agentloop.memories.rent import Rent, Ruling, Worth
from agentloop.memories.shared import SharedVectors
from agentloop.memories.superseding import earlier, evidence, supersede
from agentloop.types import Attempt, Correction, CorrectionStatus, Source, Task

logger = logging.getLogger(__name__)


class CorrectionMemory:
    """Keeps corrections over tasks and runs, and recalls those whose scope fits a task.

    ``folder/corrections.jsonl`` is the truth: one line for every correction recorded, recalled,
    settled, marked or forgotten, written before the call returns (recorded, marked and forgotten
    lines are on the disk by then; the others with the next one, or at ``close``). A torn last line
    is cut off on opening, and the log says so.

    **Search.** The task's prompt and short public values are compared with each correction's
    ``key``, or else its ``applies_when`` and ``text``. The 64 nearest in cosine, none below
    ``floor``, are ordered by cosine plus the share of rare words in common, then by id. While there
    are fewer than ``exact_below`` corrections the search is over memory, as exact as it is measured in
    benchmarks/RESULTS.md (5 kB of memory each); beyond, and on a server, Chroma answers.

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

    **Gate.** With ``gate=Gate(...)`` a correction enters through ``admit``, as a candidate, and becomes
    active by a replay or by helping; what is refused stays in the log with the reason (``refused()``).
    ``record`` is then ``admit`` without a trajectory, so that it refuses what has no evidence. Without a
    gate everything that is recorded is kept as it comes.

    **Rent.** With ``rent`` an agent is not shown a small share of what is recalled, drawn at random, so
    that ``worth`` tells what showing a correction changes; one that is shown to harm is quarantined as
    soon as a use of it is settled, and one that does not pay is retired (see ``Rent``).

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
        exact_below: int = 200_000,
        gate: Gate | None = None,
        rent: Rent | None = None,
    ) -> None:
        if find_spec("chromadb") is None:
            raise MissingExtra("CorrectionMemory", "chromadb", "memory")
        self._recalls = frozenset(recalls)
        self._kept = Keeping(
            Path(folder),
            embedder or HashingEmbedder(),
            url=url,
            read_only=read_only,
            exact_below=exact_below,
        )
        self._finding = Finding(self._kept, floor=floor, sparse=gate is not None)
        self._door = Door(gate, self._kept) if gate is not None else None
        self.rent = rent
        self._collecting = Collecting(self._kept, rent)
        self._swept = 0

    @classmethod
    async def rebuild(cls, folder: str | Path, *, embedder: Embedder | None = None) -> None:
        """Make vectors and index anew from the log, by another embedder if one is given."""
        Keeping.rebuilding(Path(folder), embedder or HashingEmbedder())
        with cls(folder, embedder=embedder) as memory:
            await memory._kept.catch_up()

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """At most ``limit`` corrections whose scope fits ``task``, best first, none in the same words."""
        kept = self._kept
        gate = self._door.gate if self._door is not None and not kept.read_only else None

        def tried(record: Correction) -> bool:
            return gate is not None and record.status == "candidate" and gate.tries(record.id, task.id)

        chosen = await self._best(task, limit, tried)
        with kept.mutex:
            if not kept.read_only:
                kept.write(kept.ledger.recalled([each.id for each in chosen], task.id))
                self._swept += 1
            found = tuple(kept.ledger.corrections.get(each.id, each) for each in chosen)
        if self.rent is not None and self._swept >= SWEEP_EVERY:
            self._swept = 0
            await asyncio.to_thread(self.tidy)
        return found

    async def withhold(self, ids: Sequence[str], /, *, trajectory: str) -> Collection[str]:
        """Those of the recalled ``ids`` that an agent is not to be shown in this trajectory.

        The same at every call for the trajectory, over restarts too; none without ``rent``. Each is drawn
        by itself. Settle them all, these with ``shown=False``.
        """
        return self._collecting.withhold(ids, trajectory)

    async def preview(
        self, task: Task, /, *, limit: int = 5, trying: Collection[str] = ()
    ) -> Sequence[Correction]:
        """What ``recall`` would bring if those in ``trying`` were active; nothing is counted or drawn."""
        return await self._best(task, limit, lambda each: each.id in trying)

    async def record(self, correction: Correction, /) -> None:
        """Keep ``correction``; the same id a second time counts once, also when it was forgotten since."""
        kept = self._kept
        if self._door is not None:
            await self.admit(correction)
        elif kept.record(correction if correction.created else correction.replace(created=now())):
            await asyncio.to_thread(kept.sync)
            if isinstance(kept.vectors, SharedVectors):
                await kept.catch_up()

    async def admit(
        self,
        correction: Correction,
        /,
        *,
        attempts: Sequence[Attempt] = (),
        recalled: Sequence[Correction] = (),
    ) -> Admission:
        """Ask the gate for ``correction``, distilled from ``attempts``, and keep it if it is let in.

        The attempts carry their tasks' hidden data, which is looked for and never kept; ``recalled`` is what
        the agent was shown. Without a gate it is recorded. The same id a second time changes nothing.
        """
        if self._door is None:
            await self.record(correction)
            return Admission("kept", correction.id)
        dated = correction if correction.created else correction.replace(created=now())
        admission = await self._door.admit(dated, attempts, recalled)
        if admission.outcome == "kept":
            await asyncio.to_thread(self._kept.sync)
        return admission

    def promote(self, id: str, why: Mapping[str, Any]) -> None:
        """Make a candidate active, with what speaks for it, as JSON values; ``why_active`` tells it."""
        self._kept.admit(self.get(id), dict(why))

    def why_active(self, id: str) -> Mapping[str, Any]:
        """By what a correction became active; empty where it was recorded as such, or marked by a person."""
        self._kept.follow()
        return dict(self._kept.ledger.admissions.get(id, {}))

    def refuse(self, id: str, *, reason: Reason, why: str, source: Source) -> None:
        """Write down that a correction was not let in, without its words; for who found out elsewhere."""
        told = {"id": id, "reason": reason, "why": why, "run": source.run, "trajectory": source.trajectory}
        self._kept.write(self._kept.ledger.refused(told))

    def refused(self) -> Sequence[Refused]:
        """Every correction that was not let in, with the reason, in the order in which they came."""
        self._kept.follow()
        return tuple(refused(each) for each in self._kept.ledger.refusals.values())

    def reinforced(self, id: str) -> int:
        """How many corrections came later that say the same as this one for the same scope."""
        self._kept.follow()
        return sum(each == id for each in self._kept.ledger.reinforced_by.values())

    async def settle(
        self, correction_id: str, /, *, trajectory: str, helped: bool, shown: bool = True
    ) -> None:
        """Count that a correction helped or hurt, once for each trajectory, over resumed runs too.

        One that was withheld neither helped nor hurt; ``helped`` then says whether it went well without.
        """
        kept = self._kept
        with kept.mutex:
            if correction_id not in kept.ledger.known and not isinstance(kept.vectors, SharedVectors):
                kept.ledger.find(correction_id)
            kept.write(kept.ledger.settled(correction_id, trajectory, helped, shown=shown))
            if self._door is not None:
                self._door.promote(correction_id)
            ruling = self._collecting.ruling(correction_id)
        if ruling is not None:
            await asyncio.to_thread(self._rule, correction_id, ruling)

    def worth(self, id: str) -> Worth:
        """What showing this correction changes, by the uses that were drawn (see ``Rent``)."""
        return self._collecting.worth(self.get(id).id)

    def worths(self) -> Mapping[str, Worth]:
        """What showing each correction changes, by id, in the order in which they were recorded."""
        return {each.id: self._collecting.worth(each.id) for each in self.list()}

    def confidence(self, id: str, *, now: datetime | None = None) -> float:
        """The probability that this correction helps; it fades to 0.5 from its last use on."""
        return self._collecting.confidence(self.get(id).id, now)

    def tidy(self) -> Mapping[str, Ruling]:
        """Quarantine what harms and retire what does not pay or has expired; gives what was done, by id.

        Done at every use and every 256 recalls as well; without ``rent`` nothing is.
        """
        self._kept.follow()
        due = self._collecting.rulings(self._recalls)
        return {id: ruling for id, ruling in due.items() if self._rule(id, ruling)}

    @property
    def keeping(self) -> Keeping:
        """The open store under this memory, for what looks after it or shows it otherwise."""
        return self._kept

    async def contradictions(self, *, near: float = 0.5) -> Sequence[Contradiction]:
        """Pairs, active or candidates, that cannot both hold, nearest first: for a person to settle.

        By words, and by outcomes where one is shown to help and the other to harm; see ``oppose``.
        ``near`` is the least cosine between the texts.
        """
        held = [each for each in self.list() if each.status in ("active", "candidate")]
        if len(held) < 2:
            return ()
        rows = await embed(self._kept.embedder, [each.text for each in held])
        worths = {each.id: self._collecting.worth(each.id) for each in held}
        return await asyncio.to_thread(contradictions, held, rows, near=near, worths=worths)

    @property
    def embedder(self) -> Embedder:
        """What makes the vectors."""
        return self._kept.embedder

    @property
    def gated(self) -> bool:
        """Whether a gate decides what is let in."""
        return self._door is not None

    async def supersede(self, ids: Sequence[str], *, by: Sequence[Correction], how: str) -> None:
        """Let corrections give way to others, new ones or kept ones, all of it or nothing.

        The old ones are retired and stay in the log as ``earlier`` versions; their ``evidence`` goes over.
        ``how`` says what was done: identical (then the uses are counted together), merged, edited, split.
        """
        await asyncio.to_thread(supersede, self._kept, ids, by, how=how)

    def earlier(self, id: str) -> Sequence[Correction]:
        """The corrections that gave way to this one."""
        return earlier(self._kept, id)

    def evidence(self, id: str) -> Sequence[Source]:
        """Where a correction came from, and where those did that gave way to it."""
        return evidence(self._kept, self.get(id))

    def tell_apart(self, first: str, second: str) -> None:
        """Write down that two corrections have nothing to do with each other, so that none asks again."""
        if not self.are_apart(first, second):
            self._kept.write({"event": "compared", "ids": [first, second]})

    def are_apart(self, first: str, second: str) -> bool:
        """Whether two corrections were found to have nothing to do with each other."""
        return frozenset((first, second)) in self._kept.ledger.compared

    def list(self) -> tuple[Correction, ...]:
        """Every correction that was not forgotten, in the order in which they were recorded."""
        return tuple(self._kept.held().values())

    def get(self, id: str) -> Correction:
        """The correction with this id; BadInput when there is none."""
        held = self._kept.held([id])
        if id not in held:
            raise BadInput(f"no correction with id {id!r} is kept; see list()")
        return held[id]

    def mark(self, id: str, status: CorrectionStatus, *, why: str = "") -> None:
        """Give a correction another status: candidate, active, quarantined or retired. The log says why.

        One that is made active again after it was quarantined or retired begins a new count of its worth.
        """
        held = self.get(id)
        if held.status != status:
            changed = held.replace(status=status)
            told = {"reason": why} if why else {}
            self._kept.write({"event": "marked", "id": id, "status": status, **told})
            self._kept.sync()
            self._kept.vectors.change(changed)

    def edit(self, id: str, **changes: str) -> Correction:
        """Change ``text``, ``applies_when``, ``not_when``, ``key`` or ``status``; the id and the counts stay.

        The earlier version stays in the log. A ``key`` that holds the text follows it, unless it is given.
        The vector is made anew, at the latest by the next recall or by ``close``.
        """
        return edit(self._kept, self.get(id), changes)

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

    def _rule(self, id: str, ruling: Ruling) -> bool:
        """Carry out a ruling on a correction that is still recalled; False for another."""
        held = self._kept.held([id]).get(id)
        if held is None or held.status not in self._recalls:
            return False
        logger.warning("correction %s is %s: %s", id, *ruling)
        self.mark(id, ruling.status, why=ruling.why)
        return True

    async def _best(self, task: Task, limit: int, also: Lets) -> Sequence[Correction]:
        """The best of those that are recalled, and of those that ``also`` lets through."""
        recalls = self._recalls
        return await self._finding.best(
            task, limit=limit, lets=lambda each: each.status in recalls or also(each), recalls=recalls
        )
