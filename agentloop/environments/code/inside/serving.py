"""The program answers what the tests' process asks: calls, attributes, items.

Nothing here is trusted by the other end. A program that reaches into this module, or writes to the
connection itself, changes what it answers and nothing else: to the tests each answer is a value that
they hold against the one they want.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import RLock
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from operator import attrgetter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from agentloop.environments.code.inside.channel import SIZE, Channel, encode
from agentloop.environments.code.inside.loading import exit_of
from agentloop.environments.code.inside.raising import BUILT_IN, Sources, class_data, told
from agentloop.environments.code.inside.reading import Reader
from agentloop.environments.code.inside.standins import ABILITIES
from agentloop.environments.code.inside.values import Border, Unsupported, is_shareable, same, snapshot
from agentloop.environments.code.inside.writing import Writer

FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)
ONE_BY_ONE = 16
"""So many items of an iterator are made only when they are asked for, the later ones in pieces."""
PIECE_SECONDS = 0.001
PIECE_ITEMS = 1024


def flush_output() -> None:
    """Write out what the program has printed; a killed process loses what it still holds."""
    own, errors, current = sys.__stdout__, sys.__stderr__, sys.stdout
    for stream in (own, errors) if current is own else (own, errors, current):
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:  # the program may have put anything there, or closed it
            continue


class Iterated:
    """How far an iterator has been read."""

    __slots__ = ("items", "count")

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items
        self.count = 0


class Server(Border):
    """Answers requests of the tests' process."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.calling = False
        self._channel = channel
        self._module = ModuleType("none yet")
        self._sources: Sources = {}
        self._things: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._iterated: dict[int, Iterated] = {}
        self._given: dict[int, int] = {}
        self._asked = 0
        self._lock = RLock()
        self._process = 0
        self._flattened: str | None = None
        self._said: str | None = None
        """What the last call wrote, where the tests look at that; else None."""

    def is_calling(self) -> bool:
        """Whether the program runs now because it was called."""
        return self.calling

    def serve(self, module: ModuleType, sources: Sources) -> None:
        """Answer for a program until the other end is gone."""
        self._module, self._sources = module, sources
        self._process = os.getpid()
        while True:
            self.answer(self._channel.receive())

    def answer(self, message: list[Any]) -> None:
        """Do what one request asks and send what came of it."""
        word, number, *rest = message
        objects: list[Any] = []
        before: list[list[Any]] = []
        try:
            made = getattr(self, f"_do_{word}")(rest, objects, before)
        except (SystemExit, KeyboardInterrupt) as error:
            code = exit_of(error)["code"] if isinstance(error, SystemExit) else 130
            self._reply("exit", number, objects, before, lambda _: code)
        except BaseException as error:  # all of it is the program's
            data = told(error, self._sources)
            self._reply("raise", number, objects, before, lambda _: data)
        else:
            self._reply("value", number, objects, before, made)

    def _reply(
        self,
        word: str,
        number: int,
        objects: list[Any],
        before: list[list[Any]],
        made: Callable[[Writer], Any],
    ) -> None:
        flush_output()
        if os.getpid() != self._process:
            os._exit(0)  # a copy that the program made of itself has nothing to say here
        self._flattened = None
        try:
            writer = Writer(self, objects)
            changed = []
            for place, each in enumerate(objects):
                if not same(before[place], snapshot(each)):
                    changed.append([place, writer.contents(type(each), each, 1)])
            reply = [word, number, made(writer), changed]
            if self._said is not None or self._flattened is not None:
                told_of = {"said": self._said, "flattened": self._flattened}
                reply.append({name: each for name, each in told_of.items() if each is not None})
            text = encode(reply)
            if len(text) > SIZE:
                raise Unsupported("a value of more than 8 MiB")
        except Unsupported as error:
            text = encode(["unsupported", number, str(error)[:200], []])
        except BaseException as error:  # classes of the program's had a hand in it
            text = encode(["unsupported", number, type(error).__name__, []])
        self._channel.send(text)

    def _do_call(self, rest: list[Any], objects: list[Any], before: list[list[Any]]) -> Any:
        target, args, named = rest
        reader = Reader(self)
        args = reader.items(args)
        for name, each in named.items():
            named[name] = reader.read(each)
        objects += reader.objects
        before += map(snapshot, objects)
        function = self._target(target)
        self.calling = True
        try:
            result = function(*args, **named) if self._said is None else self._heard(function, args, named)
        finally:
            self.calling = False
        if function is type(result):
            self._number(result)
        return partial(Writer.write, value=result)

    def _do_share(self, rest: list[Any], _: list[Any], __: list[list[Any]]) -> Any:
        found = {name: self._module.__dict__.get(name) for name in rest[0]}
        self.share({name: kind for name, kind in found.items() if kind is not None and is_shareable(kind)})
        return lambda writer: list(self.shared)

    def _do_echo(self, _: list[Any], __: list[Any], ___: list[list[Any]]) -> Any:
        self._said = ""
        return lambda writer: None

    def _do_get(self, rest: list[Any], _: list[Any], __: list[list[Any]]) -> Any:
        target, name = rest
        owner = self._target(target)
        found = getattr(owner, name)
        if isinstance(found, MethodType) and found.__self__ is owner and type(target) is int:
            return lambda writer: {"method": [target, name]}
        return lambda writer: writer.write(found)

    def _do_name(self, rest: list[Any], _: list[Any], __: list[list[Any]]) -> Any:
        found = self._module.__dict__[rest[0]]
        if isinstance(found, type) and issubclass(found, BaseException):
            return lambda writer: {"class": class_data(found)}
        return lambda writer: writer.write(found)

    def _do_isinstance(self, rest: list[Any], _: list[Any], __: list[list[Any]]) -> Any:
        kind, number = self._target(rest[0]), rest[1]
        found = kind in type(self._things[number]).__mro__
        return lambda writer: found

    def _do_next(self, rest: list[Any], _: list[Any], __: list[list[Any]]) -> Any:
        iterated = self._iterated[rest[0]]
        items: list[Any] = []
        end: Any = None
        self.calling = True
        stop = time.monotonic() + PIECE_SECONDS
        limit = 1 if iterated.count < ONE_BY_ONE else PIECE_ITEMS
        try:
            while len(items) < limit and (limit == 1 or time.monotonic() < stop):
                items.append(next(iterated.items))
        except StopIteration:
            end = "end"
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # all of it is the program's
            end = {"raised": told(error, self._sources)}
        finally:
            self.calling = False
        iterated.count += len(items)
        return lambda writer: {"tuple": [{"tuple": writer.items(items, 1)}, end]}

    def _heard(self, function: Callable[..., Any], args: list[Any], named: dict[str, Any]) -> Any:
        """Call a function and keep what it writes to the standard output."""
        output, heard = sys.stdout, StringIO()
        sys.stdout = heard
        try:
            return function(*args, **named)
        finally:
            sys.stdout = output
            self._said = heard.getvalue()
            output.write(self._said)

    def _target(self, target: Any) -> Any:
        """What a request is about: a name, a thing handed out before, or the method of one."""
        if type(target) is str:
            return self._module.__dict__[target]
        if type(target) is int:
            return self._things[target]
        number, name = target
        thing = self._things[number]
        if not (name.startswith("__") and name.endswith("__")):
            return getattr(thing, name)
        return _special(thing, name)

    def write(self, value: Any) -> Any:
        """What the tests get of something that is no plain value."""
        kind = type(value)
        if id(value) in self._given:
            return {"callback": self._given[id(value)]}
        number = self._number(value)
        if isinstance(value, type) or kind in FUNCTIONS:
            return {"remote": [number, getattr(value, "__name__", kind.__name__)]}
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
            self._iterated.setdefault(number, Iterated(value))
            return {"stream": [number, kind.__name__]}
        return {"handle": [number, kind.__name__, _abilities(kind)]}

    def _number(self, value: Any) -> int:
        number = self._numbers.setdefault(id(value), len(self._things))
        if number == len(self._things):
            self._things.append(value)
        return number

    def flattens(self, kind: type) -> None:
        """Note that more than what crosses is known of a value; an attribute may be missed."""
        self._flattened = kind.__name__

    def keeps(self, value: Any) -> bool:
        """Whether the tests hold this as an object, since they made it by calling its class."""
        return id(value) in self._numbers

    def read(self, tag: str, data: Any) -> Any:
        """What the program gets of something that is no plain value."""
        if tag == "own":
            return self._target(data)
        if tag == "standard":
            module, name = data
            __import__(module)
            return attrgetter(name)(sys.modules[module])
        if tag == "iterator":
            return iter(Reader(self).items(data, 1))
        place, name = data
        if tag != "callback":
            raise Unsupported(tag)

        def callback(*args: Any, **named: Any) -> Any:
            return self._call_back(place, args, named)

        callback.__name__ = callback.__qualname__ = name
        self._given[id(callback)] = place
        self._things.append(callback)  # lest another object takes its place in memory, and its number
        return callback

    def _call_back(self, place: int, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Have a function of the tests called; meanwhile their process may ask for more."""
        writer = Writer(self)
        data = [writer.items(args), {name: writer.write(each) for name, each in named.items()}]
        with self._lock:  # the program may call from several threads
            self._asked += 1
            self.calling = False
            self._channel.send(encode(["back", self._asked, place, *data]))
            message = self._channel.receive()
            while message[0] not in ("answer", "failed"):
                self.answer(message)
                message = self._channel.receive()
            self.calling = True
        if message[0] == "failed":
            kind = BUILT_IN.get(message[2]["type"], RuntimeError)
            raise kind.__new__(kind, message[2]["message"])
        return Reader(self).read(message[2])


def _special(thing: Any, name: str) -> Callable[..., Any]:
    """A special method as an operator finds it: on the class; one that is not there is not implemented."""
    kind = type(thing)
    for base in kind.__mro__:
        if name in base.__dict__:
            found: Callable[..., Any] = base.__dict__[name].__get__(thing, kind)
            return found
    return lambda *_: NotImplemented


def _abilities(kind: type) -> list[str]:
    """The special methods that objects of a class have; those of its own class are not among them."""
    return [name for name in ABILITIES if any(name in base.__dict__ for base in kind.__mro__)]
