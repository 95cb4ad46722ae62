"""Exceptions as data, told by the program's process and made anew in the checker's.

A built-in exception is raised as itself, one of the program's own classes as a fresh class with the
same name and the same built-in base. Exceptions that steer the interpreter rather than tell of a
mistake (StopIteration and its like) come as a RuntimeError of that name: raised inside ``map`` or
``all`` of a test they would end it early, and the test would pass without an answer.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from agentloop.environments.code.inside.channel import Malformed, encode
from agentloop.environments.code.inside.reading import MISTAKES, Reader
from agentloop.environments.code.inside.shown import cut
from agentloop.environments.code.inside.values import Border, Unsupported
from agentloop.environments.code.inside.writing import Writer

FRAMES = 12
BASES = 8
MESSAGE = 2000
NAME = 200
ARGUMENTS = 100_000
STEERING = ("StopIteration", "StopAsyncIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit")
BUILT_IN: dict[str, type[BaseException]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and name not in (*STEERING, "BaseExceptionGroup", "ExceptionGroup")
}
_STANDARD = (
    "json.decoder.JSONDecodeError re.error struct.error statistics.StatisticsError zlib.error queue.Empty "
    "queue.Full binascii.Error decimal.DecimalException decimal.InvalidOperation decimal.DivisionByZero "
    "decimal.Overflow decimal.ConversionSyntax decimal.DivisionUndefined csv.Error"
)
STANDARD = frozenset(_STANDARD.split())
"""Exceptions of the standard library that are raised as themselves."""
MARK = "@program"
"""The attribute that marks an exception as the program's; it holds its data."""


class Source(NamedTuple):
    """One file of the program: how it is called where it is shown, and its lines."""

    name: str
    lines: list[str]

    def place(self, line: int, function: str) -> dict[str, Any]:
        """A line of it, as it is told."""
        text = self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""
        return {"file": self.name, "line": line, "function": function, "source": cut(text)}


Sources: TypeAlias = Mapping[str, Source]
"""The program's files, by the names that they have in frames."""


def frames(trace: TracebackType | None, sources: Sources) -> list[dict[str, Any]]:
    """The frames of a traceback that lie in the program's files, innermost last."""
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        source = sources.get(code.co_filename)
        if source is not None:
            found.append(source.place(trace.tb_lineno or 0, code.co_name))
        trace = trace.tb_next
    return found[-FRAMES:]


def described(error: BaseException, sources: Sources) -> dict[str, Any]:
    """What a reader wants to know of an exception."""
    return {
        "type": type(error).__name__,
        "message": cut(message(error), MESSAGE),
        "frames": frames(error.__traceback__, sources),
    }


def cleaned(data: Any) -> dict[str, Any]:
    """What ``described`` would have made, of data that may be anything."""
    kept: dict[str, Any] = {
        "type": cut(str(data["type"]), NAME),
        "message": cut(str(data["message"]), MESSAGE),
        "frames": [place_of(each) for each in data["frames"][-FRAMES:]],
    }
    if type(data.get("line")) is int:
        kept["line"] = data["line"]
    if type(data.get("text")) is str:
        kept["text"] = cut(data["text"])
    return kept


def place_of(data: Any) -> dict[str, Any]:
    """A place in the program, of data that may be anything."""
    if type(data) is not dict:
        return {}
    kept: dict[str, Any] = {
        name: cut(data[name]) for name in ("file", "function", "source") if type(data.get(name)) is str
    }
    return kept | ({"line": data["line"]} if type(data.get("line")) is int else {})


def message(error: BaseException) -> str:
    """The words of an exception, whatever its class does when asked for them."""
    try:
        return str(error)
    except BaseException as other:  # a foreign __str__ may do anything
        return f"<its message raised {type(other).__name__}>"


def told(error: BaseException, sources: Sources) -> dict[str, Any]:
    """An exception as data, from which ``made`` makes it anew."""
    attributes = {name: each for name, each in vars(error).items() if not name.startswith(("_", "@"))}
    return {
        **described(error, sources),
        "class": class_data(type(error)),
        "args": _plain(list(error.args)),
        "attributes": _plain(attributes) or {},
    }


def class_data(kind: type) -> Any:
    """A class of exceptions as data: its name, or for one that is not known by name [name, bases]."""
    if BUILT_IN.get(kind.__name__) is kind:
        return kind.__name__
    if f"{kind.__module__}.{kind.__qualname__}" in STANDARD:
        return f"{kind.__module__}.{kind.__qualname__}"
    bases = [class_data(base) for base in kind.__bases__[:BASES] if issubclass(base, BaseException)]
    return [kind.__name__, bases]


def _plain(value: Any) -> Any:
    """The data of a value, None where it is too large or does not cross."""
    try:
        data = Writer(Border()).write(value)
        return data if len(encode(data)) <= ARGUMENTS else None
    except (Unsupported, ValueError):
        return None


def _instance(kind: type[BaseException], args: list[Any]) -> BaseException:
    try:
        return kind(*args)
    except TypeError:  # such as UnicodeError, when the program gave it other arguments
        return kind.__new__(kind, *args)


class Raised:
    """Makes exceptions of data; a class of the program's is made once and kept by its name."""

    def __init__(self) -> None:
        self._classes: dict[str, type[BaseException]] = {}

    def made(self, data: Any) -> BaseException:
        """The exception that some data tells of, marked with it."""
        try:
            kind = self.class_of(data["class"])
            args = Reader(Border()).items([] if data["args"] is None else data["args"])
            said = str(data["message"])
            error = _instance(kind, args if data["args"] is not None else [said])
            told_of = cleaned(data)
            attributes = Reader(Border()).read(data["attributes"])
            for name, value in dict(attributes).items():
                if not name.startswith("_"):
                    setattr(error, name, value)
        except MISTAKES as mistake:
            raise Malformed(f"no exception: {mistake}") from mistake
        vars(error)[MARK] = told_of
        return error

    def class_of(self, data: Any, depth: int = 0) -> type[BaseException]:
        """The class of exceptions that some data names."""
        if type(data) is str:
            module, _, name = data.rpartition(".")
            if not module:
                return BUILT_IN[name]
            if data not in STANDARD:
                raise Malformed("no such exception")
            __import__(module)
            return getattr(sys.modules[module], name)  # type: ignore[no-any-return]
        name, bases = data
        if type(name) is not str or type(bases) is not list or len(bases) > BASES or depth > BASES:
            raise Malformed("no class of exceptions")
        if name not in self._classes:
            kinds = tuple(self.class_of(base, depth + 1) for base in bases)
            self._classes[name] = self._fresh(name, kinds)
        return self._classes[name]

    def _fresh(self, name: str, bases: tuple[type[BaseException], ...]) -> type[BaseException]:
        if name in STEERING or not bases:
            bases = (RuntimeError,)
        members = {
            "__str__": lambda error: vars(error).get(MARK, {}).get("message", ""),
            "__module__": "program",
        }
        try:
            return type(name, bases, members)
        except TypeError:  # built-in bases that do not go together
            return type(name, bases[:1], members)
