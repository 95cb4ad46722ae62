"""The windows of an environment: opened for a session, and kept for the next one where the site allows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.fence import Fence, origin_of
from agentloop.environments.web.site import Site, Start
from agentloop.environments.web.window import Window
from agentloop.environments.web.world import TRIES, Worlds, listeners, moved_on

if TYPE_CHECKING:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import Error, Page, Request

MOST_IDLE = 8
MOST_USES = 200
"""Sessions that one window serves; then a new one takes its place, and sooner or later a new browser."""
MOST_ERRORS = 5
ARRIVING_SECONDS = 5.0
TICK_SECONDS = 0.01


class Opened:
    """A window with our scripts in it, for one session at a time; what its site may use of it."""

    def __init__(self, window: Window, site: Site, start: Start) -> None:
        self.window = window
        self.worlds = Worlds(window)
        self.site = site
        self.start = start
        self.uses = 0
        self.errors: deque[str] = deque(maxlen=MOST_ERRORS)
        self._browser: PlaywrightBrowser | None = None
        self._heard: set[Page] = set()
        self._came = 0
        self._telling: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Put our listeners into its pages to come; keep hold of the browser for when the pages are gone."""
        context = self.window.page.context
        self._browser = context.browser
        await context.add_init_script(listeners())

    @property
    def url(self) -> str:
        """The address of the page that is shown."""
        url: str = self.window.page.url
        return url

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """What a JavaScript function says in the page that is shown; in the next one where it moves on."""
        for _ in range(TRIES):
            page = self.window.page
            try:
                return await self.window.evaluate(script, argument)
            except Exception as error:
                if not moved_on(error, page):
                    raise
        raise TimeoutError(f"the page moved on {TRIES} times while it was asked")

    def hear(self) -> None:
        """Hear from each page of the errors of its scripts, the pages it opens, and those it cannot reach."""
        for page in self.window.pages:
            if page not in self._heard:
                self._heard.add(page)
                page.on("pageerror", self._on_error)
                page.on("popup", self._on_popup)
                page.on("requestfailed", self._on_request_failed)

    async def settled(self) -> None:
        """Wait for the pages that a click has opened; those that never come are given up."""
        for _ in range(round(ARRIVING_SECONDS / TICK_SECONDS)):
            if self._came >= self.worlds.opening:
                return
            await asyncio.sleep(TICK_SECONDS)
        self._came = self.worlds.opening

    def _on_error(self, error: Error) -> None:
        self.errors.append(str(error).partition("\n")[0][:200])

    def _on_popup(self, page: Page) -> None:
        self._came += 1

    def _on_request_failed(self, request: Request) -> None:
        """A page that was on its way does not come; whoever waits for it is told."""
        if request.is_navigation_request() and _of_whole_page(request):
            self.worlds.unreached.append(request.url)
            self._telling = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        with contextlib.suppress(Exception):
            await self.worlds.ask("stayed")

    @property
    def alive(self) -> bool:
        """Whether its browser runs."""
        return bool(self.window.pages) and self.connected

    @property
    def connected(self) -> bool:
        """Whether the browser behind it still runs."""
        return self._browser is not None and self._browser.is_connected()

    def fits(self, site: Site, start: Start) -> bool:
        """Whether a session at ``start`` of ``site`` can take it over."""
        return self.site is site and set(self.start.origins) == set(start.origins)

    def reusable(self) -> bool:
        """Whether it is still as it was opened: one page, on the site, and not too often used."""
        if not self.site.reuses_pages or self.uses >= MOST_USES or not self.alive:
            return False
        pages = self.window.pages
        return len(pages) == 1 and origin_of(pages[0].url) == origin_of(self.start.url)


class Windows:
    """Hands out windows and takes them back; used in the browser's thread."""

    def __init__(self, browser: Browser, size: tuple[int, int]) -> None:
        self._browser = browser
        self._size = size
        self._idle: list[Opened] = []
        self._closed = False

    async def take(self, site: Site, start: Start, *, fresh: bool = False) -> Opened:
        """A window for a session at ``start``: one that another session left, or a new one."""
        kept = [each for each in self._idle if each.fits(site, start)]
        kept.sort(key=lambda each: each.start.url != start.url)
        for opened in kept if not fresh else ():
            self._idle.remove(opened)
            if opened.alive:
                return opened
            await opened.window.close()
        window = await self._browser.open(Fence(start.origins), hosts=site.hosts, size=self._size)
        opened = Opened(window, site, start)
        try:
            await opened.begin()
        except BaseException:
            await window.close()
            raise
        return opened

    async def give(self, opened: Opened, *, sound: bool) -> None:
        """Take a window back: kept where that is right, closed otherwise."""
        opened.uses += 1
        opened.window.stopped()
        opened.errors.clear()
        opened.worlds.unreached.clear()
        if sound and not self._closed and opened.reusable() and len(self._idle) < MOST_IDLE:
            self._idle.append(opened)
        else:
            await opened.window.close()

    async def close(self) -> None:
        """Close the windows that nobody uses; the others are closed as they come back."""
        self._closed = True
        idle, self._idle = self._idle, []
        with contextlib.suppress(Exception):
            await asyncio.gather(*(opened.window.close() for opened in idle))


def _of_whole_page(request: Request) -> bool:
    """Whether a request was for a page rather than for a frame in it; not known of a page that is no more."""
    with contextlib.suppress(Exception):
        return request.frame.parent_frame is None
    return False
