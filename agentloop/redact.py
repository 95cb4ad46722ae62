"""Takes secrets out of what is written down: keys, tokens and passwords by their shape."""

from __future__ import annotations

import os
import re
from functools import lru_cache

REDACTED = "[redacted]"

_SHAPES = re.compile(
    r"""
    sk-[A-Za-z0-9_-]{16,}                               # OpenAI, Anthropic and others
    | (?:AKIA|ASIA)[0-9A-Z]{16}                         # AWS
    | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,}   # GitHub
    | glpat-[\w-]{16,}                                  # GitLab
    | xox[abeoprs]-[A-Za-z0-9-]{10,}                    # Slack
    | AIza[\w-]{30,}                                    # Google
    | hf_[A-Za-z0-9]{20,}                               # Hugging Face
    | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}             # JSON web token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | (?<=://)[^\s:/@]+:[^\s@/]+(?=@)                   # user:password@host
    """,
    re.VERBOSE,
)
# Searching for a literal is some twenty times cheaper than trying every branch at every character.
_HINTS = ("sk-", "AKIA", "ASIA", "gh", "glpat-", "xox", "AIza", "hf_", "eyJ", "PRIVATE KEY", "://")
_SECRET_NAME = re.compile(r"(API_KEY|TOKEN|SECRET|PASSWORD)$")


def redact(text: str) -> str:
    """``text`` with every secret replaced by ``[redacted]``; the same object when it holds none."""
    if any(hint in text for hint in _HINTS):
        text = _SHAPES.sub(REDACTED, text)
    for secret in _environment_secrets():
        if secret in text:
            text = text.replace(secret, REDACTED)
    return text


@lru_cache(maxsize=1)
def _environment_secrets() -> tuple[str, ...]:
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= 12}
    return tuple(sorted(values, key=len, reverse=True))
