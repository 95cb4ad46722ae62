"""The program as a module of its own: compiled, run once, and found by its name afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from agentloop.environments.code.inside.raising import Source, Sources, described
from agentloop.environments.code.inside.shown import cut

FILE = "program.py"
NAME = "program"
FUNCTIONS = (FunctionType, BuiltinFunctionType)
STANDARD_PREFIX = "standard:"
"""What ``__name__`` is in the program where it does not run as a script."""


class NotLoaded(Exception):
    """The program could not be loaded; ``told`` says why: its load_error or its exit."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__("the program could not be loaded")
        self.told = told


class Text:
    """What Python asks for the text of a program that lies in no file."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, _: str) -> str:
        """The program's text, for tracebacks and ``inspect``."""
        return self._text


def write_files(files: Mapping[str, str]) -> None:
    """Put a job's files into the current folder, and let the program import from there."""
    for name, text in files.items():
        folder = os.path.dirname(name)  # noqa: PTH120 - pathlib is one import more
        if folder:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with open(name, "w", encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123
            file.write(text)
    here = os.getcwd()  # noqa: PTH109
    sys.path.insert(0, here)


def sources_of(program: str, files: Mapping[str, str]) -> Sources:
    """The program's files by the names that they have in frames."""
    found = {FILE: Source(FILE, program.split("\n"))}
    if files:
        here = os.getcwd()  # noqa: PTH109
        found |= {f"{here}/{name}": Source(name, text.split("\n")) for name, text in files.items()}
    return found


def prepared(program: str, *, name: str = NAME) -> tuple[ModuleType, CodeType]:
    """The program compiled, and the module that it is to run as; NotLoaded when it is no Python."""
    try:
        code = compile(program, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise NotLoaded({"load_error": load_error(error, {})}) from None
    module = ModuleType(name)
    module.__file__ = FILE
    module.__loader__ = Text(program)  # type: ignore[assignment]
    sys.modules[name] = module
    return module, code


def load(program: str, sources: Sources) -> ModuleType:
    """Run the program as a module; NotLoaded when it breaks."""
    module, code = prepared(program)
    try:
        exec(code, module.__dict__)
    except SystemExit as error:
        raise NotLoaded({"exit": exit_of(error)}) from None
    except BaseException as error:  # all of it is the program's
        raise NotLoaded({"load_error": load_error(error, sources)}) from None
    return module


def exit_of(error: SystemExit) -> dict[str, Any]:
    """The status with which a program ended itself, as the system would see it."""
    code = error.code
    return {"code": 0 if code is None else int(code) if isinstance(code, int) else 1}


def load_error(error: BaseException, sources: Sources) -> dict[str, Any]:
    """Why the program could not be loaded, with the line where that is known."""
    data = described(error, sources)
    if isinstance(error, SyntaxError) and error.filename == FILE:
        data["message"] = error.msg
        data |= {"line": error.lineno, "text": cut((error.text or "").rstrip())}
    elif data["frames"]:
        own = [frame for frame in data["frames"] if frame["file"] == FILE]
        last = own[-1] if own else data["frames"][-1]
        data |= {"line": last["line"], "text": last["source"]}
    return data


def kinds(module: ModuleType, entry: str) -> dict[str, str]:
    """What the program defines by name: function, class, exception or value; no modules."""
    names = [entry, *module.__dict__] if entry in module.__dict__ else list(module.__dict__)
    return {
        name: kind_of(module.__dict__[name])
        for name in names
        if not name.startswith("__") and not isinstance(module.__dict__[name], ModuleType)
    }


def kind_of(value: Any) -> str:
    """How the tests may use something that the program defines, or from which module it has it."""
    is_class = issubclass(type(value), type)
    if is_class or type(value) in FUNCTIONS:
        origin = value.__module__
        if type(origin) is str and origin != NAME and origin in sys.stdlib_module_names:
            return f"{STANDARD_PREFIX}{origin}"
    if is_class:
        return "exception" if BaseException in type.__dict__["__mro__"].__get__(value) else "class"
    return "function" if callable(value) else "value"
