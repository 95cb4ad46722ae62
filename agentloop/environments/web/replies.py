"""Finds the one action in a reply: in its last fenced block, or on its last line that is a call."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentloop.environments.web.actions import NO_ACTION, Action, Malformed, action_of, told

FENCE = "```"
_CALL = re.compile(r"(?:[Aa]ction(?: \d{1,3})?:[ \t]*)?`{0,2}([A-Za-z_]\w*\(.*\))`{0,2};?")
_BEGINS_CALL = re.compile(r"[ \t]*[A-Za-z_]\w*[ \t]*\(")


def action_in(reply: str) -> Action | Malformed:
    """The action of a reply, or a sentence that says why there is none. Nothing is ever run.

    A block counts when one of its lines begins a call. Several calls one under the other are refused;
    of calls that stand apart in prose, the last one is meant.
    """
    for block in reversed(_blocks(reply)):
        if any(_BEGINS_CALL.match(line) for line in block):
            return action_of("\n".join(line.strip() for line in block))
    calls = _last_calls(reply.split("\n"))
    if len(calls) == 1:
        return action_of(calls[0])
    if calls:
        message = f"one action a step, and these are {len(calls)}; write the first one alone"
        return Malformed(told("\n".join(calls)), message)
    return Malformed(told(reply), NO_ACTION)


def _blocks(reply: str) -> list[list[str]]:
    """The lines of each fenced block; one that is not closed goes to the end."""
    blocks: list[list[str]] = []
    inside: list[str] | None = None
    for line in reply.split("\n"):
        bare = line.strip()
        if inside is None and bare.startswith(FENCE):
            rest = bare[len(FENCE) :]
            if rest.endswith(FENCE) and len(rest) > len(FENCE):
                blocks.append([rest[: -len(FENCE)]])
                continue
            inside = [rest] if "(" in rest else []
            blocks.append(inside)
        elif inside is not None and bare.endswith(FENCE):
            inside.append(bare.rstrip("`"))
            inside = None
        elif inside is not None:
            inside.append(line)
    return blocks


def _last_calls(lines: Sequence[str]) -> list[str]:
    """The last line that is a call, with the calls right above it."""
    calls: list[str] = []
    for line in reversed(lines):
        found = _CALL.fullmatch(line.strip())
        if found:
            calls.append(found[1])
        elif calls and line.strip():
            break
    return calls[::-1]
