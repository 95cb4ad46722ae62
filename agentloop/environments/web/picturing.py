"""Pictures of a page, kept in a folder under the digest of what is in them."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from agentloop.environments.web.world import Worlds
from agentloop.types import Fact


async def picture(worlds: Worlds, folder: Path, marks: Sequence[int]) -> Fact:
    """The fact ``screenshot`` of the page that is shown, with the numbers of ``marks`` drawn over it."""
    await worlds.ask("draw", list(marks))
    try:
        answer = await worlds.send("Page.captureScreenshot", format="png", optimizeForSpeed=True)
    finally:
        await worlds.ask("erase")
    return kept(base64.b64decode(answer["data"]), folder)


def kept(png: bytes, folder: Path) -> Fact:
    """Write a picture into the folder, if it is not there yet, and tell its digest and size in pixels."""
    digest = hashlib.blake2b(png, digest_size=8).hexdigest()
    path = folder / f"{digest}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{digest}.{os.getpid()}"
        partial.write_bytes(png)
        partial.replace(path)
    width, height = struct.unpack(">II", png[16:24])
    return Fact(kind="screenshot", data={"digest": digest, "width": width, "height": height})
