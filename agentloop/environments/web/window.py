"""One window on the web: a context of the browser with its guards, its pages and its watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.environments.web.fence import Fence
from agentloop.environments.web.hardening import init_script
from agentloop.environments.web.proxy import Proxy
from agentloop.environments.web.watchdog import Watchdog, let_go
from agentloop.errors import AgentloopError
from agentloop.types import Fact

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Dialog, Download, Page, WebSocket

T = TypeVar("T")
PAGES = 8
POPUPS = 10
"""As many within a second come from a page that does not stop; guards.js lets through fewer."""
TOLD = 20
"""The most refusals that are told one by one."""
TEXT = 200
STAYED, DOWNLOAD = "net::ERR_ABORTED", "Download is starting"
"""How Playwright says that a page was not left after all."""
CRASH_SECONDS, DOWNLOAD_SECONDS = 2.0, 0.5
CLOSE_SECONDS = 15.0
EVALUATE_SECONDS = 10.0
"""For scripts that wait for something; the watchdog ends those that compute without end."""


class Crashed(AgentloopError):
    """A page is gone. ``why`` is memory, endless_script or gone."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the page crashed: {why}")
        self.why = why


class Hung(Crashed):
    """A script of the page did not end, and was ended together with the page."""

    def __init__(self) -> None:
        super().__init__("endless_script")


