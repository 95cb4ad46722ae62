"""Messages over a stream socket: four bytes of length, then that much ASCII JSON.

Both ends are one process each; a message is written and read whole. What the other end sends is
untrusted: whatever breaks the form is ``Malformed``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from os import read, write
from typing import Any

SIZE = 8 * 1024 * 1024
"""Bytes of the longest message."""
PIECE = 1 << 16

_encoder = json.JSONEncoder(check_circular=False, separators=(",", ":"))
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Malformed(Exception):
    """Something came that no honest other end would send."""


class Closed(Exception):
    """The other end is gone."""


def encode(value: Any) -> str:
    """A value as ASCII JSON without blanks."""
    return "".join(_parts(value, 0))


def _made_once() -> Callable[[Any, int], Iterable[str]]:
    """What ``json`` makes anew for each value that it encodes, which takes it longer than most values do."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
    if make is None:  # an interpreter without the module in C
        return lambda value, _: _encoder.iterencode(value)
    text = json.encoder.encode_basestring_ascii
    return make(None, _encoder.default, text, None, ":", ",", False, False, True)  # type: ignore[no-any-return]


_parts = _made_once()


def decode(text: str) -> Any:
    """The value of JSON, with no blanks around it; ValueError where it is none."""
    try:
        value, end = _scan(text, 0)
    except StopIteration as error:
        raise ValueError("no value") from error
    if end != len(text):
        raise ValueError("more than one value")
    return value


class Channel:
    """One end of the connection. ``busy`` is set while a message is being written."""

    __slots__ = ("busy", "_descriptor", "_left")

    def __init__(self, descriptor: int) -> None:
        self.busy = False
        self._descriptor = descriptor
        self._left = b""

    def send(self, text: str) -> None:
        """Send JSON that ``encode`` has made; ``Closed`` when nobody is there to take it."""
        data = len(text).to_bytes(4, "big") + text.encode("ascii")
        self.busy = True
        try:
            sent = write(self._descriptor, data)
            while sent < len(data):
                sent += write(self._descriptor, memoryview(data)[sent:])
        except OSError as error:
            raise Closed from error
        finally:
            self.busy = False

    def receive(self) -> Any:
        """The next message; waits for it."""
        size = int.from_bytes(self._take(4), "big")
        if size > SIZE:
            raise Malformed(f"a message of {size} bytes")
        data = self._take(size)
        try:
            return decode(data.decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"no JSON: {error}") from error

    def _take(self, count: int) -> bytes:
        left = self._left
        if len(left) < count:
            left = self._fill(left, count)
        self._left = left[count:]
        return left[:count]

    def _fill(self, left: bytes, count: int) -> bytes:
        parts, have = [left], len(left)
        while have < count:
            try:
                part = read(self._descriptor, max(PIECE, count - have))
            except OSError as error:
                raise Closed from error
            if not part:
                raise Closed
            parts.append(part)
            have += len(part)
        return b"".join(parts)
