"""The program in what a model replied, and how it is put together with the code its task brings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})(.*)$")
NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.[A-Za-z]\w{0,7}")
HEADING = re.compile(rf"^[#*>` \t-]*(?:file(?:name)?:[*` \t]*)?({NAME.pattern})[*`: \t]*$", re.IGNORECASE)
LONGEST_HEADING = 200
LIKE_PYTHON = re.compile(
    r"^[ \t]*(?:(?:async )?def \w+\(|class \w+[:(]|import \w|from [\w.]+ import|return |print\()",
    re.MULTILINE,
)
LABELS = ("python", "py", "python3", "")
MAIN = ("main.py", "solution.py", "program.py")
INDENT = "    "
LONGEST_PARSED = 200_000
"""Characters; a longer program is handed to the sandbox unread, which has limits of its own."""


class Program(NamedTuple):
    """What an agent wrote: the text that is run, and the named files beside it."""

    text: str
    files: Mapping[str, str] = {}


class Block(NamedTuple):
    """A fenced block: its label, the file it names, its text."""

    label: str
    name: str
    text: str


class Assembled(NamedTuple):
    """A program as it is run. The agent's own first line is line ``before`` + 1 of it."""

    text: str
    before: int = 0


def program_in(reply: str, *, entry_point: str = "", prompt_code: str = "") -> Program | None:
    """The program of a reply: its last fenced block of Python, or else the reply itself; None without one.

    Of several blocks the last that defines ``entry_point`` counts, so that an example of use below
    the program does not take its place. A block is a file when its fence, or the line above it,
    names one (``python helper.py``); files lie beside the program when it runs. Of named files alone
    the program is the one that defines ``entry_point``, or is called main.py or solution.py, or
    comes last. What stands between <think> and </think> is passed over.
    """
    spoken = _spoken(reply)
    blocks = list(fenced(spoken))
    files = {block.name: block.text for block in blocks if block.name}
    unnamed = [block for block in blocks if not block.name]
    texts = [block.text for block in unnamed if block.label in LABELS]
    texts = texts or [block.text for block in unnamed if _is_code(block.text, prompt_code)]
    if not texts:
        named = [name for name in files if name.endswith(".py")]
        texts = [files[name] for name in sorted(named, key=lambda name: PurePosixPath(name).name in MAIN)]
    if texts:
        defining = [text for text in texts if mentions(text, entry_point)]
        return Program((defining or texts)[-1], files)
    if blocks or not _is_code(spoken, prompt_code):
        return None
    return Program(spoken.strip("\n"))


def _spoken(reply: str) -> str:
    """The reply without what stands between <think> and </think>."""
    parts: list[str] = []
    lower, end = reply.lower(), 0
    while (begin := lower.find("<think>", end)) >= 0 and (close := lower.find("</think>", begin)) >= 0:
        parts.append(reply[end:begin])
        end = close + len("</think>")
    return "".join([*parts, reply[end:]])


def fenced(text: str) -> Iterator[Block]:
    """The fenced blocks of a text, in order. The last may be left open."""
    lines = lines_of(text)
    above, at = "", 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        at += 1
        if opening is None:
            above = lines[at - 1] if lines[at - 1].strip() else above
            continue
        indent, mark, info = opening.groups()
        begin = at
        while at < len(lines) and not _closes(lines[at], mark):
            at += 1
        yield _block(info, above, "\n".join(line.removeprefix(indent) for line in lines[begin:at]))
        above, at = "", at + 1


def lines_of(text: str) -> list[str]:
    """The lines of a text as Python counts them: a form feed, for one, ends none."""
    return text.removesuffix("\n").split("\n") if text else []


def _closes(line: str, mark: str) -> bool:
    stripped = line.strip()
    return stripped.startswith(mark) and not stripped.strip(mark[0])


def _block(info: str, above: str, text: str) -> Block:
    found = NAME.search(info[:LONGEST_HEADING])
    name = found.group() if found else heading(above)
    name = name if is_safe(name) else ""
    first = re.split(r"[\s:{]", info.strip(), maxsplit=1)[0].lower()
    label = "" if NAME.fullmatch(first) else first
    return Block(label, name, text + "\n" if name and text else text)


