"""The program seen from the tests' process: asked for one thing at a time, and believed in nothing.

Each request has a number, and its answer must bear it. An answer holds a value, or an exception, and
the new contents of those arguments that the call changed; while it is awaited the program may have
functions of the tests called that it was given.
"""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from operator import attrgetter
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from agentloop.environments.code.inside.channel import SIZE, Channel, Closed, Malformed, decode, encode
from agentloop.environments.code.inside.raising import Raised, cleaned, place_of, told
from agentloop.environments.code.inside.reading import MISTAKES, Reader
from agentloop.environments.code.inside.seen import Barred, Seen, Stop
from agentloop.environments.code.inside.standins import (
    ABILITIES,
    KINDS,
    NOTHING,
    Handle,
    Remote,
    Stream,
    label_of,
)
from agentloop.environments.code.inside.values import Border, Unsupported, is_shareable
from agentloop.environments.code.inside.writing import Writer

NAMES = 500
NAME_LENGTH = 100
ORIGINS = sys.stdlib_module_names | {"builtins"}
ITEMS = 1_000_000
"""How many items of an iterator are taken to hand it to the program."""
FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial)


class Refused(Exception):
    """The program did not load, so that there is nothing to ask; ``told`` says why."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__("the program did not load")
        self.told = told


def unnoticed(_: dict[str, Any]) -> None:
    """What becomes of a place in the program where nobody asks for it."""


class Program(Border):
    """The other process."""

    def __init__(self, channel: Channel, seen: Seen) -> None:
        super().__init__()
        self.channel = channel
        self.seen = seen
        self.raised = Raised()
        self.notice: Callable[[dict[str, Any]], None] = unnoticed
        """Told where the program is when its time is nearly up."""
        self.ended: dict[str, Any] | None = None
        """Why nothing more comes of the program."""
        self.names: dict[str, str] = {}
        self.waiting = False
        self._asked = 0
        self._known: dict[int, Any] = {}
        self._given: list[Any] = []
        self._lock = RLock()

    def start(self) -> None:
        """Wait until the program is loaded; Refused when it is not."""
        message = self.message()
        try:
            word, data = message
            if word == "not_loaded":
                (kind, why), *_ = data.items()
                if kind == "exit":
                    raise Refused({"exit": {"code": why["code"] if type(why["code"]) is int else None}})
                raise Refused({"load_error": cleaned(why)})
            if word != "ready":
                raise Malformed("no word of the program")
            self.names = {
                name[:NAME_LENGTH]: str(kind)[:NAME_LENGTH] for name, kind in islice(data.items(), NAMES)
            }
        except (Malformed, *MISTAKES) as mistake:
            raise self.stop("forged_channel", message=f"{type(mistake).__name__}: {mistake}") from None

    def named(self, name: str) -> Any:
        """What the program calls so: a function or class to call, or a value."""
        kind = self.names.get(name)
        if kind is None:
            raise AttributeError(name)
        if kind in ("function", "class"):
            return Remote(self, name, name)
        return self.ask(["name"], encode([name]))

    def share_with(self, names: Mapping[str, Any]) -> None:
        """Let objects of those classes cross that both ``names`` and the program define."""
        ours = {
            name: kind
            for name, kind in names.items()
            if self.names.get(name) == "class" and is_shareable(kind) and kind.__module__ == names["__name__"]
        }
        if ours:
            theirs = self.ask(["share"], encode([list(ours)]))
            self.share({name: ours[name] for name in theirs if name in ours})

    def message(self) -> list[Any]:
        """The next message; notes of where the program is are kept and passed over."""
        while True:
            try:
                message = self.channel.receive()
                if type(message) is not list or not message:
                    raise Malformed("no message")
            except Malformed as error:
                raise self.stop("forged_channel", message=str(error)) from None
            except Closed:
                raise self.stop("gone") from None
            if message[0] != "at":
                return message
            self.notice(place_of(message[-1]))

    def stop(self, kind: str, **data: Any) -> Stop:
        """End the tests for good: the exception to raise."""
        self.ended = self.seen.trouble = {"kind": kind, **data}
        return Stop(kind)

    def bar(self, kind: str, **data: Any) -> Barred:
        """End the unit that runs: the exception to raise."""
        if self.seen.trouble is None:
            self.seen.trouble = {"kind": kind, **data}
        return Barred(kind)

    def call(self, target: Any, label: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function of the program."""
        writer = Writer(self)
        try:
            given = writer.items(args)
            for name, each in named.items():
                named[name] = writer.write(each)
            asked = encode([given, named])
        except Unsupported as error:
            raise self.bar(
                "unsupported_value", type=error.kind, where="argument", call=f"{label}(...)"
            ) from None
        self.seen.note(label, asked, self._arguments)
        result = self.ask(["call", target], asked, writer)
        self.seen.result = result
        return result

    def ask(self, what: list[Any], rest: str, writer: Writer | None = None) -> Any:
        """Send a request and wait for what comes of it; ``rest`` is the JSON array that ends it."""
        with self._lock:  # tests may call from several threads
            if self.ended is not None:
                raise Stop
            self._asked += 1
            number = self._asked
            head = encode([what[0], number, *what[1:]])
            text = f"{head[:-1]},{rest[1:]}" if rest != NOTHING else head
            if len(text) > SIZE:
                raise self.bar("unsupported_value", type="a value of more than 8 MiB", where="argument")
            try:
                self.channel.send(text)
            except Closed:
                raise self.stop("gone") from None
            return self._outcome(self._answer(), number, writer or Writer(self))

    def _answer(self) -> list[Any]:
        """The answer to a request; until it comes, functions of the tests are called."""
        self.waiting = True
        message = self.message()
        while message[0] == "back":
            self._call_back(message)
            message = self.message()
        self.waiting = False
        return message

    def _outcome(self, message: list[Any], number: int, writer: Writer) -> Any:
        try:
            word, answered, data, changed, *more = message
            if answered != number:
                raise Malformed("an answer to something else")
            reader = Reader(self, writer.objects)
            for place, contents in changed:
                reader.fill(writer.objects[place], contents)
            for each in more:
                self._noted(each)
            if word == "value":
                return reader.read(data)
            error = self.raised.made(data) if word == "raise" else None
        except (Malformed, *MISTAKES) as mistake:
            raise self.stop("forged_channel", message=f"{type(mistake).__name__}: {mistake}") from None
        except Unsupported as refused:
            raise self._not_crossed(refused.kind) from None
        if error is not None:
            raise error
        if word == "exit":
            raise self.bar("exit", code=data if type(data) is int else None, **self.seen.last())
        if word == "unsupported":
            raise self._not_crossed(str(data)[:NAME_LENGTH])
        raise self.stop("forged_channel", message="an unknown word")

    def _noted(self, more: dict[str, Any]) -> None:
        """Take what an answer says besides its value: what the call printed, and which class was lost."""
        if "said" in more:
            sys.stdout.write(more["said"])
        if "flattened" in more:
            self.seen.flattened = str(more["flattened"])[:NAME_LENGTH]

    def _not_crossed(self, kind: str) -> Barred:
        return self.bar("unsupported_value", type=kind, where="result", **self.seen.last())

    def _call_back(self, message: list[Any]) -> None:
        """Call a function of the tests for the program."""
        try:
            _, number, place, args, named = message
            function = self._given[place]
            reader = Reader(self)
            values, names = reader.items(args), {name: reader.read(each) for name, each in named.items()}
        except (Malformed, *MISTAKES) as mistake:
            raise self.stop("forged_channel", message=f"{type(mistake).__name__}: {mistake}") from None
        except Unsupported as refused:
            raise self._not_crossed(refused.kind) from None
        try:
            answer = encode(["answer", number, Writer(self).write(function(*values, **names))])
        except (Exception, Barred) as error:
            answer = encode(["failed", number, told(error, {})])
        try:
            self.channel.send(answer)
        except Closed:
            raise self.stop("gone") from None

    def _arguments(self, asked: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call as they were sent."""
        args, named = decode(asked)
        reader = Reader(Sent(self))
        return tuple(reader.items(args)), {name: reader.read(each) for name, each in named.items()}

    def write(self, value: Any) -> Any:
        """What the program gets of something that is no plain value."""
        kind = type(value)
        if issubclass(kind, (Handle, Remote, Stream)):
            return {"own": object.__getattribute__(value, "_target")}
        origin = origin_of(value)
        if origin is not None:
            return {"standard": origin}
        if kind in FUNCTIONS:
            self._given.append(value)
            return {"callback": [len(self._given) - 1, getattr(value, "__name__", "function")]}
        if hasattr(kind, "__next__"):
            items = list(islice(value, ITEMS + 1))
            if len(items) <= ITEMS:
                return {"iterator": Writer(self).items(items, 1)}
        raise Unsupported(kind.__name__)

    def read(self, tag: str, data: Any) -> Any:
        """What the tests get of something that is no plain value."""
        if tag == "own":
            return self._known[data] if type(data) is int else Remote(self, data, str(data))
        if tag == "callback":
            return self._given[data[0] if type(data) is list else data]
        if tag == "iterator":
            return iter(Reader(self).items(data, 1))
        if tag == "raised":
            return self.raised.made(data)
        if tag == "class":
            return self.raised.class_of(data)
        if tag == "method":
            number, name = data
            handle = self._known[number]
            return Remote(self, [number, str(name)], f"{label_of(handle)}.{name}")
        if tag not in KINDS:
            raise Malformed(f"an unknown tag {tag[:40]!r}")
        number, name, *abilities = data
        if type(number) is not int or type(name) is not str:
            raise Malformed("no handle")
        if number not in self._known:
            known = [ABILITIES.intersection(each) for each in abilities]
            self._known[number] = KINDS[tag](self, number, name[:NAME_LENGTH], *known)
        return self._known[number]


class Sent(Border):
    """Reads what was sent to the program: it names functions of the standard library, which are ours."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program
        self.shared = program.shared

    def read(self, tag: str, data: Any) -> Any:
        """What stood there."""
        if tag != "standard":
            return self._program.read(tag, data)
        module, name = data
        return attrgetter(name)(sys.modules[module])


def origin_of(value: Any) -> list[str] | None:
    """The standard module and the name of a function or class; the program takes its own of that name."""
    owner = getattr(value, "__objclass__", value)  # that of a method such as str.upper
    module, name = getattr(owner, "__module__", None), getattr(value, "__qualname__", None)
    if type(module) is not str or type(name) is not str or module not in ORIGINS:
        return None
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return [module, name] if found is value else None
