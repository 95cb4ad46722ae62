"""Finds the pages of a window whose scripts do not end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

TICK_SECONDS = 0.4
SOON_SECONDS = 0.25
PATIENCE_SECONDS = 1.5
"""How long a page, or a worker of it, may take to answer before it counts as endless."""
COMPUTED_SECONDS = 0.3
"""A page that has been given less time to compute meanwhile was kept waiting by other processes."""
CROWDED = 4.0


class Watchdog:
    """Asks every page, again and again, whether it still answers; ``endless`` is told of those that do not.

    A page or worker that does not answer for 1.5 seconds counts as endless. On a crowded machine more
    patience is due: a script is endless only once it has computed for 0.3 seconds, and what is stuck
    otherwise (a worker, a request that blocks) when so many times 1.5 seconds have passed as there are
    processes that want to run for each core, at most four times. That a worker may wait on purpose
    is not seen: it counts as endless too.
    """

    def __init__(
        self,
        pages: Callable[[], Sequence[Page]],
        sessions: Mapping[Page, CDPSession],
        endless: Callable[[Page], Awaitable[None]],
        *,
        crowding: Callable[[], float] | None = None,
    ) -> None:
        self._pages = pages
        self._sessions = sessions
        self._endless = endless
        self._crowding = crowding or machines_crowding
        self._asking: dict[Page, asyncio.Future[None]] = {}
        self.doubtful: set[Page] = set()
        """The pages that have not answered at once, and are waited for."""

    async def watch(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                waited_for = self._asking.keys()
                for page in [page for page in self._pages() if page in self._sessions.keys() - waited_for]:
                    self._ask(page)
        finally:
            for asking in self._asking.values():
                asking.cancel()

    def _ask(self, page: Page) -> None:
        asking = asyncio.ensure_future(self._check(page, self._sessions[page]))
        self._asking[page] = asking
        let_go(asking)
        asking.add_done_callback(lambda _: self._asking.pop(page, None))

    async def _check(self, page: Page, session: CDPSession) -> None:
        probes = [asyncio.ensure_future(session.send("Runtime.evaluate", {"expression": "0"}))]
        probes += [asyncio.ensure_future(worker.evaluate("0")) for worker in page.workers]
        try:
            if await self._does_not_answer(page, session, probes) and page in self._pages():
                await self._endless(page)
        finally:
            self.doubtful.discard(page)
            for probe in probes:
                probe.cancel()
                let_go(probe)

    async def _does_not_answer(
        self, page: Page, session: CDPSession, probes: Sequence[asyncio.Future[Any]]
    ) -> bool:
        began = time.monotonic()
        before: float | None = None
        asked: asyncio.Future[Any] | None = None
        while True:
            _, late = await asyncio.wait(probes, timeout=SOON_SECONDS)
            computed = _computed(asked)
            if not late:
                return False
            self.doubtful.add(page)
            before = computed if before is None else before
            waited = time.monotonic() - began
            if waited >= PATIENCE_SECONDS * self._crowding():
                return True
            if waited >= PATIENCE_SECONDS and (computed or 0) - (before or 0) >= COMPUTED_SECONDS:
                return True
            # This one is answered in the midst of a script.
            asked = asyncio.ensure_future(session.send("Performance.getMetrics"))
            let_go(asked)


def machines_crowding() -> float:
    """How many processes want to run for each core: at least 1, and 4 at most."""
    try:
        waiting = os.getloadavg()[0]
    except OSError:
        waiting = 0.0
    return min(max(waiting / (os.cpu_count() or 1), 1.0), CROWDED)


def _computed(asked: asyncio.Future[Any] | None) -> float | None:
    """The seconds that a page's scripts have computed; None where that was not answered."""
    if asked is None:
        return None
    if not asked.done():
        asked.cancel()
        return None
    if asked.cancelled() or asked.exception() is not None:
        return None
    return next((each["value"] for each in asked.result()["metrics"] if each["name"] == "ThreadTime"), None)


def let_go(task: asyncio.Future[Any]) -> None:
    """Whatever comes of a task is of no interest to anybody."""
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
