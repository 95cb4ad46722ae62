"""The process that runs the tests: it alone holds the way by which a verdict leaves.

The program stands in another process, and only values come from it. So nothing that it does to its
own interpreter, its descriptors or its output can make up a verdict: it can only answer, and each
answer is held against the tests here. An answer that comes early, late or twice is no more than a
value for the call that is waiting: the same as a program that returns a prepared list of answers,
whatever it is asked. Answers are numbered all the same, so that two processes which answer on one
connection are found out and are not mistaken for one.
"""

from __future__ import annotations

import ast
import builtins
import gc
import os
import sys
from types import ModuleType
from typing import Any

from agentloop.environments.code.inside.alarm import on_alarm, silence
from agentloop.environments.code.inside.asserting import Prepared, names_of
from agentloop.environments.code.inside.channel import Channel, encode
from agentloop.environments.code.inside.examining import NAME, Broken, Examination, Tell, prepare
from agentloop.environments.code.inside.loading import STANDARD_PREFIX
from agentloop.environments.code.inside.raising import MARK
from agentloop.environments.code.inside.remote import Program, Refused
from agentloop.environments.code.inside.seen import Barred, Seen, Stop
from agentloop.environments.code.inside.standins import NOTHING

FLUSH_SECONDS = 0.05
_MODULES = (
    "abc array ast base64 bisect calendar cmath collections contextlib copy dataclasses datetime decimal "
    "enum fractions functools hashlib heapq inspect io itertools json math numbers operator os queue random "
    "re statistics string struct sys textwrap time types typing unicodedata unittest"
)
MODULES = frozenset(_MODULES.split())
"""Standard modules that tests may name without importing them."""
_STANDARD = {
    "math": "isclose isnan isinf sqrt floor ceil fabs gcd pi inf nan",
    "collections": "Counter OrderedDict defaultdict deque namedtuple",
    "copy": "deepcopy",
    "decimal": "Decimal",
    "fractions": "Fraction",
}
STANDARD = {name: module for module, names in _STANDARD.items() for name in names.split()}
"""Names that tests may use without importing them, and that are never taken from the program."""
OTHERS = {"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"}
DEFINITIONS = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AnnAssign, ast.Try, ast.If),
)
"""Statements of a prompt that are run; one in plain language may parse, but holds none of these."""
OUTPUT = frozenset(("stdout", "redirect_stdout"))
"""Tests that name one of these look at what the program prints."""
DYNAMIC = frozenset(("eval", "exec", "compile", "globals", "locals", "vars"))
"""What names things in a way that shows only when it is run."""
PROGRAM_MODULES = ("program", "solution")
"""The names by which tests may import the program."""


def main(job: dict[str, Any], connection: int, report: int) -> int:
    """Judge the program at the other end of ``connection`` by the job's tests; records go to ``report``."""
    return Checker(connection, report).run(job)


class Checker:
    """The checker's side. A worker makes one before it knows of a job, and its forks have it."""

    def __init__(self, connection: int, report: int) -> None:
        self._program = Program(Channel(connection), Seen())
        self._report = Report(report, self._program)
        self._program.notice = self._report.notice

    def run(self, job: dict[str, Any]) -> int:
        """Judge the program by the job's tests."""
        program, tell = self._program, self._report.tell
        self._report.begin()
        try:
            judge(job, program, tell)
        except (Broken, Refused) as error:
            tell(error.told)
        except Stop:
            pass  # told below
        except BaseException as error:
            tell(unprepared(error, program))
        if program.ended is not None:
            why = dict(program.ended)
            tell({why.pop("kind"): why})
        self._report.end({"done": True, "calls": program.seen.calls})
        return 0


def unprepared(error: BaseException, program: Program) -> dict[str, Any]:
    """Where the program's answers keep the tests from being run at all: the record of a failed unit."""
    fault = program.seen.trouble or {"kind": "exception", **vars(error).get(MARK, {})}
    if "type" not in fault and not isinstance(error, Barred):
        raise error  # a mistake of ours is no failure of the program's
    return {"unit": 0, "test": "", "line": 0, **fault, "passed": False}


def judge(job: dict[str, Any], program: Program, tell: Tell) -> None:
    """Run the tests of a job on a program, and tell what came of it."""
    entry = job["entry_point"]
    prepared, code = prepare(job["tests"], entry)
    gc.enable()  # a worker keeps it off: trees of syntax are no garbage
    program.start()
    if entry and entry not in program.names:
        tell({"missing_entry_point": {"name": entry, "defined": list(program.names)}})
        return
    module = ModuleType(NAME)
    sys.modules[NAME] = module
    namespace = module.__dict__
    used = list(dict.fromkeys(names_of(code)))
    classes = [name for name, kind in program.names.items() if kind == "class"]
    if not DYNAMIC.isdisjoint(used) or may_define(job["prompt"], {*used, *classes} - {entry}):
        define(job["prompt"], entry, namespace)
        program.share_with(namespace)
    if not OUTPUT.isdisjoint(used):
        program.ask(["echo"], NOTHING)
    subject = program.named(entry) if entry else None
    if entry:
        namespace[entry] = subject
    for name in PROGRAM_MODULES:
        if name in job["tests"]:
            sys.modules[name] = offered(name, program)
    helpers = complete(namespace, prepared, used, program)
    if helpers:
        tell({"helpers": helpers})
    Examination(prepared, program.seen, tell).run(code, namespace, subject)


