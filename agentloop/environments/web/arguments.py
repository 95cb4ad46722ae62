"""What each kind of argument of an action may be; each function reads one value or says what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeAlias

Reader: TypeAlias = Callable[[Any], Any]

LONGEST_TEXT = 10_000
LONGEST_MARK = 100
LONGEST_ADDRESS = 2_000
LONGEST_WAIT = 5_000
FARTHEST = 100_000
MOST_OPTIONS = 100
BUTTONS = ("left", "middle", "right")
MODIFIERS = ("Alt", "Control", "ControlOrMeta", "Meta", "Shift")
KEYS = (
    *(
        "Enter",
        "Tab",
        "Escape",
        "Backspace",
        "Delete",
        "Insert",
        "Space",
        "Home",
        "End",
        "PageUp",
        "PageDown",
    ),
    *("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "CapsLock", "ContextMenu", "Pause", "PrintScreen"),
    *(f"F{number}" for number in range(1, 13)),
    *(f"Digit{digit}" for digit in range(10)),
    *(f"Key{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    *(f"Numpad{digit}" for digit in range(10)),
    *("NumpadAdd", "NumpadSubtract", "NumpadMultiply", "NumpadDivide", "NumpadDecimal", "NumpadEnter"),
    *("Backquote", "Minus", "Equal", "Backslash", "BracketLeft", "BracketRight", "Semicolon", "Quote"),
    *("Comma", "Period", "Slash", *MODIFIERS),
)
"""Names of keys; any other single character is the key that writes it."""


class Wrong(ValueError):
    """An argument that is not allowed; the message is the rest of the sentence that says so."""


def mark(value: Any) -> str:
    """A mark as an observation shows it, without its brackets. Words are kept, for finding what was meant."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 <= value < 10**9 else "a number"
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_MARK:
        raise Wrong(f"must be the mark of an element such as '13', got {_told(value)}")
    value = _writable(value).strip()
    found = re.fullmatch(r"\[?0*([0-9]{1,9})\]?", value, re.ASCII)
    return found[1] if found else value


def text(value: Any) -> str:
    """A text; a number is taken as it is written."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**18 else "a number"
    if not isinstance(value, str):
        raise Wrong(f"must be a text in quotes, got {_told(value)}")
    if len(value) > LONGEST_TEXT:
        raise Wrong(f"may have at most {LONGEST_TEXT} characters, got {len(value)}")
    return _writable(value)


def options(value: Any) -> tuple[str, ...]:
    """One option or several, by what they say or by their value."""
    several = value if isinstance(value, list) else [value]
    if not several or len(several) > MOST_OPTIONS:
        raise Wrong(f"must be an option or a list of 1 to {MOST_OPTIONS}, got {len(several)}")
    return tuple(text(each) for each in several)


def key(value: Any) -> str:
    """A key, or several held together: ``Enter``, ``a``, ``Control+a``."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9:
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_MARK:
        raise Wrong(f"must be a key such as 'Enter', 'a' or 'Control+a', got {_told(value)}")
    parts = re.split(r"(?<=[^+])\+", _writable(value))
    for part in parts[:-1]:
        _one_of(part, MODIFIERS, "held keys")
    if len(parts[-1]) != 1:
        _one_of(parts[-1], KEYS, "keys")
    return "+".join(parts)


def button(value: Any) -> str:
    """A button of the mouse."""
    return _one_of(value, BUTTONS, "buttons")


def modifiers(value: Any) -> tuple[str, ...]:
    """Keys that are held during a click."""
    several = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(_one_of(each, MODIFIERS, "held keys") for each in several[:MOST_OPTIONS]))


def pixels(value: Any) -> float:
    """A distance or a coordinate in pixels."""
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or abs(value) > FARTHEST:
        raise Wrong(f"must be a number of pixels, at most {FARTHEST}, got {_told(value)}")
    return int(value) if value == int(value) else float(value)


def milliseconds(value: Any) -> float:
    """How long to wait."""
    try:
        number = pixels(value)
    except Wrong:
        number = -1
    if not 0 <= number <= LONGEST_WAIT:
        raise Wrong(f"must be from 0 to {LONGEST_WAIT} milliseconds, got {_told(value)}")
    return number


def index(value: Any) -> int:
    """The number of a tab, from 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 100:
        raise Wrong(f"must be the number of a tab, from 0, got {_told(value)}")
    return value


def address(value: Any) -> str:
    """A whole address; whether it may be reached is not decided here."""
    if not isinstance(value, str) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value.strip()):
        raise Wrong(f"must be a whole address such as 'https://example.org/page', got {_told(value)}")
    if len(value) > LONGEST_ADDRESS:
        raise Wrong(f"may have at most {LONGEST_ADDRESS} characters, got {len(value)}")
    if re.search(r"\s", value.strip()):
        raise Wrong(f"may not contain blanks, got {_told(value)}")
    return _writable(value.strip())


def _one_of(value: Any, known: tuple[str, ...], what: str) -> str:
    if isinstance(value, str) and value in known:
        return value
    near = get_close_matches(value[:60], known, n=1, cutoff=0.6) if isinstance(value, str) else []
    same = [each for each in known if isinstance(value, str) and each.lower() == value.lower()]
    meant = f"; did you mean {(same or near)[0]!r}?" if same or near else ""
    listed = ", ".join(known) if len(known) < 10 else f"{', '.join(known[:15])}, F1 to F12, ..."
    raise Wrong(f"is {_told(value)}, which is none of the {what}{meant} ({listed})")


def _writable(value: str) -> str:
    value = value.replace("\r\n", "\n")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value):
        raise Wrong("may not contain control characters or halves of characters")
    return value


def _told(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number with many digits"
    told = repr(value[:60] if isinstance(value, (str, list)) else value)
    return told[:80].encode("ascii", "backslashreplace").decode()
