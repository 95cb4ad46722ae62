"""Edits to the last program and its files: all blocks of a reply are carried out, or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from agentloop.edits import Block, Unmatched, Why, apply_block
from agentloop.environments.code.program import Program, heading, is_safe


class Refused(NamedTuple):
    """The first edit that could not be carried out: its number, the file it names, what it searched for, why.

    ``near`` are the lines most like those it searched for; they begin at line ``line`` of the file.
    """

    number: int
    name: str
    search: str
    why: Why | Literal["no such file"]
    near: str = ""
    line: int = 0


def edited(program: Program, blocks: Iterable[Block]) -> Program | Refused:
    """The program with every block carried out in turn, or the first that cannot be; then none counts.

    A block below the name of a file, with at most one line between, changes that file; an empty search
    writes a new one.
    """
    text, files = program.text, dict(program.files)
    for number, block in enumerate(blocks, start=1):
        name = _name(block, files)
        target = files.get(name) if name else text
        changed = apply_block(target or "", block)
        if isinstance(changed, Unmatched):
            why = "no such file" if target is None and block.closed else changed.why
            return Refused(number, name, changed.search, why, changed.near, changed.line)
        if target is None and not is_safe(name):
            return Refused(number, name, "", "no such file")
        # The program itself may be one of the named files.
        text = changed if not name or files.get(name) == text else text
        files |= {name: changed} if name else {}
    return Program(text, files)


def _name(block: Block, files: dict[str, str]) -> str:
    """The file that is meant; a program that has no name of its own goes by any."""
    name = next(filter(None, map(heading, reversed(block.above))), "")
    only = name.endswith(".py") and not any(each.endswith(".py") for each in files)
    return "" if only else name