def may_define(prompt: str, names: set[str]) -> bool:
    """Whether a prompt may define one of these names; most do not, which is sooner seen than found out."""
    # What is not ASCII may be written in more than one way.
    return "import *" in prompt or not prompt.isascii() or any(name in prompt for name in names)


def define(prompt: str, entry: str, namespace: dict[str, Any]) -> None:
    """Put into ``namespace`` what the prompt defines besides the entry point."""
    for statement in parsed(prompt):
        if isinstance(statement, DEFINITIONS) and getattr(statement, "name", "") != entry:
            try:
                exec(compile(ast.Module([statement], []), "prompt.py", "exec", dont_inherit=True), namespace)
            except Exception:  # a prompt may show code that is meant to break
                continue


def parsed(prompt: str) -> list[ast.stmt]:
    """The statements of a prompt; a function that it leaves without a body gets one."""
    for text in (prompt, f"{prompt}\n    pass\n"):
        try:
            return ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return []


def offered(name: str, program: Program) -> ModuleType:
    """The program as a module that tests may import."""
    module = ModuleType(name)
    module.__getattr__ = program.named  # type: ignore[method-assign]
    module.__dict__["__all__"] = [each for each in program.names if not each.startswith("_")]
    return module


def complete(namespace: dict[str, Any], prepared: Prepared, used: list[str], program: Program) -> list[str]:
    """Give the tests the names that they use and nobody defines; those of the program are returned."""
    helpers = []
    for name in used:
        if name in namespace or hasattr(builtins, name):
            continue
        found = standard(name, program)
        if found is not None:
            namespace[name] = found
        elif name in program.names and name not in assigned(prepared.tree):
            namespace[name] = program.named(name)
            helpers.append(name)
    return helpers


def standard(name: str, program: Program) -> Any:
    """What a name means in the standard library, or None."""
    module = name if name in MODULES else OTHERS.get(name)
    origin = program.names.get(name, "")
    try:
        if module is not None:
            return __import__(module)
        if name in STANDARD:
            return getattr(__import__(STANDARD[name]), name)
        if name in sys.modules["typing"].__all__:
            return getattr(sys.modules["typing"], name)
        if origin.startswith(STANDARD_PREFIX) and origin[len(STANDARD_PREFIX) :] in MODULES:
            # The program says from which module it has this very name; what stands there is ours.
            return getattr(__import__(origin[len(STANDARD_PREFIX) :]), name)
    except (ImportError, AttributeError):
        pass
    return None


def assigned(tree: ast.Module) -> set[str]:
    """The names that the tests define themselves."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return found


class Report:
    """The way to the host: records are kept for a moment, so that a quick run is written once."""

    def __init__(self, descriptor: int, program: Program) -> None:
        self._descriptor = descriptor
        self._program = program
        self._kept: list[str] = []
        self._writing = False
        self._doing = 0
        self._noticed = False

    def begin(self) -> None:
        """From now on, write every moment what is kept."""
        on_alarm(self._flush, after=FLUSH_SECONDS, every=FLUSH_SECONDS)

    def tell(self, record: dict[str, Any]) -> None:
        """Tell the host one record."""
        text = encode(record)  # first: an alarm in its midst takes the list that stands there now
        self._kept.append(text)

    def notice(self, place: dict[str, Any]) -> None:
        """Tell where the program is, at once: its time is nearly up."""
        if not self._noticed:
            self._noticed = True
            self.tell({"at": place})
            self._write()

    def end(self, record: dict[str, Any]) -> None:
        """Tell the last record."""
        silence()
        self.tell(record)
        self._write()

    def _flush(self, _: int, __: object) -> None:
        if self._writing:
            return
        program = self._program
        if program.waiting and self._doing != program.seen.calls:
            self._doing = program.seen.calls
            self.tell({"doing": program.seen.unit, **program.seen.last()})
        self._write()

    def _write(self) -> None:
        self._writing = True
        try:
            while self._kept:
                kept, self._kept = self._kept, []
                left = memoryview(("\n".join(kept) + "\n").encode("ascii"))
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except OSError:
            self._kept.clear()  # the host is gone: there is nobody to tell
        finally:
            self._writing = False
