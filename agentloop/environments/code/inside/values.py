"""What may cross between a program and its tests, and how deep: the plain values.

As data a value is JSON that keeps its exact type. None, bool, int, float and str are themselves, a
list is an array, and every other type is an object with one key, its tag. Containers that can change
are numbered in the order in which they are met; one that is met again is a reference to its number.
So both ends know which containers are the same one, and what a call changed in its arguments can be
told by number. Objects of classes that both sides have are containers of their attributes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from operator import is_
from typing import Any

from agentloop.environments.code.inside.channel import Malformed

DEPTH = 60
BIG = 1 << 256
"""Integers from here on are written in hexadecimal: Python bounds the length of decimal ones."""

SIMPLE = frozenset((str, bool, type(None), float))
INT = frozenset((int,))
READ = SIMPLE | INT
TYPES = {
    each.__name__: each
    for each in (int, float, complex, bool, str, bytes, bytearray, list, tuple, set, frozenset, dict, object)
} | {"NoneType": type(None)}
TYPE_NAMES = {kind: name for name, kind in TYPES.items()}
HEAP_TYPE = 1 << 9
"""The flag of classes that were made by a ``class`` statement."""
CONSTANTS = {"Ellipsis": ..., "NotImplemented": NotImplemented}


class Unsupported(Exception):
    """A value that cannot cross; ``kind`` is the name of its type."""

    def __init__(self, kind: str, why: str = "") -> None:
        super().__init__(f"{kind}: {why}" if why else kind)
        self.kind = kind


class Border:
    """How whatever is no plain value crosses. This one lets nothing through.

    Objects of the classes in ``shared`` cross by their attributes: both sides have the class, by the
    same name, and each makes the object of its own.
    """

    def __init__(self) -> None:
        self.shared: dict[str, type] = {}
        self.shared_names: dict[type, str] = {}

    def share(self, classes: Mapping[str, type]) -> None:
        """Let objects of these classes cross."""
        self.shared.update(classes)
        self.shared_names.update({kind: name for name, kind in classes.items()})

    def write(self, value: Any) -> Any:
        """The data of something that is no plain value."""
        raise Unsupported(type(value).__name__)

    def read(self, tag: str, _: Any) -> Any:
        """The value of data with a tag that is no plain value's."""
        raise Malformed(f"a tag that is not wanted: {tag[:40]!r}")

    def flattens(self, kind: type) -> None:
        """Note that an instance of this class crosses as no more than what its built-in base holds."""

    def keeps(self, _: Any) -> bool:
        """Whether an instance of a subclass of a built-in type is an object, not the value it holds."""
        return False


def is_member(kind: type) -> bool:
    """Whether a class is an enumeration."""
    return "_member_map_" in kind.__dict__


def is_shareable(kind: Any) -> bool:
    """Whether all that objects of a class hold are attributes in their ``__dict__``."""
    if not isinstance(kind, type) or issubclass(kind, BaseException):
        return False
    if is_member(kind):
        return True
    plain_classes = all(each is object or each.__flags__ & HEAP_TYPE for each in kind.__mro__)
    return (
        plain_classes
        and bool(kind.__dictoffset__)
        and not any(each.__dict__.get("__slots__") for each in kind.__mro__)
    )


def plain(base: type, value: Any) -> Any:
    """The value that an instance of a subclass of ``base`` holds, as ``base`` itself reads it."""
    if base in (int, float):
        return base.__int__(value) if base is int else base.__float__(value)
    if base is str:
        return str.__str__(value)
    if base is complex:
        return complex(complex.real.__get__(value), complex.imag.__get__(value))
    if base in (bytes, bytearray):
        return base(base.__getitem__(value, slice(None)))
    return base(base.__iter__(value))  # type: ignore[attr-defined]


def snapshot(value: Any) -> list[Any]:
    """What a container or an object holds, to be compared by identity."""
    if isinstance(value, OrderedDict):  # it keeps its order beside the dictionary
        return [*OrderedDict.keys(value), *OrderedDict.values(value)]
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    if isinstance(value, bytearray):
        return [bytes(value)]
    if isinstance(value, (list, set, deque)):
        return list(value)
    return [*vars(value), *vars(value).values()]


def same(before: list[Any], now: list[Any]) -> bool:
    """Whether two snapshots of a container hold the very same objects."""
    if len(before) != len(now):
        return False
    return all(map(is_, before, now)) or all(
        one is other or (type(one) is bytes and one == other) for one, other in zip(before, now, strict=True)
    )
