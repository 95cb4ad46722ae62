"""The training methods by name; each is one file with a ``METHOD``."""

from __future__ import annotations

import difflib

from agentloop.errors import BadInput
from agentloop.export.methods import critique_grpo, preference, rltf_fm, rltf_sd, sft
from agentloop.export.methods.method import Method, Need

METHODS: dict[str, Method] = {
    each.METHOD.name: each.METHOD for each in (sft, preference, rltf_sd, rltf_fm, critique_grpo)
}

__all__ = ["METHODS", "Method", "Need", "method_named"]


def method_named(name: str) -> Method:
    """The method of that name."""
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BadInput(f"no training method named {name!r}; {hint}known: {', '.join(METHODS)}")