class Window:
    """Pages that share cookies and storage with no other window; used in the browser's thread only.

    A script that keeps a page or a worker busy for 1.5 seconds is ended together with its page, whether
    somebody waits for it or not (watchdog.py). Running it on after its script was stopped would be
    faster, but nobody knows what state it is in, and timers would start the next endless script.
    """

    def __init__(self, fence: Fence, *, closed: Callable[[Window, bool], Awaitable[None]]) -> None:
        self.fence = fence
        self._closed = closed
        self._facts: dict[tuple[str, ...], Fact] = {}
        self._untold = 0
        self._crashes: list[str] = []
        self._ending = 0
        self._popups: deque[float] = deque(maxlen=POPUPS)
        self._download = asyncio.Event()
        self._context: BrowserContext | None = None
        self._proxy: Proxy | None = None
        self._active: Page | None = None
        self._sessions: dict[Page, CDPSession] = {}
        self._attaching: dict[Page, asyncio.Future[None]] = {}
        self._watchdog = Watchdog(lambda: self.pages, self._sessions, lambda page: self._end([page]))
        self._crashed: set[Page] = set()
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def page(self) -> Page:
        """The page that is shown; Crashed when none is left."""
        pages = self.pages
        if self._active is not None and self._active in pages:
            return self._active
        if not pages:
            raise _error(self._crashes[-1] if self._crashes else "gone")
        return pages[-1]

    @property
    def pages(self) -> list[Page]:
        """The pages that are open, in the order they were opened."""
        if self._context is None:
            return []
        return [page for page in self._context.pages if not page.is_closed() and page not in self._crashed]

    def show(self, page: Page) -> None:
        """Make ``page`` the one that is shown."""
        self._active = page

    async def new_page(self) -> bool:
        """Open a further page and show it, also after a crash; False where 8 are open already."""
        if self._context is None or len(self.pages) >= PAGES:
            self.refused("popup")
            return False
        page = await self._context.new_page()
        await self._attaching[page]
        self._active = page
        return True

    async def goto(self, url: str, seconds: float = 30.0) -> bool:
        """Load an address in the page that is shown, as far as its text; False where the page stays as it is.

        It does where the address, or one that it redirects to, is not allowed, and where it is a download.
        """
        from playwright.async_api import Error

        if refusal := self.fence.refusal(url):
            self.refused(refusal, url)
            return False
        page = self.page
        self._download.clear()
        try:
            await self.guarded(page.goto(url, wait_until="commit"), seconds)
        except Error as error:
            if DOWNLOAD in error.message:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._download.wait(), DOWNLOAD_SECONDS)
            elif STAYED not in error.message:
                raise
            return False
        # DOMContentLoaded would not do: a page that at once goes on to a refused address never fires it.
        await self.guarded(page.wait_for_function("() => document.readyState !== 'loading'"), seconds)
        return True

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function called with ``argument`` in the page that is shown."""
        return await self.guarded(self.page.evaluate(script, argument), EVALUATE_SECONDS)

    async def guarded(self, awaitable: Awaitable[T], seconds: float = 2.0) -> T:
        """Await what a page does: Crashed when it is lost meanwhile, TimeoutError after ``seconds``.

        Hung, a kind of Crashed, when a script did not end. Where that is in doubt after ``seconds``, the
        watchdog's judgement is waited for.
        """
        task = asyncio.ensure_future(awaitable)
        before = len(self._crashes)
        try:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                await self._clear()
                raise TimeoutError(f"the page did not get done within {seconds} s")
            return task.result()
        except Exception as error:
            if len(self._crashes) > before:
                raise _error(self._crashes[-1]) from error
            raise
        finally:
            task.cancel()
            let_go(task)

    def stopped(self) -> tuple[Fact, ...]:
        """What the guards stopped since this was last asked: facts ``refused`` and ``crashed``.

        The first 20 kinds are told one by one, what came after them as ``{"what": "further", "times": n}``.
        """
        facts = list(self._facts.values())
        if self._untold:
            facts.append(Fact(kind="refused", data={"what": "further", "times": self._untold}))
        self._facts, self._untold = {}, 0
        return tuple(facts)

    def refused(self, what: str, url: str = "", **more: str) -> None:
        """Keep in mind that something was refused."""
        data = {"what": what, **({"url": url[: 5 * TEXT]} if url else {}), **more}
        self._keep(Fact(kind="refused", data=data), what, url, *more.values())

    def lost(self, why: str) -> None:
        """Keep in mind that a page crashed."""
        self._crashes.append(why)
        self._facts["crashed", why] = Fact(kind="crashed", data={"why": why})

    async def begin(self, context: BrowserContext, proxy: Proxy) -> None:
        """Put the guards on a fresh context and open its first page."""
        self._context, self._proxy = context, proxy
        await context.add_init_script(init_script())
        context.on("page", self._on_page)
        await self.new_page()
        self._begun(self._watchdog.watch())

    async def close(self) -> None:
        """Close the window and all that belongs to it."""
        context, self._context = self._context, None
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        sound = True
        if context is not None:
            try:
                await asyncio.wait_for(context.close(), CLOSE_SECONDS)
            except Exception:
                sound = False
        if self._proxy is not None:
            await self._proxy.close()
        await self._closed(self, sound)

    def _keep(self, fact: Fact, *key: str) -> None:
        if key in self._facts or len(self._facts) < TOLD:
            self._facts[key] = fact
        else:
            self._untold += 1

    def _begun(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Start something that nobody waits for, and that ends with the window."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        let_go(task)
        return task

    async def _clear(self) -> None:
        """Wait until it is clear of every page whether it is endless or not."""
        while self._watchdog.doubtful & set(self.pages):
            await asyncio.sleep(CRASH_SECONDS / 100)

    async def _attach(self, page: Page) -> None:
        """Get a line to the page that works while its scripts run, and stop addresses of other schemes."""
        assert self._context is not None
        try:
            session = await asyncio.wait_for(self._context.new_cdp_session(page), CLOSE_SECONDS)
        except TimeoutError:
            await self._end([page])
            return
        # From here on the watchdog sees the page: a script may keep it from answering what follows.
        self._sessions[page] = session
        session.on("Fetch.requestPaused", lambda event: self._begun(self._on_request(session, event)))
        patterns = [{"urlPattern": f"{scheme}*"} for scheme in ("file:", "ftp:", "chrome:", "filesystem:")]
        patterns.append({"urlPattern": "https:*", "resourceType": "Document"})
        await session.send("Fetch.enable", {"patterns": patterns})
        await session.send("Performance.enable")

    async def _on_request(self, session: CDPSession, event: dict[str, Any]) -> None:
        """Stop a request before it leaves the page, so that the page stays."""
        url, paused = event["request"]["url"], {"requestId": event["requestId"]}
        with contextlib.suppress(Exception):
            if refusal := self.fence.refusal(url):
                self.refused(refusal, url)
                await session.send("Fetch.failRequest", {**paused, "errorReason": "Aborted"})
            else:
                await session.send("Fetch.continueRequest", paused)

    async def _end(self, pages: Sequence[Page]) -> None:
        """End pages whose scripts do not: with their processes, or else with the whole window."""
        self._ending += 1
        try:
            for page in pages:
                if page in self._sessions:  # it is never answered: the page is gone
                    self._begun(self._sessions[page].send("Page.crash"))
            end = time.monotonic() + CRASH_SECONDS
            while set(pages) & set(self.pages) and time.monotonic() < end:
                await asyncio.sleep(CRASH_SECONDS / 100)
        finally:
            self._ending -= 1
        if set(pages) & set(self.pages):
            self.lost("endless_script")
            self._begun(self.close())

    def _on_page(self, page: Page) -> None:
        page.on("dialog", self._on_dialog)
        page.on("download", self._on_download)
        page.on("crash", self._on_crash)
        page.on("close", self._on_close)
        page.on("websocket", self._on_web_socket)
        now = time.monotonic()
        if len(self._popups) == POPUPS and now - self._popups[0] < 1:
            self._popups.clear()
            self._begun(self._end(self.pages))
        self._popups.append(now)
        if len(self.pages) > PAGES:
            self.refused("popup", page.url)
            self._begun(page.close())
            return
        self._active = page
        self._attaching[page] = self._begun(self._attach(page))

    def _on_close(self, page: Page) -> None:
        self._sessions.pop(page, None)
        self._attaching.pop(page, None)
        self._crashed.discard(page)

    def _on_crash(self, page: Page) -> None:
        self._crashed.add(page)
        self.lost("endless_script" if self._ending else "memory")
        self._begun(page.close())

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.refused("dialog", dialog=dialog.type, text=dialog.message[:TEXT])
        leaving = dialog.type == "beforeunload"
        with contextlib.suppress(Exception):
            await (dialog.accept() if leaving else dialog.dismiss())

    def _on_download(self, download: Download) -> None:
        self.refused("download", download.url)
        self._download.set()

    def _on_web_socket(self, web_socket: WebSocket) -> None:
        url = "http" + web_socket.url.removeprefix("ws")
        if self.fence.refusal(url):
            self.refused("web_socket", web_socket.url)


def _error(why: str) -> Crashed:
    return Hung() if why == "endless_script" else Crashed(why)
