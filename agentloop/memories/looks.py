"""What turns photos into vectors: the shapes of such embedders, and two small ones without weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from agentloop.errors import BadInput
from agentloop.knowledge import Photo
from agentloop.memories.embedding import Vectors, checked

GRID = 4
"""Cells along a side into which PatternEmbedder divides a photo."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.92, 0.92, 0.9),
    "silver": (0.78, 0.8, 0.83),
    "steel": (0.78, 0.8, 0.83),
    "grey": (0.5, 0.5, 0.5),
    "gray": (0.5, 0.5, 0.5),
    "black": (0.15, 0.15, 0.15),
    "red": (0.75, 0.15, 0.15),
    "orange": (0.9, 0.5, 0.15),
    "oak": (0.6, 0.4, 0.2),
    "wooden": (0.6, 0.4, 0.2),
    "brown": (0.5, 0.33, 0.17),
    "yellow": (0.9, 0.8, 0.2),
    "green": (0.2, 0.5, 0.25),
    "blue": (0.18, 0.3, 0.65),
    "purple": (0.42, 0.22, 0.55),
    "pink": (0.9, 0.58, 0.68),
}
"""Words for looks, and the colours they name (red, green, blue, 0 to 1)."""

_WORD = re.compile(r"[a-z]+")


class ImageEmbedder(Protocol):
    """Turns photos into vectors, one row a photo. ``name`` and ``version`` tell it from others.

    Optional: ``instant = True`` for one that needs no thread of its own.
    """

    name: str

    def __call__(self, photos: Sequence[Photo], /) -> Any:
        """The vectors of ``photos``."""
        ...


class TextImageEmbedder(ImageEmbedder, Protocol):
    """Also turns texts into vectors of the same space, as CLIP does."""

    def texts(self, texts: Sequence[str], /) -> Any:
        """The vectors of ``texts``."""
        ...


class PatternEmbedder:
    """Colours over a coarse grid, and how they change from pixel to pixel; it knows no words."""

    name = "agentloop-pattern"
    version = "1"
    instant = True

    def __call__(self, photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
        """One row for each photo."""
        return np.stack([_pattern(pixels_of(photo)) for photo in photos]).astype(np.float32)


class ColourEmbedder:
    """The mean colour of a photo, and of the words for looks in a text."""

    name = "agentloop-colour"
    version = "1"
    instant = True

    def __call__(self, photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
        """One row for each photo."""
        return _spread(np.stack([pixels_of(photo).mean(axis=(0, 1)) for photo in photos]))

    def texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One row for each text."""
        named = [[COLOURS[word] for word in _WORD.findall(text.lower()) if word in COLOURS] for text in texts]
        return _spread(np.array([np.mean(colours, axis=0) if colours else (0.5,) * 3 for colours in named]))


def has_visual_word(name: str) -> bool:
    """Whether a name says what its object looks like."""
    return any(word in COLOURS for word in _WORD.findall(name.lower()))


def pixels_of(photo: Photo) -> npt.NDArray[np.float64]:
    """A photo as rows, columns and colours from 0 to 1; BadInput when its pixels are not what it says."""
    try:
        data = bytes.fromhex(photo.pixels)
    except ValueError as error:
        raise BadInput(f"a photo's pixels are pairs of hex digits, got {photo.pixels[:20]!r}") from error
    if len(data) != photo.width * photo.height * 3:
        raise BadInput(
            f"a photo of {photo.width} x {photo.height} has {photo.width * photo.height * 3} bytes, "
            f"this one has {len(data)}"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(photo.height, photo.width, 3) / 255.0


def squared_distances(row: Vectors, rows: Vectors) -> npt.NDArray[np.float64]:
    """Squared Euclidean distances of ``rows`` from ``row``."""
    return np.asarray(((rows.astype(np.float64) - row.astype(np.float64)) ** 2).sum(axis=1))


def _pattern(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows = np.array_split(pixels, min(GRID, pixels.shape[0]), axis=0)
    cells = [cell for row in rows for cell in np.array_split(row, min(GRID, pixels.shape[1]), axis=1)]
    colours = np.stack([cell.mean(axis=(0, 1)) for cell in cells])
    colours = np.resize(colours, (GRID * GRID, 3)) - 0.5
    changes = [
        np.abs(np.diff(pixels, axis=axis)).mean() if pixels.shape[axis] > 1 else 0.0 for axis in (0, 1)
    ]
    return np.concatenate([colours.ravel(), 8.0 * np.array(changes)])


def _spread(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Colours as directions: away from grey, and lightness as a weaker part, to tell white from black."""
    lightness = colours.mean(axis=1, keepdims=True)
    return checked(np.concatenate([2.0 * (colours - lightness), lightness - 0.5], axis=1), len(colours))
