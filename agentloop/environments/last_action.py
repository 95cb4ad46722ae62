"""Where in a reply the action stands, for environments that take one action a reply."""

from __future__ import annotations

import re

_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_LABEL = re.compile(r"\A\s*(?:the\s+)?action(?:\s+is)?\s*:\s*|\A\s*>\s*", re.IGNORECASE)


def last_action(reply: str) -> str:
    """The last fenced block of a reply, else its last line, without ``Action:`` or ``>`` before it."""
    blocks = _FENCED.findall(reply)
    lines = reply.strip().splitlines()
    text = blocks[-1] if blocks else lines[-1] if lines else ""
    return _LABEL.sub("", text).strip().strip("`").strip()
