"""A correction memory as a LangGraph store, so that LangGraph's agents and tools can read and write it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)

from agentloop.errors import BadInput
from agentloop.memories.correction import CorrectionMemory
from agentloop.memories.embedding import embed
from agentloop.memories.local import LocalVectors
from agentloop.memories.store_items import Items, Place
from agentloop.memories.vector import Hit, IndexDamaged
from agentloop.types import CorrectionStatus


def as_store(memory: CorrectionMemory, *, status: CorrectionStatus = "candidate") -> CorrectionStore:
    """``memory`` as a store. What is put arrives with ``status``: a candidate is kept and not recalled.

    A correction that was learnt stands in the namespace of its scope, under its id: one for
    ``house=acme`` in ``("corrections", "house=acme")``, one for all tasks, or with a scope in prose, in
    ``("corrections",)``. Its value holds ``text``, ``applies_when``, ``not_when``, ``status`` and counts.
    What is put comes back as it was put. Its ``text`` (or ``content``, ``memory``, ``data``; else all of
    it) are the words of a correction, whose scope is that of the namespace; one that is not a scope of
    ours becomes the condition ``namespace=users/ann``, so that no task of another sees it.

    A batch reads first and then writes, all of it or nothing; the last put at a place counts. ``delete``
    forgets: no agent's learning brings that correction back, but a new put at its place does. A search
    with a query orders by cosine; ``index=False`` leaves an item out of that order, and several paths
    make one vector of their texts together. Expiry is not supported. On a Chroma server the items are
    those in the logs of this folder. Close the store before its memory.
    """
    return CorrectionStore(memory, status)


class CorrectionStore(BaseStore):
    """What ``as_store`` gives."""

    supports_ttl = False

    def __init__(self, memory: CorrectionMemory, status: CorrectionStatus) -> None:
        self._kept = memory.keeping
        self._status: CorrectionStatus = status
        self._items = Items(self._kept)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, from plain code or where an event loop runs."""
        # in a thread of its own, since the caller's may run an event loop already
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.abatch(ops))).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: what reads sees none of the puts beside it."""
        asked = list(ops)
        for op in asked:
            validate_op_namespace(op)
        self._items.follow()
        results: list[Result] = []
        puts: dict[Place, PutOp] = {}
        for op in asked:
            if isinstance(op, PutOp):
                puts[(op.namespace, op.key)] = op
                results.append(None)
            elif isinstance(op, SearchOp):
                results.append(await self._search(op))
            elif isinstance(op, GetOp):
                results.append(self._get(op))
            elif isinstance(op, ListNamespacesOp):
                results.append(self._namespaces(op))
            else:
                raise ValueError(f"an operation is a GetOp, SearchOp, PutOp or ListNamespacesOp, not {op!r}")
        await asyncio.to_thread(self._put, puts)
        return results

    def close(self) -> None:
        """Give the store's files back; the memory stays open."""
        self._items.close()

    def _put(self, puts: Mapping[Place, PutOp]) -> None:
        with self._kept.mutex:
            self._kept.follow()
            self._items.follow()
            events = []
            for place, op in puts.items():
                id = self._items.id_at(place)
                if op.value is not None:
                    _check(place, op.value)
                    index = _indexed(op.value, op.index)
                    events.append(self._items.put(place, op.value, index, self._status))
                elif id is not None:
                    events.append({"event": "forgotten", "id": id})
            self._kept.write_together(events)

    def _get(self, op: GetOp) -> Item | None:
        with self._kept.mutex:
            id = self._items.id_at((op.namespace, op.key))
            return None if id is None else Item(**self._fields(id))

    def _fields(self, id: str) -> dict[str, Any]:
        entry = self._items.entries[id]
        namespace, key = entry.place
        times = {"created_at": entry.created, "updated_at": entry.updated}
        return {"namespace": namespace, "key": key, "value": self._items.value(id), **times}

    async def _search(self, op: SearchOp) -> list[SearchItem]:
        with self._kept.mutex:
            among = [id for id in self._items.within(op.namespace_prefix) if self._fits(id, op.filter or {})]
            scored = {id: None for id in among if self._items.entries[id].indexed}
        if not op.query or not among:
            return self._found(dict.fromkeys(among[op.offset : op.offset + op.limit]))
        hits = (await self._nearest(op.query, scored, op.offset + op.limit))[op.offset :]
        rest = [id for id in among if id not in scored][: max(0, op.limit - len(hits))]
        return self._found({**{hit.id: hit.score for hit in hits}, **dict.fromkeys(rest)})

    def _fits(self, id: str, wanted: Mapping[str, Any]) -> bool:
        value = self._items.value(id) if wanted else {}
        return all(_holds(value.get(name), wanted[name]) for name in wanted)

    def _found(self, scores: Mapping[str, float | None]) -> list[SearchItem]:
        """Items with their scores, without those that were deleted meanwhile."""
        with self._kept.mutex:
            there = [id for id in scores if id in self._items.entries]
            return [SearchItem(**self._fields(id), score=scores[id]) for id in there]

    async def _nearest(self, query: str, among: Mapping[str, None], count: int) -> Sequence[Hit]:
        """The nearest of some corrections; an index that broke is made anew, once."""
        kept = self._kept
        vector = (await embed(kept.embedder, [query]))[0]

        def nearest() -> Sequence[Hit]:
            found: list[Hit] = []
            for hit in kept.vectors.search(vector) if count > 0 else ():
                if hit.id in among:
                    found.append(hit)
                if len(found) == min(count, len(among)):
                    break
            return found

        await kept.catch_up()
        try:
            return await asyncio.to_thread(nearest)
        except IndexDamaged as error:
            if not isinstance(kept.vectors, LocalVectors):
                raise
            kept.vectors.drop(error)
            await kept.catch_up()
            return await asyncio.to_thread(nearest)

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        with self._kept.mutex:
            every = {entry.place[0] for entry in self._items.entries.values()}
        matching = {each for each in every if all(_matches(each, one) for one in op.match_conditions or ())}
        return sorted({each[: op.max_depth] for each in matching})[op.offset : op.offset + op.limit]


def _check(place: Place, value: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError) as error:
        raise BadInput(f"the value put at {place} cannot be written as JSON: {error}") from error


def _indexed(value: Mapping[str, Any], index: Any) -> Any:
    """False for an item that no query finds, the words at its paths where some are given, else None."""
    if not isinstance(index, list):
        return index
    return "\n".join(text for path in index for text in get_text_at_path(value, tokenize_path(path)))


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))


def _holds(value: Any, wanted: Any) -> bool:
    """Whether a value is what a filter wants: equal, or as its operators say."""
    if isinstance(wanted, dict):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compares(value, name, other) for name, other in wanted.items())
        return isinstance(value, dict) and all(_holds(value.get(name), wanted[name]) for name in wanted)
    if isinstance(wanted, list | tuple):
        same = isinstance(value, list | tuple) and len(value) == len(wanted)
        return same and all(_holds(one, other) for one, other in zip(value, wanted, strict=True))
    return bool(value == wanted)


def _compares(value: Any, operator: str, other: Any) -> bool:
    if operator in ("$eq", "$ne"):
        return (value == other) is (operator == "$eq")
    if operator not in ("$gt", "$gte", "$lt", "$lte"):
        raise ValueError(f"no operator {operator!r} in a filter; known: $eq, $ne, $gt, $gte, $lt, $lte")
    try:
        one, two = float(value), float(other)
    except (TypeError, ValueError):
        return False
    return {"$gt": one > two, "$gte": one >= two, "$lt": one < two, "$lte": one <= two}[operator]
