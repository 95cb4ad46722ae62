"""The Chroma index over corrections: vectors with scope and provenance, in a folder or on a server.

The index is never the truth. Chroma's own embedders, which download models, are not used.
"""

from __future__ import annotations

import contextlib
import json
import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import numpy as np

from agentloop.errors import AgentloopError, BadInput, MemoryMismatch, MissingExtra
from agentloop.memories.embedding import Identity, Vectors
from agentloop.types import Correction

logger = logging.getLogger(__name__)

_NAME = "corrections"
_BATCH = 1000
_FORGOTTEN = "forgotten"

SETTINGS: Mapping[str, int] = {"max_neighbors": 100, "ef_construction": 100, "ef_search": 400}
"""Chroma's, chosen by measurement: with fewer neighbours than candidates, HNSW thins out what lies close
together until some of it is linked from nowhere, and keys that differ in one number are never found."""


class IndexDamaged(AgentloopError):
    """Chroma cannot read the index; it is to be made anew from the log."""


class Hit(NamedTuple):
    """A correction that was found. ``record`` is what the index holds of it, None in a local search."""

    id: str
    score: float
    record: Correction | None = None


class VectorIndex:
    """One Chroma collection with cosine distance and no embedder of Chroma's."""

    def __init__(self, client: Any, identity: Identity, *, settings: Mapping[str, int] = SETTINGS) -> None:
        self._close = weakref.finalize(self, getattr(client, "close", lambda: None))
        self._close.atexit = False
        about = {"embedder": identity.name, "version": identity.version, "dimension": identity.dimension or 0}
        self._collection = client.get_or_create_collection(
            _NAME,
            embedding_function=None,
            metadata={key: value for key, value in about.items() if value != ""},
            configuration={"hnsw": {"space": "cosine", **settings}},
        )
        held = self._collection.metadata or {}
        self.identity = Identity(
            str(held.get("embedder", "")), str(held.get("version", "")), held.get("dimension") or None
        )

    @classmethod
    def local(cls, path: Path, identity: Identity, *, settings: Mapping[str, int] = SETTINGS) -> VectorIndex:
        """The index in a folder of this process; IndexDamaged when it cannot be used."""
        chroma, how = _chroma()
        with _damage(path):
            index = cls(_opened(chroma, path, how), identity, settings=settings)
        if index.identity.differs(identity):
            index.close()
            raise IndexDamaged(f"it was made with {index.identity}, the memory's embedder is {identity}")
        return index

    @classmethod
    def server(cls, url: str, identity: Identity) -> VectorIndex:
        """The index on a Chroma server (``chroma run``)."""
        parts = urlparse(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                f"url must be the address of a Chroma server, as http://localhost:8000; got {url!r}"
            )
        chroma, settings = _chroma()
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            client = chroma.HttpClient(host=parts.hostname, port=port, ssl=secure, settings=settings)
        except ValueError as error:
            raise BadInput(
                f"no Chroma server answers at {url}: {error}; start one with `chroma run`"
            ) from error
        index = cls(client, identity)
        if index.identity.differs(identity):
            raise MemoryMismatch(
                f"the server at {url} holds vectors of {index.identity}, this memory's embedder is "
                f"{identity}. Open it with that embedder, or use another server"
            )
        return index

    def ids(self) -> set[str]:
        """The ids of every row."""
        with _damage(_NAME):
            return set(self._collection.get(include=[])["ids"])

    def vectors(self, ids: Sequence[str] | None = None) -> tuple[list[str], Vectors]:
        """These rows, or every one, in no order; IndexDamaged when one cannot be read."""
        with _damage(_NAME):
            found = self._collection.get(ids=None if ids is None else list(ids), include=["embeddings"])
        return list(found["ids"]), np.asarray(found["embeddings"], dtype=np.float32)

    def add(self, corrections: Sequence[Correction], rows: Vectors) -> None:
        """Add rows; a row that is there already, a forgotten one too, stays as it is."""
        for start in range(0, len(corrections), _BATCH):
            part = corrections[start : start + _BATCH]
            with _damage(_NAME):
                self._collection.add(
                    ids=[each.id for each in part],
                    embeddings=rows[start : start + _BATCH],
                    documents=[each.text for each in part],
                    metadatas=[_metadata(each) for each in part],
                )

    def update(self, correction: Correction, row: Vectors | None = None) -> None:
        """Write a correction's scope, provenance and status anew; with ``row``, words and vector as well."""
        with _damage(_NAME):
            if row is None:
                self._collection.update(ids=[correction.id], metadatas=[_metadata(correction)])
                return
            self._collection.update(
                ids=[correction.id],
                embeddings=[row],
                documents=[correction.text],
                metadatas=[_metadata(correction)],
            )

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        with _damage(_NAME):
            self._collection.delete(ids=list(ids))

    def blank(self, id: str) -> None:
        """Take the words out of a row and leave its id, so that no other writer adds it again."""
        found = self._collection.get(ids=[id], include=["embeddings"])
        if not found["ids"]:
            return
        nowhere = np.zeros(len(found["embeddings"][0]), dtype=np.float32)
        nowhere[0] = 1.0
        empty = dict.fromkeys(("record", "key", "applies_when", "not_when", "quote"), "")
        self._collection.update(
            ids=[id], embeddings=[nowhere], documents=[""], metadatas=[{"status": _FORGOTTEN, **empty}]
        )

    def get(self, ids: Sequence[str] | None = None) -> list[Correction]:
        """What the index holds of these corrections, or of all; forgotten ones are left out."""
        found = self._collection.get(ids=None if ids is None else list(ids), include=["metadatas"])
        records = [_record(metadata) for metadata in found["metadatas"]]
        return [record for record in records if record is not None]

    def search(self, query: Vectors, *, records: bool) -> Iterator[Hit]:
        """Rows by cosine to ``query``, nearest first, asked for in growing pages.

        With ``records`` each hit holds what the index knows of it, and forgotten rows are left out.
        """
        with _damage(_NAME):
            total = self._collection.count()
        seen: set[str] = set()
        page = 64
        while total and len(seen) < total:
            fresh = [hit for hit in self._page(query, min(page, total), records) if hit.id not in seen]
            if not fresh and page >= total:
                logger.warning("Chroma finds only %d of its %d rows", len(seen), total)
                return
            seen.update(hit.id for hit in fresh)
            yield from (hit for hit in fresh if hit.record is not None or not records)
            page *= 4

    def close(self) -> None:
        """Let the client go, as also happens when nobody holds this object any more."""
        self._close()

    def _page(self, query: Vectors, size: int, records: bool) -> list[Hit]:
        include = ["distances", "metadatas"] if records else ["distances"]
        with _damage(_NAME):
            found = self._collection.query(query_embeddings=[query], n_results=size, include=include)
        ids, distances = found["ids"][0], found["distances"][0]
        metadatas = found["metadatas"][0] if records else [None] * len(ids)
        hits = [
            Hit(id, round(1.0 - distance, 6), _record(metadata))
            for id, distance, metadata in zip(ids, distances, metadatas, strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _chroma() -> tuple[Any, Any]:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise MissingExtra("CorrectionMemory", "chromadb", "memory") from error
    return chromadb, Settings(anonymized_telemetry=False)


def _opened(chroma: Any, path: Path, settings: Any) -> Any:
    try:
        return chroma.PersistentClient(str(path), settings=settings)
    except AttributeError as error:
        # What Chroma could not start it stops all the same, and trips over the missing half.
        raise IndexDamaged(f"Chroma cannot open {path}: {error.__context__ or error}") from error


@contextlib.contextmanager
def _damage(what: object) -> Iterator[None]:
    """Turn what Chroma raises on a damaged index, panics of its Rust part included, into IndexDamaged."""
    from chromadb.errors import ChromaError

    try:
        yield
    except ChromaError as error:
        raise IndexDamaged(f"Chroma cannot read {what}: {error}") from error
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise IndexDamaged(f"Chroma cannot read {what}: {error}") from error


def _metadata(correction: Correction) -> dict[str, Any]:
    """Scope and provenance as Chroma can filter them, and the whole record for other machines."""
    source = correction.source
    return {
        "status": correction.status,
        "kind": correction.kind,
        "level": correction.level,
        "applies_when": correction.applies_when,
        "not_when": correction.not_when,
        "key": correction.key,
        "run": source.run,
        "trajectory": source.trajectory,
        "quote": source.quote,
        "created": correction.created,
        "record": json.dumps(correction.to_dict()),
    }


def _record(metadata: Any) -> Correction | None:
    if not metadata or not metadata.get("record"):
        return None
    return Correction.from_dict(json.loads(metadata["record"]))
