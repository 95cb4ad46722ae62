"""Values of numpy, for programs that use it: a scalar crosses as its number, an array as its items."""

from __future__ import annotations

import sys
from typing import Any

from agentloop.environments.code.inside.channel import Malformed
from agentloop.environments.code.inside.values import Border, Unsupported

KINDS = "biufcSU"
"""The kinds of items that cross: truth values, numbers and texts."""


class Array:
    """An array on its way: what is written in its place."""

    __slots__ = ("data",)

    def __init__(self, data: list[Any]) -> None:
        self.data = data


def array_data(value: Any, border: Border) -> Any:
    """What to write in place of a value of a class of numpy's."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.generic):
        plain = value.item()
        if type(plain).__module__ != "numpy":
            return plain
    elif type(value) is numpy.ndarray and value.dtype.kind in KINDS:
        return Array([value.dtype.str, list(value.shape), value.ravel().tolist()])
    return border.write(value)


def array_of(data: Any, items: list[Any]) -> Any:
    """The array that some data describes; Unsupported where there is no numpy."""
    kind, shape, _ = data
    if type(kind) is not str or kind[1:2] not in KINDS:
        raise Malformed("no kind of array")
    try:
        import numpy
    except ImportError:
        raise Unsupported("numpy.ndarray", "the tests' process has no numpy") from None
    return numpy.array(items, dtype=kind).reshape(shape)