def heading(line: str) -> str:
    """The file that a line names, such as ``**helper.py**`` or ``File: helper.py``; empty where none."""
    found = HEADING.match(line) if len(line) <= LONGEST_HEADING else None
    return found.group(1) if found else ""


def is_safe(name: str) -> bool:
    """Whether a file's name stays inside the folder it is written to."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def mentions(text: str, name: str) -> bool:
    """Whether a text defines ``name`` (this very name, not one that begins like it), as far as it reads."""
    escaped = re.escape(name)
    defines = rf"^(?:(?:async\s+)?def|class)\s+{escaped}\b|^{escaped}\s*[=:]"
    return bool(name) and re.search(defines, text, re.MULTILINE) is not None


def _is_code(text: str, prompt_code: str) -> bool:
    """Whether a text without a fence is meant as code: "Sorry." and "Yes" are not, though one parses."""
    if LIKE_PYTHON.search(text):
        return True
    tree = parsed(text) or (parsed(_ended(prompt_code) + text) if prompt_code and text.strip() else None)
    return tree is not None and not all(_says_nothing(statement) for statement in tree.body)


def _says_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and not isinstance(statement.value, (ast.Call, ast.Await))


def assembled(text: str, *, entry_point: str = "", prompt_code: str = "") -> Assembled:
    """Put ``text`` together with the code of its prompt.

    A text that is a module is a whole program: imports and helper functions of ``prompt_code`` come
    before it, without the function that is to be written. Any other text is read as the body of
    that function, as it stands or with the indentation it lacks, and ``prompt_code`` comes before it
    whatever names the body defines. What reads as neither is left for Python to say what is wrong.
    """
    if not prompt_code:
        return Assembled(text)
    tree = parsed(text)
    if tree is not None and (_defines(tree, entry_point) or _has_functions(tree)):
        return _joined(_without(prompt_code, entry_point), text)
    blank = "\n" * text[: len(text) - len(text.lstrip())].count("\n")
    for body in (text, blank + INDENT + text.lstrip(), _indented(text)):
        if text.strip() and is_module(_ended(prompt_code) + body):
            return _joined(prompt_code, body)
    if tree is not None or mentions(text, entry_point):
        return _joined(_without(prompt_code, entry_point), text)
    return _joined(prompt_code, text)


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a module; None when it is none, or too long or too deep to be read here."""
    if len(text) > LONGEST_PARSED:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if _returns(tree.body) else tree


def is_module(text: str) -> bool:
    """Whether a text is a whole module: it parses, and returns only inside of functions."""
    return parsed(text) is not None


def _returns(body: Sequence[ast.stmt]) -> bool:
    """Whether a ``return`` stands outside of every function."""
    for statement in body:
        if isinstance(statement, ast.Return):
            return True
        for name in ("body", "orelse", "finalbody"):
            inner = () if isinstance(statement, FUNCTIONS) else getattr(statement, name, ())
            if inner and _returns(inner):
                return True
    return False


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _defines(tree: ast.Module, name: str) -> bool:
    return name in defined(tree)


def _has_functions(tree: ast.Module) -> bool:
    return any(isinstance(statement, FUNCTIONS) for statement in tree.body)


def defined(tree: ast.Module) -> set[str]:
    """The names that a module defines at its top: functions, classes, variables, imports."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, FUNCTIONS):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        else:
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return names


def _without(prompt_code: str, entry_point: str) -> str:
    """The prompt's code without the function that is to be written."""
    tree = parsed(prompt_code) or parsed(_ended(prompt_code) + INDENT + "pass\n")
    if tree is None:
        return ""
    lines = prompt_code.split("\n")
    for statement in tree.body:
        if isinstance(statement, FUNCTIONS) and statement.name == entry_point:
            first = min([statement.lineno, *(each.lineno for each in statement.decorator_list)])
            lines[first - 1 : statement.end_lineno] = [""] * ((statement.end_lineno or 0) - first + 1)
    return "\n".join(lines).strip("\n")


def _joined(before: str, text: str) -> Assembled:
    before = _ended(before) if before.strip() else ""
    return Assembled(before + text, before.count("\n"))


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _indented(text: str) -> str:
    return "\n".join(INDENT + line if line.strip() else line for line in text.split("\n"))
