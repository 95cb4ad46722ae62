"""Gymnasium's spaces in words: what may be done, what was said to be done, and what is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from agentloop.errors import BadInput

SHOWN_NUMBERS = 200
"""Arrays with more numbers than this are shown by their corners."""

FEW_CHARACTERS = 40
"""Of how many characters at most text may be made for an agent to be told which."""

KINDS = ("Discrete", "MultiDiscrete", "MultiBinary", "Box", "Text")


class Malformed(ValueError):
    """Words that name no action of the space; the message says why."""


def allowed(space: Any, names: Sequence[str] = ()) -> str:
    """The actions of ``space`` in words; BadInput for a kind of space that words cannot name."""
    kind = _kind(space)
    if kind == "Discrete":
        first, last = int(space.start), int(space.start + space.n - 1)
        return f"one of: {', '.join(names)}" if names else f"one whole number from {first} to {last}"
    if kind in ("MultiDiscrete", "MultiBinary"):
        low, high = _bounds(space)
        return f"a list like {low.tolist()}, of whole numbers from {low.tolist()} to {high.tolist()}"
    if kind == "Box":
        shape, low, high = space.shape, said(space.low), said(space.high)
        return f"a list of numbers of the shape {list(shape)}, from {low} to {high}"
    if kind == "Text":
        few = f" out of {space.characters}" if len(space.characters) <= FEW_CHARACTERS else ""
        return f"text of {space.min_length} to {space.max_length} characters{few}"
    raise BadInput(
        f"the action space is {type(space).__name__}, and only {', '.join(KINDS)} can be said in words; "
        "give an environment wrapped in gymnasium.wrappers.TransformAction"
    )


def chosen(space: Any, text: str, names: Sequence[str] = ()) -> Any:
    """The element of ``space`` that ``text`` names; Malformed when it names none."""
    kind = _kind(space)
    if kind == "Text":
        value: Any = text
    elif kind == "Discrete":
        value = _discrete(space, text, names)
    else:
        value = _array(space, text)
    if not space.contains(value):
        raise Malformed(f"{text!r:.200} is outside of what is allowed")
    return value


def said(value: Any) -> str:
    """A value of any space in words: numbers to four places, dictionaries a line a key."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {said(each)}" for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return f"({', '.join(said(each) for each in value)})"
    if isinstance(value, np.ndarray) and value.ndim:
        return np.array2string(
            value,
            precision=4,
            suppress_small=True,
            threshold=SHOWN_NUMBERS,
            separator=", ",
            max_line_width=100,
        )
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _discrete(space: Any, text: str, names: Sequence[str]) -> Any:
    folded = text.casefold().rstrip(".")
    for number, name in enumerate(names):
        if folded == name.casefold():
            return space.dtype.type(space.start + number)
    if not re.fullmatch(r"-?\d{1,18}", folded):
        raise Malformed(f"{text!r:.200} is neither a whole number nor a known name")
    return space.dtype.type(int(folded))


def _array(space: Any, text: str) -> Any:
    try:
        value = np.array(json.loads(text, parse_constant=_refuse), dtype=object)
        numbers = value.astype(np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Malformed(f"{text!r:.200} is not a list of numbers") from error
    if any(isinstance(each, (bool, str)) for each in value.ravel()):
        raise Malformed(f"{text!r:.200} is not a list of numbers")
    if numbers.shape == () and space.shape == (1,):
        numbers = numbers.reshape(1)
    if numbers.shape != space.shape:
        raise Malformed(f"the list has the shape {list(numbers.shape)} and not {list(space.shape)}")
    whole = np.issubdtype(space.dtype, np.integer)
    if whole and not np.array_equal(numbers, np.floor(numbers)):
        raise Malformed(f"{text!r:.200} is not made of whole numbers")
    # Checked here, because a number too large for the type would wrap around when it is cast.
    low, high = _bounds(space)
    if not np.all(np.isfinite(numbers) & (numbers >= low) & (numbers <= high)):
        raise Malformed(f"{text!r:.200} is outside of what is allowed")
    return numbers.astype(space.dtype)


def _kind(space: Any) -> str | None:
    """Which of KINDS a space is; known by its class, so that Gymnasium need not be loaded."""
    return next((each.__name__ for each in type(space).__mro__ if each.__name__ in KINDS), None)


def _bounds(space: Any) -> tuple[Any, Any]:
    kind = _kind(space)
    if kind == "MultiDiscrete":
        return space.start, space.start + space.nvec - 1
    if kind == "MultiBinary":
        return np.zeros(space.shape, dtype=int), np.ones(space.shape, dtype=int)
    return space.low, space.high


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number here")
