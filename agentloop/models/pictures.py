"""Screenshots for models that can see: a line ``[screenshot DIGEST]`` becomes the picture it names.

Messages are text everywhere, and so is the journal; only the request that is sent carries pictures.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agentloop.types import Message

LINE = re.compile(r"^\[screenshot ([0-9a-f]{16})\]$", re.MULTILINE)
"""The whole line that stands for a picture. A digest is hexadecimal, so that it can name no other path."""

PICTURES = 4
"""The most pictures of one request, the latest ones: what is on the page now matters most."""
PICTURE_BYTES = 5 * 1024 * 1024
"""The most bytes of one picture; providers refuse larger ones."""
SIDE = 8000
"""The most pixels of one side, for the same reason."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def screenshot_line(digest: str) -> str:
    """The line that stands for the picture of this digest."""
    return f"[screenshot {digest}]"


def with_pictures(messages: Sequence[Message], folder: Path) -> list[dict[str, Any]]:
    """The messages as they are sent, each picture of ``folder`` at the place of its line.

    Only messages of the role "user" are looked at, since what a model says shows it nothing. A picture
    that cannot be shown stays a line, which says why; those before the latest ``PICTURES`` as well.
    """
    lines = sum(len(LINE.findall(each["content"])) for each in messages if each["role"] == "user")
    skipped = max(0, lines - PICTURES)
    sent: list[dict[str, Any]] = []
    for message in messages:
        content: str | list[dict[str, Any]] = message["content"]
        if message["role"] == "user":
            content, skipped = _parts(message["content"], folder, skipped)
        sent.append({"role": message["role"], "content": content})
    return sent


def _parts(text: str, folder: Path, skipped: int) -> tuple[str | list[dict[str, Any]], int]:
    """The text with its pictures; of its lines the first ``skipped`` are too old, and how many are left."""
    parts: list[dict[str, Any]] = []
    plain, end = "", 0
    for match in LINE.finditer(text):
        plain += text[end : match.start()]
        end = match.end()
        shown = Shown(None, "an earlier one") if skipped else shown_of(match[1], folder)
        skipped -= skipped > 0
        if shown.data is None:
            plain += f"[screenshot {match[1]}: not shown, {shown.why}]"
            continue
        encoded = base64.b64encode(shown.data).decode()
        url = f"data:image/png;base64,{encoded}"
        parts += [_text(plain), {"type": "image_url", "image_url": {"url": url}}]
        plain = ""
    plain += text[end:]
    if not parts:
        return plain, skipped
    return [part for part in (*parts, _text(plain)) if part.get("text", "x").strip()], skipped


class Shown(NamedTuple):
    """The bytes of a picture, or why it cannot be shown."""

    data: bytes | None
    why: str = ""


def shown_of(digest: str, folder: Path) -> Shown:
    """The picture ``DIGEST.png`` of ``folder``, if it is a PNG within the limits and what its name says."""
    path = folder / f"{digest}.png"
    if not path.is_file():
        return Shown(None, "its file is missing")
    if path.stat().st_size > PICTURE_BYTES:
        return Shown(None, f"it has more than {PICTURE_BYTES} bytes")
    data = path.read_bytes()
    if not is_digest(digest, data):
        return Shown(None, "its file holds something else")
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if not data.startswith(SIGNATURE) or min(width, height) < 1:
        return Shown(None, "its file is no PNG")
    if max(width, height) > SIDE:
        return Shown(None, f"a side has more than {SIDE} pixels")
    return Shown(data)


def is_digest(digest: str, data: bytes) -> bool:
    """Whether ``digest`` is that of ``data``: BLAKE2b with 8 bytes, as the environments name pictures."""
    return hashlib.blake2b(data, digest_size=8).hexdigest() == digest


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
