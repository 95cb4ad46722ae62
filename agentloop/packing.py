"""Writes a model call as what it adds to the call before it, and reads it back whole.

An agent that is shown its whole history repeats it in every request; written out in full, a log
grows with the square of the attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agentloop.types import Call

_WORTH_SHARING = 32
"""Characters, or token ids, below which a shared beginning is not worth a reference."""


class Shown(NamedTuple):
    """What the last packed call of one role was shown."""

    place: str
    messages: list[dict[str, str]]
    prompt_ids: list[int]


class Packer:
    """Packs, or unpacks, the calls of one trajectory in the order in which they were written."""

    def __init__(self) -> None:
        self._shown: dict[str, Shown] = {}

    def pack(self, call: Call) -> dict[str, Any]:
        """The call as JSON values: messages and prompt ids without what the base call shares."""
        packed = call.to_dict()
        del packed["place"]
        messages = packed.pop("messages")
        prompt_ids = _take_prompt_ids(packed.get("replies", []))
        before = self._shown.get(call.role)
        keep, characters, tokens = 0, 0, 0
        if before is not None:
            keep = _common(before.messages, messages)
            characters = _common_characters(before.messages[keep : keep + 1], messages[keep : keep + 1])
            tokens = _common(before.prompt_ids, prompt_ids)
            tokens = tokens if tokens >= _WORTH_SHARING else 0
            if keep or characters or tokens:
                packed["base"] = [before.place, keep, characters, tokens]
        self._shown[call.role] = Shown(call.place, messages, prompt_ids)
        packed["added"] = _cut(messages[keep:], characters)
        if prompt_ids:
            packed["prompt_ids"] = prompt_ids[tokens:]
        return packed

    def unpack(self, place: str, packed: dict[str, Any]) -> Call:
        """The whole call again, made at ``place``."""
        values = {**packed, "place": place}
        role = values["role"]
        _, keep, characters, tokens = values.pop("base", ("", 0, 0, 0))
        before = self._shown.get(role, Shown("", [], []))
        added = values.pop("added")
        if characters:
            shared = before.messages[keep]["content"][:characters]
            added = [{**added[0], "content": shared + added[0]["content"]}, *added[1:]]
        messages = [*before.messages[:keep], *added]
        prompt_ids = [*before.prompt_ids[:tokens], *values.pop("prompt_ids", [])]
        if prompt_ids:
            values["replies"] = [{**reply, "prompt_token_ids": prompt_ids} for reply in values["replies"]]
        self._shown[role] = Shown(place, messages, prompt_ids)
        return Call.from_dict({**values, "messages": messages})


def _take_prompt_ids(replies: list[dict[str, Any]]) -> list[int]:
    """Remove the prompt's ids from the replies, which share them, and return them once."""
    found = [reply.get("prompt_token_ids") for reply in replies]
    if not found or found[0] is None or any(ids != found[0] for ids in found):
        return []
    for reply in replies:
        del reply["prompt_token_ids"]
    return list(found[0])


def _cut(messages: list[dict[str, str]], characters: int) -> list[dict[str, str]]:
    if not characters:
        return messages
    first = {**messages[0], "content": messages[0]["content"][characters:]}
    return [first, *messages[1:]]


def _common_characters(before: list[dict[str, str]], now: list[dict[str, str]]) -> int:
    if not before or not now or before[0]["role"] != now[0]["role"]:
        return 0
    shared = _common(before[0]["content"], now[0]["content"])
    return shared if shared >= _WORTH_SHARING else 0


def _common(before: Sequence[Any], now: Sequence[Any]) -> int:
    """Length of the common beginning, by bisection: comparing slices costs no Python loop."""
    low, high = 0, min(len(before), len(now))
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == now[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
