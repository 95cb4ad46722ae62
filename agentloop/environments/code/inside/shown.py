"""How values are shown to a reader: as their repr, cut in the middle."""

from __future__ import annotations

LIMIT = 400
"""Characters of a value that are kept."""


def cut(text: str, limit: int = LIMIT) -> str:
    """``text`` in at most ``limit`` characters: its head, what was left out, its tail."""
    if len(text) <= limit:
        return text
    mark = f"...[{len(text) - limit} more]..."
    head = max((limit - len(mark)) * 2 // 3, 0)
    tail = max(limit - len(mark) - head, 0)
    return (text[:head] + mark + text[len(text) - tail :])[:limit]


def shown(value: object, limit: int = LIMIT) -> str:
    """The repr of any value, whatever its class does when asked for it."""
    try:
        return cut(repr(value), limit)
    except BaseException as error:  # a foreign __repr__ may do anything
        if isinstance(error, ValueError) and type(value) is int:
            return f"an int of {value.bit_length()} bits"
        return f"<{type(value).__name__}>"


def arguments(values: tuple[object, ...], named: dict[str, object]) -> str:
    """The arguments of a call as they would be written."""
    parts = [shown(value) for value in values]
    parts += [f"{name}={shown(value)}" for name, value in named.items()]
    return cut(", ".join(parts))
