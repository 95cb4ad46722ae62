"""Carries an attack out and judges from outside what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from tests.hostile_web.attacks import ATTACKS, SERVICE_WORKER, Attack
from tests.web_twins import Canary, Route, Server, family, in_time

T = TypeVar("T")
SETTLE_SECONDS, GOTO_SECONDS = 2.0, 0.6
ENDLESS_SECONDS = 2.5
MEMORY_SECONDS = 12.0
MEMORY_BYTES = 1_150_000_000
POPUPS = 9
BUSY, BUSY_FOR = 0.2, 3
"""Seconds of computing within so many seconds; what else a browser does takes a tenth of it."""
PLACES = ("playwright-artifacts-*", "agentloop-web-*", "playwright_chromiumdev_profile-*")
AT_ONCE = 4
GENTLE = ("reached", "shown", "none")
"""Harms that are seen though other attacks are carried out at the same time."""
PLANTED = "planted-secret-5a1e"


class Tried(Protocol):
    """What an attack is carried out in: a window, or a page without guards."""

    async def goto(self, url: str) -> Any:
        """Load an address."""

    async def evaluate(self, text: str) -> Any:
        """The value of a JavaScript function; raises when the page is gone or does not answer."""

    async def click(self, selector: str) -> Any:
        """Click the first element that fits."""

    async def texts(self) -> list[str]:
        """What is to be read on all pages."""

    def pages(self) -> int:
        """How many pages are open."""

    def facts(self) -> list[dict[str, Any]]:
        """What was told."""

    async def close(self) -> None:
        """Close all of it."""


class Outcome(NamedTuple):
    """What came of an attack: the harm that was done, what was told of it, how long the page was busy."""

    name: str
    harms: tuple[str, ...]
    told: tuple[dict[str, Any], ...]
    seconds: float


class World:
    """The servers and the planted file around the attacks."""

    def __init__(self) -> None:
        self.canary = Canary()
        self.server = Server(self._route)
        self.folder = tempfile.TemporaryDirectory(prefix="hostile-web-")
        self.file = Path(self.folder.name) / "secret.txt"
        self.file.write_text(PLANTED)
        for path in (self.file.parent, self.file):
            path.chmod(0o755)

    def close(self) -> None:
        """End the servers."""
        self.canary.close()
        self.server.close()
        self.folder.cleanup()

    def filled(self, text: str) -> str:
        """A text of an attack with the addresses filled in."""
        place = f"127.0.0.1:{self.canary.port}"
        known = {
            "ALLOWED_PLACE": f"127.0.0.1:{self.server.port}",
            "ALLOWED": self.server.origin,
            "OTHER": f"http://{place}",
            "PLACE": place,
            "PORT": str(self.canary.port),
            "FILE": str(self.file),
        }
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    def _route(self, path: str) -> Route | None:
        if path == "/service_worker.js":
            return 200, {"Content-Type": "text/javascript"}, self.filled(SERVICE_WORKER).encode()
        for attack in ATTACKS:
            if path == f"/pages/{attack.name}":
                headers = {name: self.filled(value) for name, value in attack.headers}
                return 200, headers, self.filled(attack.page).encode()
        return None


async def attempt(world: World, attack: Attack, opened: Callable[[], Awaitable[Tried]]) -> Outcome:
    """Carry out one attack in a fresh window."""
    before = len(world.canary.reached)
    there = set(left())
    tried = await opened()
    largest = Largest()
    watching = asyncio.ensure_future(largest.watch())
    began = time.monotonic()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(tried.goto(world.filled(attack.goto.replace("NAME", attack.name))), 6)
        if attack.click:
            await asyncio.wait_for(tried.click(attack.click), 2)
    answers = await settled(tried, attack)
    seconds = time.monotonic() - began
    harms = []
    if attack.harm == "busy" and await busy(began + in_time(ENDLESS_SECONDS)):
        harms.append("busy")
    if not answers:
        harms.append("endless")
    with contextlib.suppress(Exception):
        if any(PLANTED in text for text in await asyncio.wait_for(tried.texts(), 2)):
            harms.append("shown")
    if set(left()) - there:
        harms.append("left")
    if tried.pages() > POPUPS:
        harms.append("popups")
    told = tried.facts()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(tried.close(), 10)
    await asyncio.sleep(0.15)
    watching.cancel()
    if largest.bytes > MEMORY_BYTES:
        harms.append("memory")
    if len(world.canary.reached) > before:
        harms.append("reached")
    return Outcome(attack.name, tuple(harms), tuple(told), seconds)


async def all_of(attacks: Sequence[Attack], one: Callable[[World, Attack], Awaitable[T]]) -> list[T]:
    """What comes of each attack: gentle ones are carried out four at a time, rough ones alone."""
    places = asyncio.Semaphore(AT_ONCE)

    async def alone(attack: Attack) -> T:
        async with places:
            world = World()
            try:
                return await one(world, attack)
            finally:
                world.close()

    gentle = [attack for attack in attacks if attack.harm in GENTLE]
    found = dict(zip(gentle, await asyncio.gather(*map(alone, gentle)), strict=True))
    for attack in attacks:
        if attack not in found:
            found[attack] = await alone(attack)
    return [found[attack] for attack in attacks]


async def settled(tried: Tried, attack: Attack) -> bool:
    """Wait until the page has done its worst; whether it answers then, or is known to be gone."""
    patience = in_time(ENDLESS_SECONDS)
    lasting = {"endless": patience, "memory": MEMORY_SECONDS}.get(attack.harm, SETTLE_SECONDS)
    end = time.monotonic() + (lasting if attack.page else GOTO_SECONDS)
    while time.monotonic() < end:
        try:
            if await asyncio.wait_for(tried.evaluate("() => document.title"), patience) == "done":
                return True
        except TimeoutError:
            return False
        except Exception as error:
            if "crash" in str(error):
                return True
        await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(tried.evaluate("() => 1"), patience)
    except TimeoutError:
        return False
    except Exception as error:
        return "crash" in str(error) or "closed" in str(error)
    return True


async def busy(end: float) -> bool:
    """Whether some process of the browser still computes when it should have been ended."""
    await asyncio.sleep(max(0, end - time.monotonic()))
    before = _computed()
    await asyncio.sleep(BUSY_FOR)
    after = _computed()
    return any(after[process] - before.get(process, 0) > BUSY for process in after)


def _computed() -> dict[int, float]:
    """The seconds that each process of ours has computed, this one left out."""
    found = {}
    for process in family(os.getpid()) - {os.getpid()}:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            found[process] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


class Largest:
    """The most memory that one process of ours had for itself."""

    bytes = 0

    async def watch(self) -> None:
        """Look ten times a second."""
        while True:
            for process in await asyncio.to_thread(family, os.getpid()):
                if process != os.getpid():
                    self.bytes = max(self.bytes, _own_memory(process))
            await asyncio.sleep(0.1)


def _own_memory(process: int) -> int:
    with contextlib.suppress(OSError, ProcessLookupError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def left() -> Sequence[str]:
    """Files with planted content, wherever a browser may put them."""
    found = []
    folders = [Path.cwd(), Path.home() / "Downloads"]
    for pattern in PLACES:
        folders += Path(tempfile.gettempdir()).glob(pattern)
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.is_file() and b"planted" in path.open("rb").read(16):
                    found.append(str(path))
    return found
