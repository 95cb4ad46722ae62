"""The sampling settings that every model takes, checked before anything is asked."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentloop.errors import BadInput


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """What a caller may ask for, with what holds when it asks for nothing."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _texts(value: object) -> bool:
    texts = [value] if isinstance(value, str) else value
    return isinstance(texts, (list, tuple)) and all(isinstance(text, str) and text for text in texts)


NAMES = tuple(Sampling.__slots__)
_ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "n": ("a whole number of at least 1", lambda value: _whole(value) and value >= 1),
    "temperature": ("a number of at least 0", lambda value: _number(value) and value >= 0),
    "top_p": ("a number above 0 and at most 1", lambda value: _number(value) and 0 < value <= 1),
    "max_tokens": ("a whole number of at least 1", lambda value: _whole(value) and value >= 1),
    "seed": ("a whole number", _whole),
    "stop": ("a text or a list of texts, none empty", _texts),
    "logprobs": ("True or False", lambda value: isinstance(value, bool)),
}


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given and are not None; one that has a wrong value is an error."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        if name in _ALLOWED and not _ALLOWED[name][1](value):
            raise BadInput(f"{name} must be {_ALLOWED[name][0]}, got {value!r}")
    if "stop" in given:
        stop = given["stop"]
        given["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return given


def read_sampling(settings: Mapping[str, Any]) -> Sampling:
    """The settings as a record, for a model that knows these and no others."""
    for name in settings:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise BadInput(f"no sampling setting named {name!r}{hint} Known: {', '.join(NAMES)}")
    given = checked(settings)
    return Sampling(**{**given, "stop": tuple(given.get("stop", ()))})
