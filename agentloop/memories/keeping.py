"""An open correction memory: its logs, what they add up to, and a vector for every correction."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from agentloop.errors import MemoryMismatch
from agentloop.memories.embedding import Embedder, Identity, Vectors, checked, embed, identify
from agentloop.memories.folder import MemoryFolder
from agentloop.memories.ledger import Event, Ledger
from agentloop.memories.local import LocalVectors
from agentloop.memories.scope import key_text
from agentloop.memories.shared import SharedVectors
from agentloop.types import SCHEMA_VERSION, Correction

_EMBED_AT_ONCE = 256


class Keeping:
    """Holds the folder open. Everything here may be called from any thread and event loop."""

    def __init__(
        self, folder: Path, embedder: Embedder, *, url: str | None, read_only: bool, exact_below: int
    ) -> None:
        self.embedder = embedder
        self.mutex = threading.RLock()
        self.ledger = Ledger()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._waiting: dict[str, None] = {}
        self._loaded = self._recorded = False
        identity = identify(embedder)
        self._folder = MemoryFolder(folder, shared=url is not None, read_only=read_only)
        self.folder, self.read_only = folder, read_only
        self.vectors: LocalVectors | SharedVectors
        if url is not None:
            self.vectors = SharedVectors(url, identity)
        else:
            self.vectors = LocalVectors(None if read_only else folder, identity, exact_below=exact_below)
        try:
            self.follow()
            _check(self.ledger.embedder, identity, folder=folder)
        except BaseException:
            self._folder.close()
            raise

    @classmethod
    def rebuilding(cls, folder: Path, embedder: Embedder) -> None:
        """Drop the index and write down that ``embedder`` makes the vectors from now on."""
        identity = identify(embedder)
        opened = MemoryFolder(folder, shared=False, read_only=False)
        try:
            opened.append(_embedder_event(identity))
            LocalVectors(folder, identity, exact_below=0).drop()
        finally:
            opened.close()

    def record(self, correction: Correction) -> bool:
        """Write down a new correction, to be given a vector later; False when its id is known."""
        with self.mutex:
            event = self.ledger.recorded(correction)
            if event is None:
                return False
            self._note_embedder(self.vectors.identity)
            self.write(event)
            self._waiting[correction.id] = None
            self._recorded = True
            return True

    def keep(self, correction: Correction, rows: Vectors) -> None:
        """Write down a new correction whose vector is made."""
        with self.mutex:
            if self.record(correction):
                self._hold([correction], rows)

    def admit(self, held: Correction, why: Event) -> None:
        """Write down that a candidate is active from now on, and what speaks for it."""
        event = self.ledger.admitted(held.id, why)
        if event is not None:
            self.write(event)
            self.sync()
            self.vectors.change(held.replace(status="active"))

    def sync(self) -> None:
        """Wait until the disk has every line."""
        self._folder.sync()

    def close(self) -> None:
        """Write the index, sync the log and give the folder back. A second time does nothing."""
        try:
            if self._recorded:
                self._embed_rest()
            self.vectors.flush()
            self._folder.sync()
        finally:
            self._recorded = False
            self.vectors.close()
            self._folder.close()

    def follow(self) -> None:
        """Take in what the logs hold beyond what was read before."""
        with self.mutex:
            for event in self._folder.new_events():
                # A reader holds vectors of its own; an index was seen to by the process that wrote the edit.
                if self.read_only and event["event"] == "edited" and self._moves(event):
                    self.vectors.outdate(event["id"])
                self.ledger.apply(event)
                self._wait(event)

    def write_together(self, events: Sequence[Event]) -> None:
        """Write several events down, all or none of them, then count them and see to the index.

        A vector whose words change leaves the index before the line is written: a kill in between leaves
        a correction without a vector, which is made anew, and never one with the vector of other words.
        """
        if not events:
            return
        with self.mutex:
            for event in events:
                if event["event"] == "edited" and self._moves(event):
                    self.vectors.outdate(event["id"])
            self._folder.append_together(events)
            for event in events:
                self.ledger.apply(event)
                self._wait(event)
                self._recorded |= event["event"] in ("recorded", "edited")
        self.sync()
        for event in events:
            self._bring_to_index(event)

    def write(self, event: Event | None) -> None:
        """Write an event down, then count it; None is nothing to write."""
        with self.mutex:
            if event is not None:
                self._folder.append(event)
                self.ledger.apply(event)

    def held(self, ids: Sequence[str] | None = None) -> dict[str, Correction]:
        """The corrections that were not forgotten, of these ids or all; on a server, every writer's.

        The counts are those of the logs in this folder, the status is the server's where there is one.
        """
        self.follow()
        with self.mutex:
            own = dict(self.ledger.corrections)
        asked = own if ids is None else {id: own[id] for id in ids if id in own}
        if isinstance(self.vectors, LocalVectors):
            return asked
        self._load()
        held = {id: each for id, each in asked.items() if id not in self.vectors}
        for record in self.vectors.get(ids):
            held[record.id] = own.get(record.id, record).replace(status=record.status)
        return held

    def _wait(self, event: Event) -> None:
        """Have a vector made for words that are new."""
        if event["event"] == "recorded":
            self._waiting[event["correction"]["id"]] = None
        elif event["event"] == "edited" and event["id"] not in self.vectors:
            self._waiting[event["id"]] = None

    def _moves(self, event: Event) -> bool:
        """Whether an edit changes the words that a correction is found by."""
        held = self.ledger.corrections.get(event["id"])
        return held is not None and key_text(held) != key_text(held.replace(**event["changes"]))

    def _bring_to_index(self, event: Event) -> None:
        held = self.ledger.corrections.get(event.get("id", ""))
        if event["event"] == "forgotten":
            self.vectors.remove(event["id"])
        if event["event"] not in ("marked", "edited") or held is None:
            return
        if held.id in self.vectors or isinstance(self.vectors, SharedVectors):
            self.vectors.change(held)

    async def catch_up(self) -> None:
        """See to it that every correction has a vector: from the index, or else embedded now."""
        if self.read_only and isinstance(self.vectors, SharedVectors):
            return
        if not (self._waiting or self.vectors.lost or self.vectors.due):
            return
        async with self._turn():
            await asyncio.to_thread(self._load)
            while batch := self._lacking():
                self._hold(batch, await embed(self.embedder, [key_text(each) for each in batch]))
            if self.vectors.due:
                await asyncio.to_thread(self.vectors.flush)

    def _embed_rest(self) -> None:
        """The same without a loop; what an async embedder has to make is left for the next opening."""
        self._load()
        while batch := self._lacking():
            made = self.embedder([key_text(each) for each in batch])
            if inspect.iscoroutine(made):
                made.close()
                return
            self._hold(batch, checked(made, len(batch)))

    def _load(self) -> None:
        if self._loaded:
            return
        with self.mutex:
            held = dict(self.ledger.corrections)
        self.vectors.load(held)
        self._loaded = True

    def _lacking(self) -> Sequence[Correction]:
        """The next corrections without a vector."""
        with self.mutex:
            kept = self.ledger.corrections
            ids = [id for id in {*self._waiting, *self.vectors.lost} if id in kept and id not in self.vectors]
            self._waiting = dict.fromkeys(ids)
            return [kept[id] for id in sorted(ids)[:_EMBED_AT_ONCE]]

    def _hold(self, corrections: Sequence[Correction], rows: Vectors) -> None:
        """Take new vectors in, after their size was written down and found to be the old one."""
        identity = self.vectors.identity
        if identity.dimension is None:
            held = (self.ledger.embedder or {}).get("dimension")
            identity = Identity(identity.name, identity.version, held or rows.shape[1])
            self.vectors.identity = identity
        if rows.shape[1] != identity.dimension:
            made = Identity(identity.name, identity.version, rows.shape[1])
            raise MemoryMismatch(f"the memory holds vectors of {identity}, the embedder now makes {made}")
        if not self.read_only:
            self._note_embedder(identity)
        with self.mutex:
            kept = self.ledger.corrections
            same = [
                place
                for place, each in enumerate(corrections)
                if each.id in kept and key_text(kept[each.id]) == key_text(each)
            ]
            self.vectors.add([kept[corrections[place].id] for place in same], rows[same])

    def _note_embedder(self, identity: Identity) -> None:
        """Write down who makes the vectors, and their size once it is known."""
        with self.mutex:
            held = self.ledger.embedder
            if held is None or (held["dimension"] is None and identity.dimension is not None):
                self.write(_embedder_event(identity))

    def _turn(self) -> asyncio.Lock:
        """The lock of this event loop, so that tasks that wait together embed once."""
        with self.mutex:
            return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _embedder_event(identity: Identity) -> Event:
    about = {"name": identity.name, "version": identity.version, "dimension": identity.dimension}
    return {"event": "embedder", "schema": SCHEMA_VERSION, **about}


def _check(event: Event | None, identity: Identity, *, folder: str | Path) -> None:
    """Refuse an embedder other than the one that made the vectors."""
    if event is None:
        return
    held = Identity(event["name"], event["version"], event["dimension"])
    if held.differs(identity):
        raise MemoryMismatch(
            f"the memory in {folder} holds vectors of {held}; it was opened with {identity}. Open it with "
            "that embedder, or make its vectors anew: "
            f"await CorrectionMemory.rebuild({str(folder)!r}, embedder=...)"
        )
