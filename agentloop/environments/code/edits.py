"""Edits to the last program: SEARCH/REPLACE blocks, found in a reply and carried out."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

from agentloop.environments.code.program import Program, heading, lines_of

BEGIN = re.compile(r"^[ \t]*<{5,9}[ \t]*SEARCH\b.*$", re.IGNORECASE)
MIDDLE = re.compile(r"^[ \t]*={5,9}\s*$")
END = re.compile(r"^[ \t]*>{5,9}[ \t]*REPLACE\b.*$", re.IGNORECASE)
ABOVE = 2
"""How many lines above a block are searched for the name of a file; a fence may lie between."""
MOST_COMPARED = 20_000_000
"""Comparisons of characters that looking for the nearest lines may take at the worst."""


class Edit(NamedTuple):
    """Lines to search for, and the lines that take their place; ``name`` is a file's, or empty."""

    search: str
    replace: str
    name: str = ""
    closed: bool = True


class Unmatched(NamedTuple):
    """An edit that could not be carried out: which, why, and the lines most like those it searched for.

    ``why`` is "not found", "several places", "no such file" or "not closed"; ``near`` begins at line
    ``line`` of the program.
    """

    number: int
    why: str
    edit: Edit
    near: str = ""
    line: int = 0


def edits_in(reply: str) -> list[Edit]:
    """The SEARCH/REPLACE blocks of a reply, in order."""
    lines = lines_of(reply)
    found: list[Edit] = []
    at = 0
    while at < len(lines):
        if not BEGIN.match(lines[at]):
            at += 1
            continue
        name = _name(lines[max(0, at - ABOVE) : at])
        search, at = _until(lines, at + 1, MIDDLE)
        replace, at = _until(lines, at, END)
        found.append(Edit("\n".join(search), "\n".join(replace), name, closed=at <= len(lines)))
    return found


def _until(lines: list[str], at: int, mark: re.Pattern[str]) -> tuple[list[str], int]:
    taken: list[str] = []
    while at < len(lines) and not mark.match(lines[at]):
        taken.append(lines[at])
        at += 1
    return taken, at + 1


def _name(above: list[str]) -> str:
    for line in reversed(above):
        if name := heading(line):
            return name
    return ""


def edited(program: Program, edits: list[Edit]) -> Program | Unmatched:
    """The program with every edit carried out in turn, or the first that cannot be; then none counts.

    The searched lines must stand in the text once; trailing blanks do not count, and neither does
    an indentation that all of the searched lines lack. An empty search adds to the end, or writes a new file.
    """
    text, files = program.text, dict(program.files)
    for number, edit in enumerate(edits, start=1):
        if not edit.closed:  # a reply that was cut off must not delete what it had no room to write
            return Unmatched(number, "not closed", edit)
        edit = edit._replace(name=_known(edit.name, files))
        target = files.get(edit.name) if edit.name else text
        if target is None and edit.search.strip():
            return Unmatched(number, "no such file", edit)
        changed = _replaced(target or "", edit, number)
        if isinstance(changed, Unmatched):
            return changed
        if not edit.name:
            text = changed
            continue
        # The program itself may be one of the named files.
        text = changed if files.get(edit.name) == text else text
        files[edit.name] = changed
    return Program(text, files)


def _known(name: str, files: dict[str, str]) -> str:
    """The file that is meant; a program that has no name of its own goes by any."""
    only = name.endswith(".py") and not any(each.endswith(".py") for each in files)
    return "" if only else name


def _replaced(text: str, edit: Edit, number: int) -> str | Unmatched:
    lines, search, replace = lines_of(text), lines_of(edit.search), lines_of(edit.replace)
    if not edit.search.strip():
        return "\n".join([*lines, *replace]) + "\n"
    places = _places(lines, search)
    if not places:
        shift = _shift(lines, search)
        if shift:
            search, replace = _shifted(search, shift), _shifted(replace, shift)
            places = _places(lines, search)
    if len(places) != 1:
        near, line = _nearest(lines, lines_of(edit.search))
        return Unmatched(number, "several places" if places else "not found", edit, near, line)
    (place,) = places
    return "\n".join([*lines[:place], *replace, *lines[place + len(search) :]]) + "\n"


def _places(lines: list[str], search: list[str]) -> list[int]:
    bare, wanted = [line.rstrip() for line in lines], [line.rstrip() for line in search]
    size = len(wanted)
    return [at for at in range(len(bare) - size + 1) if bare[at : at + size] == wanted]


def _shift(lines: list[str], search: list[str]) -> str:
    """The indentation that the searched lines lack, when with it they stand in the text."""
    first = search[0].strip()
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        if first and line.strip() == first and _places(lines, _shifted(search, indent)):
            return indent
    return ""


def _shifted(lines: list[str], indent: str) -> list[str]:
    return [indent + line if line.strip() else line for line in lines]


def _nearest(lines: list[str], search: list[str]) -> tuple[str, int]:
    """The lines of the text most like the searched ones, and the number of their first."""
    size = min(len(search), len(lines))
    wanted = "\n".join(search)
    if not size or sum(map(len, lines)) * size * len(wanted) > MOST_COMPARED:
        return "", 0
    windows = ["\n".join(lines[at : at + size]) for at in range(len(lines) - size + 1)]
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    best, place = 0.0, 0
    for at, window in enumerate(windows):
        matcher.set_seq1(window)
        if matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
            best, place = ratio, at
    return windows[place], place + 1
