"""The scope of a correction as a namespace of labels, the form of LangGraph's stores, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from agentloop.memories.scope import conditions

ROOT = "corrections"
"""The first label of every scope of ours; ``("corrections", "house=acme")`` is that of one house."""

_PLACE = "namespace"
_PLAIN = " !'()*:@+&$#?^|~<>\"`{}[]\\"
"""What may stand in a label as it is; ``/``, which divides labels, and ``, ; = .`` and ``%`` may not."""


def namespace_of(scope: str) -> tuple[str, ...]:
    """The namespace of a scope: its exact conditions in their order; prose has that of all."""
    held = conditions(scope)
    if set(held) == {_PLACE}:
        return tuple(unquote(part) for part in held[_PLACE].split("/"))
    return (ROOT, *(_label(f"{name}={value}") for name, value in held.items()))


def scope_of(namespace: Sequence[str]) -> str:
    """The scope of a namespace. One that is not of ours is a condition too: ``namespace=users/ann``.

    What is kept under ``("users", "ann")`` is so recalled only for tasks whose public data has that
    ``namespace``, and never for those of another user.
    """
    if namespace[:1] == (ROOT,) and all(conditions(unquote(label)) for label in namespace[1:]):
        return ", ".join(unquote(label) for label in namespace[1:])
    return f"{_PLACE}={'/'.join(quote(label, safe=_PLAIN).replace('.', '%2E') for label in namespace)}"


def words_of(value: Mapping[str, Any]) -> str:
    """What an item of a store says: its ``text``, ``content`` or ``memory``, or else all of it."""
    for name in ("text", "content", "memory", "data"):
        found = value.get(name)
        if isinstance(found, str) and found.strip():
            return found
        if isinstance(found, dict) and found:
            return words_of(found)
    told = [f"{name}: {each}" for name, each in value.items() if isinstance(each, str | int | float)]
    return (
        "; ".join(told) if len(told) == len(value) > 0 else json.dumps(value, ensure_ascii=False, default=str)
    )


def _label(condition: str) -> str:
    return condition.replace("%", "%25").replace(".", "%2E")
