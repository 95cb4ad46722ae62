"""The formats of trainers by name, and which method goes into which."""

from __future__ import annotations

from agentloop.errors import BadInput
from agentloop.export.formats import axolotl, llama_factory, ms_swift, openai, openrlhf, tokens, trl, verl
from agentloop.export.formats.format import Carried, Carrying, Format, Line, Render
from agentloop.export.methods import METHODS

FORMATS: dict[str, Format] = {
    each.FORMAT.name: each.FORMAT
    for each in (tokens, trl, verl, openai, llama_factory, axolotl, ms_swift, openrlhf)
}

__all__ = ["FORMATS", "Carried", "Carrying", "Format", "Line", "Render", "format_named", "support"]


def format_named(name: str) -> Format:
    """The format of that name."""
    if name not in FORMATS:
        raise BadInput(f"no export format named {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def support() -> dict[str, dict[str, str | None]]:
    """Method by format: None where the pair works, else the reason why not and the way out."""
    return {
        method.name: {each.name: each.refusal(method) for each in FORMATS.values()}
        for method in METHODS.values()
    }
