"""Vectors by name and by what they are of: pictures of objects by their looks, and beside words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agentloop.knowledge import Knowledge, Photo
from agentloop.memories.embedding import Vectors, embed, identify
from agentloop.memories.looks import ImageEmbedder, TextImageEmbedder, squared_distances

PHOTO_OF = "a photo of {}"
"""How a name is put to a text-image embedder (CLIP)."""


class NamedVectors:
    """Two vectors of every photo: ``looks``, by one embedder, and ``words``, by a text-image one.

    Vectors that another embedder made are never taken in; those that lack are made when they are needed.
    """

    def __init__(self, *, looks: ImageEmbedder | None, words: TextImageEmbedder | None) -> None:
        embedders: dict[str, Any] = {"looks": looks, "words": words}
        self._embedders = {name: each for name, each in embedders.items() if each is not None}
        self._made_by = {name: _name(each) for name, each in self._embedders.items()}
        self._vectors: dict[str, dict[str, Vectors]] = {name: {} for name in self._embedders}

    def __contains__(self, name: object) -> bool:
        return name in self._embedders

    def take(self, id: str, stored: Mapping[str, Any]) -> bool:
        """Take in the vectors that a log holds of one photo; False when one is of another embedder."""
        own = True
        for name in self._embedders.keys() & stored.keys():
            if stored[name]["by"] == self._made_by[name]:
                self._vectors[name][id] = np.array(stored[name]["vector"], dtype=np.float32)
            else:
                own = False
        return own

    async def stored(self, knowledge: Knowledge) -> dict[str, Any]:
        """The vectors of one photo as a log holds them; none without a photo."""
        if knowledge.photo is None:
            return {}
        rows = {name: (await self._rows(name, [knowledge]))[0] for name in self._embedders}
        return {
            name: {"by": self._made_by[name], "vector": [round(float(value), 6) for value in row]}
            for name, row in rows.items()
        }

    async def nearest(
        self, among: Sequence[Knowledge], photos: Sequence[Photo]
    ) -> tuple[Knowledge, float] | None:
        """The one whose looks are nearest to one of the photos, with its squared distance."""
        shown = [each for each in among if each.photo is not None]
        if not shown or not photos:
            return None
        rows, seen = await self._rows("looks", shown), await embed(self._embedders["looks"], _any(photos))
        distances = np.round(np.min([squared_distances(row, rows) for row in seen], axis=0), 9)
        best = int(np.argmin(distances))
        return shown[best], float(distances[best])

    async def fitting(self, name: str, among: Sequence[Knowledge], *, most: int) -> Sequence[Knowledge]:
        """The ``most`` whose photos fit a name best, by "a photo of NAME"."""
        shown = [each for each in among if each.photo is not None]
        if not shown:
            return ()
        text = (await embed(self._embedders["words"].texts, [PHOTO_OF.format(name)]))[0]
        scores = np.einsum("ij,j->i", await self._rows("words", shown), text)
        return [shown[place] for place in np.argsort(-np.round(scores, 6), kind="stable")[:most]]

    async def _rows(self, name: str, among: Sequence[Knowledge]) -> Vectors:
        """The vectors of a name, in order; everything in ``among`` has a photo."""
        held = self._vectors[name]
        lacking = [each for each in among if each.correction.id not in held]
        if lacking:
            made = await embed(self._embedders[name], _any([each.photo for each in lacking]))
            held.update((each.correction.id, row) for each, row in zip(lacking, made, strict=True))
        return np.array([held[each.correction.id] for each in among], dtype=np.float32)


def _name(embedder: Any) -> str:
    identity = identify(embedder)
    return f"{identity.name}/{identity.version}"


def _any(photos: Sequence[Any]) -> Any:
    """Photos where ``embed`` is written for texts: it hands on whatever an embedder takes."""
    return list(photos)
