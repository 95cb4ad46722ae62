"""What an embedder is, who it is, and its vectors checked and brought to length 1."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from agentloop.errors import BadInput

Vectors: TypeAlias = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors, one row a text. A plain or async function will do.

    It is known by the attribute ``name`` (a function's own name otherwise) and ``version`` (default
    ""), which are stored with a memory, so that vectors of two embedders are never mixed. Optional:
    ``dimension``, and ``instant = True`` for one that needs no thread of its own.
    """

    def __call__(self, texts: Sequence[str], /) -> Any | Awaitable[Any]:
        """The vectors of ``texts``: an array, or a list of lists of numbers."""
        ...


@dataclass(frozen=True)
class Identity:
    """Which embedder made some vectors."""

    name: str
    version: str
    dimension: int | None

    def __str__(self) -> str:
        size = f", {self.dimension} numbers" if self.dimension else ""
        return f"{self.name} (version {self.version or 'not given'}{size})"

    def differs(self, other: Identity) -> bool:
        """Whether vectors of the two must not be mixed; a dimension not known yet differs from none."""
        if (self.name, self.version) != (other.name, other.version):
            return True
        return None not in (self.dimension, other.dimension) and self.dimension != other.dimension


def identify(embedder: Embedder) -> Identity:
    """Who ``embedder`` is; BadInput when it has no name to be known by."""
    if not callable(embedder):
        raise BadInput(f"an embedder is called with texts and returns vectors; got {embedder!r}")
    name = getattr(embedder, "name", None) or getattr(embedder, "__qualname__", "")
    if not name or "<lambda>" in str(name):
        raise BadInput(
            f"the embedder {embedder!r} has no name to be stored with the memory; give it one: "
            "embedder.name = 'provider/model'"
        )
    return Identity(str(name), str(getattr(embedder, "version", "")), getattr(embedder, "dimension", None))


async def embed(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """The vectors of ``texts``, rows of length 1; a slow plain embedder runs in a thread."""
    if getattr(embedder, "instant", False):
        return checked(embedder(texts), len(texts))
    found = await asyncio.to_thread(embedder, texts)
    if inspect.isawaitable(found):
        found = await found
    return checked(found, len(texts))


def checked(found: Any, count: int) -> Vectors:
    """``found`` as float32 rows of length 1; BadInput unless it is ``count`` rows of finite numbers."""
    try:
        rows = np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the embedder returned no rows of numbers: {error}") from error
    if rows.ndim != 2 or rows.shape[0] != count or rows.shape[1] == 0 or not np.isfinite(rows).all():
        raise BadInput(
            f"the embedder must return {count} rows of finite numbers, one for each text; "
            f"got an array of shape {rows.shape}"
        )
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return np.asarray(rows / np.where(norms > 0.0, norms, 1.0)[:, None], dtype=np.float32)
