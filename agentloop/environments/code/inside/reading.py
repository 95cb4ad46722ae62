"""Data made values, each by the reader itself; whatever is not the data of a value is Malformed."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from agentloop.environments.code.inside.arrays import array_of
from agentloop.environments.code.inside.channel import Malformed
from agentloop.environments.code.inside.values import CONSTANTS, DEPTH, READ, TYPES, Border, Unsupported

NAMED_FIELDS = 255
MISTAKES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    SyntaxError,
    MemoryError,
)
"""What reading malformed data can raise."""


class Reader:
    """Makes values of data; ``objects`` are the containers that the other end refers to by number."""

    __slots__ = ("objects", "border")

    def __init__(self, border: Border, objects: Iterable[Any] = ()) -> None:
        self.objects = list(objects)
        self.border = border

    def read(self, data: Any, depth: int = 0) -> Any:
        """The value of some data; Malformed when it has none."""
        kind = type(data)
        if kind in READ:
            return data
        if depth > DEPTH + 2:
            raise Malformed("nested too deeply")
        if kind is list:
            self.objects.append(data)
            return self.items(data, depth + 1)
        if kind is not dict or len(data) != 1:
            raise Malformed("a value without a tag")
        try:
            tag, inner = data.popitem()
            return self._tagged(tag, inner, depth + 1)
        except MISTAKES as error:
            raise Malformed(f"{type(error).__name__}: {error}") from error

    def items(self, data: Any, depth: int = 0) -> list[Any]:
        """The values of an array, in the very list that the array is."""
        if type(data) is not list:
            raise Malformed("no array")
        if not READ.issuperset(map(type, data)):
            for place, each in enumerate(data):
                data[place] = self.read(each, depth)
        return data

    def pairs(self, data: Any, depth: int = 0) -> list[tuple[Any, Any]]:
        """The keys and values of a dictionary."""
        if type(data) is dict:
            return [(key, self.read(each, depth)) for key, each in data.items()]
        return [(self.read(key, depth), self.read(each, depth)) for key, each in data]

    def fill(self, value: Any, data: Any) -> None:
        """Put the contents that ``data`` holds into a container, in place of its own."""
        kind = type(value)
        try:
            FILL.get(kind, _fill_object)(self, value, data, 1)
        except MISTAKES as error:
            raise Malformed(f"{type(error).__name__}: {error}") from error

    def _tagged(self, tag: str, data: Any, depth: int) -> Any:
        if tag == "ref":
            if type(data) is not int or data < 0:
                raise Malformed("no such container")
            return self.objects[data]
        if tag in EMPTY:
            value = EMPTY[tag](self, data)
            self.objects.append(value)
            FILL.get(type(value), _fill_object)(self, value, data, depth)
            return value
        if tag in MADE:
            return MADE[tag](self, data, depth)
        return self.border.read(tag, data)


def _member(reader: Reader, data: Any, _: int) -> Any:
    kind, name = data
    return reader.border.shared[kind].__dict__["_member_map_"][name]


def _array(reader: Reader, data: Any, depth: int) -> Any:
    return array_of(data, reader.items(data[2], depth))


def _integer(_: Reader, data: Any, __: int) -> Any:
    return int(data, 16)


def _tuple(reader: Reader, data: Any, depth: int) -> Any:
    return tuple(reader.items(data, depth))


def _frozenset(reader: Reader, data: Any, depth: int) -> Any:
    return frozenset(reader.items(data, depth))


def _bytes(_: Reader, data: Any, __: int) -> Any:
    return data.encode("latin-1")


def _complex(_: Reader, data: Any, __: int) -> Any:
    real, imaginary = data
    return complex(real, imaginary)


def _range(reader: Reader, data: Any, depth: int) -> Any:
    return range(*reader.items(data, depth))


def _slice(reader: Reader, data: Any, depth: int) -> Any:
    return slice(*reader.items(data, depth))


def _keys(reader: Reader, data: Any, depth: int) -> Any:
    return dict.fromkeys(reader.items(data, depth)).keys()


def _values(reader: Reader, data: Any, depth: int) -> Any:
    return dict(enumerate(reader.items(data, depth))).values()


def _items(reader: Reader, data: Any, depth: int) -> Any:
    return dict(reader.items(data, depth)).items()


def _named(reader: Reader, data: Any, depth: int) -> Any:
    name, fields, values = data
    if len(fields) > NAMED_FIELDS:
        raise Malformed("a named tuple with too many fields")
    # What it is made of was checked by namedtuple itself: identifiers, and none that begins with _.
    return namedtuple(name, fields)(*reader.items(values, depth))


def _fraction(reader: Reader, data: Any, depth: int) -> Any:
    from fractions import Fraction

    return Fraction(*reader.items(data, depth))


def _decimal(_: Reader, data: Any, __: int) -> Any:
    from decimal import Decimal

    return Decimal(data)


def _timedelta(_: Reader, data: Any, __: int) -> Any:
    from datetime import timedelta

    return timedelta(*data)


def _timezone(reader: Reader, data: Any, depth: int) -> Any:
    from datetime import timezone

    return timezone(reader.read(data, depth))


def _moment(name: str) -> Callable[[Reader, Any, int], Any]:
    def read(reader: Reader, data: Any, depth: int) -> Any:
        import datetime

        *parts, fold = (*reader.items(data, depth), 0) if name == "date" else reader.items(data, depth)
        made = getattr(datetime, name)
        return made(*parts) if name == "date" else made(*parts, fold=fold)

    return read


MADE: dict[str, Callable[[Reader, Any, int], Any]] = {
    "member": _member,
    "array": _array,
    "int": _integer,
    "tuple": _tuple,
    "frozenset": _frozenset,
    "bytes": _bytes,
    "complex": _complex,
    "range": _range,
    "slice": _slice,
    "keys": _keys,
    "values": _values,
    "items": _items,
    "named": _named,
    "fraction": _fraction,
    "decimal": _decimal,
    "date": _moment("date"),
    "time": _moment("time"),
    "datetime": _moment("datetime"),
    "timedelta": _timedelta,
    "timezone": _timezone,
    "type": lambda _, data, __: TYPES[data],
    "constant": lambda _, data, __: CONSTANTS[data],
}


def _empty_object(reader: Reader, data: Any) -> Any:
    return object.__new__(reader.border.shared[data[0]])


def _empty_deque(_: Reader, data: Any) -> Any:
    return deque((), data[0])


def _empty_default(_: Reader, data: Any) -> Any:
    return defaultdict(None if data[0] is None else TYPES[data[0]])


EMPTY: dict[str, Callable[[Reader, Any], Any]] = {
    "dict": lambda *_: {},
    "set": lambda *_: set(),
    "bytearray": lambda *_: bytearray(),
    "counter": lambda *_: Counter(),
    "ordered": lambda *_: OrderedDict(),
    "default": _empty_default,
    "deque": _empty_deque,
    "object": _empty_object,
}


def _fill_list(reader: Reader, value: Any, data: Any, depth: int) -> None:
    value[:] = reader.items(data, depth)


def _fill_dict(reader: Reader, value: Any, data: Any, depth: int) -> None:
    pairs = reader.pairs(data, depth)
    value.clear()
    dict.update(value, pairs)


def _fill_ordered(reader: Reader, value: Any, data: Any, depth: int) -> None:
    pairs = reader.pairs(data, depth)
    value.clear()
    for key, each in pairs:
        value[key] = each


def _fill_default(reader: Reader, value: Any, data: Any, depth: int) -> None:
    _, pairs = data
    _fill_dict(reader, value, pairs, depth)


def _fill_set(reader: Reader, value: Any, data: Any, depth: int) -> None:
    members = reader.items(data, depth)
    value.clear()
    value.update(members)


def _fill_bytearray(_: Reader, value: Any, data: Any, __: int) -> None:
    value[:] = data.encode("latin-1")


def _fill_object(reader: Reader, value: Any, data: Any, depth: int) -> None:
    _, attributes = data
    read = reader.pairs(attributes, depth)
    for name, _ in read:
        if callable(getattr(type(value), name, None)):
            raise Unsupported(type(value).__name__, f"its attribute {name!r} hides a method")
    vars(value).clear()
    vars(value).update(read)


def _fill_deque(reader: Reader, value: Any, data: Any, depth: int) -> None:
    _, items = data
    members = reader.items(items, depth)
    value.clear()
    value.extend(members)


FILL: dict[type, Callable[[Reader, Any, Any, int], None]] = {
    list: _fill_list,
    dict: _fill_dict,
    set: _fill_set,
    bytearray: _fill_bytearray,
    Counter: _fill_dict,
    OrderedDict: _fill_ordered,
    defaultdict: _fill_default,
    deque: _fill_deque,
}
