"""What stands in the tests' process for functions, objects and iterators of the program.

Only values cross. An object of the program's own classes is a ``Handle``: its methods and attributes
are reached over the boundary, but it never answers ``==``, ``<``, ``in``, ``bool``, ``len``, ``iter``
or ``hash``, since what the program's class says of those could be a lie made for the asking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentloop.environments.code.inside.channel import encode
from agentloop.environments.code.inside.reading import MISTAKES

if TYPE_CHECKING:
    from agentloop.environments.code.inside.remote import Program

NOTHING = "[]"
_CARRIED_OUT = "getitem setitem delitem call enter exit str int float index round neg pos abs invert"
_BETWEEN_OBJECTS = (
    "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift "
    "radd rsub rmul rtruediv rfloordiv rmod rpow rmatmul rand ror rxor"
)
_OPTIONAL = "len iter contains next reversed"
_NEVER = "eq ne lt le gt ge bool hash reduce_ex"


def special(names: str) -> frozenset[str]:
    """Names of special methods in full."""
    return frozenset(f"__{name}__" for name in names.split())


FORWARDED = special(_CARRIED_OUT)
"""The operations of an object of the program's that it carries out itself."""
OPERATORS = special(_BETWEEN_OBJECTS)
"""Those that it carries out only with another object of the program's. In ``abs(f(x) - 3) < 0.1`` the
other side is what the test wants: an object that was told it could make up the difference."""
REFUSED = special(_OPTIONAL)
ABILITIES = FORWARDED | OPERATORS | REFUSED
"""What an object of the program's can or cannot do; what it cannot is a TypeError, as it is there."""


def label_of(thing: Any) -> str:
    """What a stand-in is called where it is shown."""
    label: str = object.__getattribute__(thing, "_label")
    return label


class Remote:
    """A function or a class of the program."""

    __slots__ = ("_program", "_target", "_label", "__name__")

    def __init__(self, program: Program, target: Any, label: str) -> None:
        self._program, self._target, self._label = program, target, label
        self.__name__ = label.rpartition(".")[2]

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it there."""
        return self._program.call(self._target, self._label, args, named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._program.ask(["get", self._target], encode([name]))

    def __instancecheck__(self, value: Any) -> bool:
        if not isinstance(value, Handle):
            return False
        found = self._program.ask(
            ["isinstance", self._target], encode([object.__getattribute__(value, "_target")])
        )
        return found is True

    def __repr__(self) -> str:
        return f"<{self._label} of the program>"


class Handle:
    """An object of the program's own; see the module for what it does not answer."""

    __slots__ = ("_program", "_target", "_label")

    def __init__(self, program: Program, target: int, label: str) -> None:
        put = object.__setattr__
        put(self, "_program", program)
        put(self, "_target", target)
        put(self, "_label", label)

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        if name.startswith("__") and name.endswith("__"):
            return own(self, name)
        return own(self, "_program").ask(["get", own(self, "_target")], encode([name]))

    def __setattr__(self, name: str, value: Any) -> None:
        own = object.__getattribute__
        program = own(self, "_program")
        program.call(
            [own(self, "_target"), "__setattr__"], f"{label_of(self)}.__setattr__", (name, value), {}
        )

    def __repr__(self) -> str:
        return f"<{label_of(self)} object of the program>"


def _forward(name: str) -> Callable[..., Any]:
    def forwarded(self: Handle, *args: Any, **named: Any) -> Any:
        own = object.__getattribute__
        target = [own(self, "_target"), name]
        label = label_of(self) if name == "__call__" else f"{label_of(self)}.{name}"
        return own(self, "_program").call(target, label, args, named)

    return forwarded


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: Handle, *_: Any) -> Any:
        program: Program = object.__getattribute__(self, "_program")
        raise program.bar(
            "unsupported_value", type=label_of(self), where="result", asked=name, **program.seen.last()
        )

    return refused


def _between_objects(name: str) -> Callable[..., Any]:
    forward, refuse = _forward(name), _refuse(name)

    def operated(self: Handle, other: Any, *rest: Any) -> Any:
        return (forward if isinstance(other, Handle) else refuse)(self, other, *rest)

    return operated


for _name in special(_NEVER):
    setattr(Handle, _name, _refuse(_name))
_kinds: dict[frozenset[str], type[Handle]] = {}


def handle(program: Program, target: int, label: str, abilities: frozenset[str]) -> Handle:
    """What stands for an object that has these special methods."""
    if "__getitem__" in abilities:
        abilities |= {"__iter__"}  # Python would iterate by asking for one item after the other
    if abilities not in _kinds:
        members: dict[str, Any] = {"__slots__": ()}
        members |= {name: _forward(name) for name in abilities & FORWARDED}
        members |= {name: _between_objects(name) for name in abilities & OPERATORS}
        members |= {name: _refuse(name) for name in abilities & REFUSED}
        _kinds[abilities] = type("Handle", (Handle,), members)
    return _kinds[abilities](program, target, label)


class Stream:
    """An iterator of the program's: asked for its items as they are wanted, later ones in advance."""

    __slots__ = ("_program", "_target", "_label", "_items", "_end")

    def __init__(self, program: Program, target: int, label: str) -> None:
        self._program, self._target, self._label = program, target, label
        self._items: deque[Any] = deque()
        self._end: Any = None

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        if not self._items and self._end is None:
            answer = self._program.ask(["next", self._target], NOTHING)
            try:
                items, end = answer
                self._items.extend(items)
            except MISTAKES as mistake:
                raise self._program.stop("forged_channel", message=f"no items: {mistake}") from None
            if not (end is None or end == "end" or isinstance(end, BaseException)):
                raise self._program.stop("forged_channel", message="items without an end")
            self._end = end
        if self._items:
            return self._items.popleft()
        if self._end == "end":
            raise StopIteration
        error, self._end = self._end, "end"
        raise error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise self._program.bar("unsupported_value", type=f"{self._label}.{name}", where="result")

    def __repr__(self) -> str:
        return f"<{self._label} object of the program>"


KINDS: dict[str, Callable[..., Any]] = {"remote": Remote, "handle": handle, "stream": Stream}
"""What makes a stand-in, by the tag under which it crosses."""
