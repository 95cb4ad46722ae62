"""Photos of the things: the colours and pattern of their make, under light that differs from day to day."""

from __future__ import annotations

import random

from agentloop.knowledge import Photo

SIDE = 8
"""Pixels along a side."""

_LOOKS = {
    "white": ((238, 238, 232), (214, 214, 208), "plain"),
    "oak": ((168, 118, 66), (132, 88, 44), "grain"),
    "blue": ((52, 84, 176), (40, 66, 146), "plain"),
    "red": ((196, 48, 44), (168, 36, 34), "plain"),
    "green": ((58, 140, 72), (46, 112, 58), "bars"),
    "grey": ((132, 132, 134), (108, 108, 110), "grain"),
    "black": ((34, 34, 36), (62, 62, 64), "bars"),
    "yellow": ((232, 204, 60), (206, 178, 40), "plain"),
    "pink": ((236, 150, 178), (214, 122, 154), "dots"),
    "steel": ((176, 182, 190), (224, 228, 232), "bars"),
    "purple": ((116, 62, 150), (92, 46, 124), "plain"),
    "orange": ((232, 134, 42), (204, 108, 28), "dots"),
}


def photo_of(make: str, draw: random.Random) -> Photo:
    """A photo of a thing of this make; light and noise are drawn."""
    ground, figure, pattern = _LOOKS[make]
    light = draw.uniform(0.85, 1.1)
    pixels = bytearray()
    for row in range(SIDE):
        for column in range(SIDE):
            colour = figure if _figure(pattern, row, column) else ground
            pixels += bytes(max(0, min(255, round(c * light + draw.gauss(0, 6)))) for c in colour)
    return Photo(width=SIDE, height=SIDE, pixels=pixels.hex())


def _figure(pattern: str, row: int, column: int) -> bool:
    """Whether the pattern shows its second colour there."""
    if pattern == "grain":
        return row % 2 == 1
    if pattern == "bars":
        return column % 4 < 2
    return pattern == "dots" and row % 4 == column % 4 == 1
