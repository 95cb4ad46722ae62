"""Values made data: by the methods of their built-in base, never by those of a subclass.

So an ``__eq__`` that is always true does not cross. A named tuple stays one; instances of other
subclasses of built-in types become what their base holds.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from agentloop.environments.code.inside.arrays import Array, array_data
from agentloop.environments.code.inside.values import (
    BIG,
    DEPTH,
    INT,
    SIMPLE,
    TYPE_NAMES,
    Border,
    Unsupported,
    is_member,
    plain,
)

PLAIN_BASES = 2
"""How many bases a class has that inherits from nothing: itself and object."""


class Writer:
    """Makes JSON-able data of values.

    ``objects`` are the containers that the other end knows already; those met are added to them.
    """

    __slots__ = ("objects", "border", "_numbers")

    def __init__(self, border: Border, objects: Iterable[Any] = ()) -> None:
        self.objects = list(objects)
        self.border = border
        self._numbers: dict[int, int] = {}
        for number, each in enumerate(self.objects):
            self._numbers[id(each)] = number

    def write(self, value: Any, depth: int = 0) -> Any:
        """The data of one value."""
        kind = type(value)
        if kind in SIMPLE:
            return value
        if kind is int:
            return value if -BIG < value < BIG else {"int": hex(value)}
        if depth > DEPTH:
            raise Unsupported(kind.__name__, f"nested more than {DEPTH} deep")
        if kind in IMMUTABLE:
            return IMMUTABLE[kind](self, value, depth + 1)
        if kind in CONTENTS:
            return self._container(kind, value, depth + 1)
        return self._other(kind, value, depth)

    def items(self, values: Iterable[Any], depth: int = 0) -> Any:
        """The data of several values, as an array."""
        kinds = set(map(type, values))
        if kinds <= SIMPLE or (kinds == INT and min(values) > -BIG and max(values) < BIG):
            return values if isinstance(values, (list, tuple)) else list(values)
        return [self.write(each, depth) for each in values]

    def contents(self, kind: type, value: Any, depth: int = 0) -> Any:
        """The data of what a container of the built-in type ``kind`` holds."""
        return CONTENTS.get(kind, OBJECT)[1](self, value, depth)

    def pairs(self, value: Any, depth: int) -> Any:
        """The data of a dictionary: an object where all keys are strings, else pairs."""
        pairs = list(dict.items(value))
        if all(type(key) is str for key, _ in pairs):
            return {key: self.write(each, depth) for key, each in pairs}
        return [[self.write(key, depth), self.write(each, depth)] for key, each in pairs]

    def _container(self, kind: type, value: Any, depth: int) -> Any:
        number = self._numbers.setdefault(id(value), len(self.objects))
        if number < len(self.objects):
            return {"ref": number}
        self.objects.append(value)
        tag, contents = CONTENTS.get(kind, OBJECT)
        data = contents(self, value, depth)
        return {tag: data} if tag else data

    def _other(self, kind: type, value: Any, depth: int) -> Any:
        border = self.border
        if kind in border.shared_names:
            return self._shared(kind, value, depth + 1)
        late = LATE.get(f"{kind.__module__}.{kind.__qualname__}")
        if late and getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
            return late(self, value, depth + 1)
        if kind is type and value in TYPE_NAMES:
            return {"type": TYPE_NAMES[value]}
        if kind.__module__ == "numpy":
            return self.write(array_data(value, border), depth)
        bases = type.__dict__["__mro__"].__get__(kind)
        if len(bases) > PLAIN_BASES and not border.keeps(value):
            if tuple in bases and type(getattr(kind, "_fields", None)) is tuple:
                fields = list(kind._fields)  # type: ignore[attr-defined]
                return {"named": [kind.__name__, fields, self.items(plain(tuple, value), depth + 1)]}
            for base in BASES:
                if base in bases:
                    border.flattens(kind)
                    return self._of_base(base, value, depth)
        return border.write(value)

    def _shared(self, kind: type, value: Any, depth: int) -> Any:
        if is_member(kind):
            return {"member": [self.border.shared_names[kind], value._name_]}
        return self._container(kind, value, depth)

    def _of_base(self, base: type, value: Any, depth: int) -> Any:
        if base in CONTENTS:
            return self._container(base, value, depth + 1)
        return self.write(plain(base, value), depth)


def _tuple(writer: Writer, value: Any, depth: int) -> Any:
    return {"tuple": writer.items(value, depth)}


def _bytes(_: Writer, value: Any, __: int) -> Any:
    return {"bytes": value.decode("latin-1")}


def _complex(_: Writer, value: Any, __: int) -> Any:
    return {"complex": [value.real, value.imag]}


def _range(writer: Writer, value: Any, depth: int) -> Any:
    return {"range": writer.items([value.start, value.stop, value.step], depth)}


def _slice(writer: Writer, value: Any, depth: int) -> Any:
    return {"slice": writer.items([value.start, value.stop, value.step], depth)}


def _frozenset(writer: Writer, value: Any, depth: int) -> Any:
    return {"frozenset": writer.items(list(value), depth)}


def _view(tag: str) -> Callable[[Writer, Any, int], Any]:
    return lambda writer, value, depth: {tag: writer.items(list(value), depth)}


def _constant(_: Writer, value: Any, __: int) -> Any:
    return {"constant": "Ellipsis" if value is ... else "NotImplemented"}


IMMUTABLE: dict[type, Callable[[Writer, Any, int], Any]] = {
    tuple: _tuple,
    bytes: _bytes,
    complex: _complex,
    range: _range,
    slice: _slice,
    frozenset: _frozenset,
    type({}.keys()): _view("keys"),
    type({}.values()): _view("values"),
    type({}.items()): _view("items"),
    type(OrderedDict().keys()): _view("keys"),
    type(OrderedDict().values()): _view("values"),
    type(OrderedDict().items()): _view("items"),
    type(...): _constant,
    type(NotImplemented): _constant,
    Array: lambda writer, value, depth: {"array": [*value.data[:2], writer.items(value.data[2], depth)]},
}


def _listed(writer: Writer, value: Any, depth: int) -> Any:
    return writer.items(value if type(value) is list else plain(list, value), depth)


def _members(writer: Writer, value: Any, depth: int) -> Any:
    return writer.items(list(set.__iter__(value)), depth)


def _pairs(writer: Writer, value: Any, depth: int) -> Any:
    return writer.pairs(value, depth)


def _ordered(writer: Writer, value: Any, depth: int) -> Any:
    return [[writer.write(key, depth), writer.write(each, depth)] for key, each in OrderedDict.items(value)]


def _default(writer: Writer, value: Any, depth: int) -> Any:
    factory = value.default_factory
    named = TYPE_NAMES.get(factory)
    return [named, writer.pairs(value, depth)]


def _deque(writer: Writer, value: Any, depth: int) -> Any:
    return [value.maxlen, writer.items(list(deque.__iter__(value)), depth)]


def _latin(_: Writer, value: Any, __: int) -> Any:
    return bytes(value).decode("latin-1")


CONTENTS: dict[type, tuple[str, Callable[[Writer, Any, int], Any]]] = {
    list: ("", _listed),
    dict: ("dict", _pairs),
    set: ("set", _members),
    bytearray: ("bytearray", _latin),
    Counter: ("counter", _pairs),
    OrderedDict: ("ordered", _ordered),
    defaultdict: ("default", _default),
    deque: ("deque", _deque),
}
BASES = (
    *(int, float, str, complex, bytes, tuple, frozenset),
    *(Counter, OrderedDict, defaultdict, deque, list, dict, set, bytearray),
)


def _object(writer: Writer, value: Any, depth: int) -> Any:
    return [writer.border.shared_names[type(value)], writer.pairs(vars(value), depth)]


OBJECT = ("object", _object)


def _fraction(writer: Writer, value: Any, depth: int) -> Any:
    return {"fraction": writer.items([value.numerator, value.denominator], depth)}


def _decimal(_: Writer, value: Any, __: int) -> Any:
    return {"decimal": str(value)}


def _moment(tag: str, *names: str) -> Callable[[Writer, Any, int], Any]:
    def written(writer: Writer, value: Any, depth: int) -> Any:
        return {tag: [writer.write(getattr(value, name), depth) for name in names]}

    return written


_DAY, _CLOCK = ("year", "month", "day"), ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
LATE: dict[str, Callable[[Writer, Any, int], Any]] = {
    "fractions.Fraction": _fraction,
    "decimal.Decimal": _decimal,
    "datetime.date": _moment("date", *_DAY),
    "datetime.time": _moment("time", *_CLOCK),
    "datetime.datetime": _moment("datetime", *_DAY, *_CLOCK),
    "datetime.timedelta": _moment("timedelta", "days", "seconds", "microseconds"),
    "datetime.timezone": lambda writer, value, depth: {
        "timezone": writer.write(value.utcoffset(None), depth)
    },
}
"""Types of modules that need not be loaded, by name."""
