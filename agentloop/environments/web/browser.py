"""The one browser of a process: started on first use, kept in a thread of its own, renewed in time."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from agentloop.environments.web.chromium import Chromium, Form
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.finding import find_browser
from agentloop.environments.web.namespace import network_wanted, own_user, sandbox_layer
from agentloop.environments.web.site import Handler
from agentloop.environments.web.window import Window
from agentloop.errors import BadInput, EnvironmentFailed, MissingExtra

if TYPE_CHECKING:
    from playwright.async_api import Playwright

T = TypeVar("T")
WINDOWS = 200
MEMORY_BYTES = 1024 * 1024 * 1024
CLOSE_SECONDS = 10.0
TRIES = 2


class Browser:
    """A Chromium with its guards, in a background thread that has an event loop of its own.

    What belongs to it (windows, pages) is used in that thread only: ``await browser.run(coroutine)``
    takes a coroutine there from any event loop, ``browser.do(coroutine)`` from plain code.

    ``namespace`` gives Chromium a network whose only exit is the proxy of each window: "auto" where
    the kernel allows it, True or SandboxRefused, False not at all; ``layers`` says what was put on.
    After ``windows`` windows, or when Chromium has taken ``memory_bytes``, new windows are opened in a
    new Chromium, and the old one ends with its last window.
    """

    _shared: Browser | None = None
    _sharing = threading.Lock()

    def __init__(
        self,
        *,
        namespace: Literal["auto"] | bool = "auto",
        windows: int = WINDOWS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        if namespace not in ("auto", True, False):
            raise BadInput(f"namespace must be 'auto', True or False, got {namespace!r}")
        if windows < 1:
            raise BadInput(f"windows must be at least 1, got {windows!r}")
        self._namespace = namespace
        self._windows = windows
        self._memory_bytes = memory_bytes
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._opening = asyncio.Lock()
        self._form: Form | None = None
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._retired: list[Chromium] = []
        self._closed = False

    @classmethod
    def shared(cls) -> Browser:
        """The browser that all sessions of this process share; ended when the process ends."""
        with cls._sharing:
            shared = cls._shared
            if shared is None or shared._closed or shared._process != os.getpid():
                shared = cls._shared = cls()
                atexit.register(shared.close)
            return shared

    @property
    def layers(self) -> tuple[str, ...]:
        """What fences Chromium in here: proxy, namespace, sandbox, user."""
        return self._found().layers

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine in the browser's thread; may be awaited in whatever event loop."""
        loop = self._begun(coroutine)
        if loop is asyncio.get_running_loop():
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine in the browser's thread and wait for it; not to be called in that thread."""
        loop = self._begun(coroutine)
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise BadInput("browser.do in the browser's own thread would wait for itself; await it there")
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def open(
        self,
        fence: Fence,
        *,
        hosts: Mapping[str, Handler] | None = None,
        size: tuple[int, int] = (1280, 720),
    ) -> Window:
        """Open a window of its own, whose cookies, storage and pages are shared with no other.

        ``hosts`` are names that are answered from Python; their origins must be in the fence too.
        ``size`` is in pixels. May be awaited in whatever event loop; the window is for the browser's thread.
        """
        return await self.run(self._open(fence, hosts or {}, size))

    def close(self) -> None:
        """End Chromium and the thread; does nothing in a process that was forked from its own."""
        if self._process != os.getpid() or self._closed:
            return
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(CLOSE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_SECONDS)
        if not thread.is_alive():
            loop.close()

    def _begun(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.AbstractEventLoop:
        """The loop of the thread, which is started if need be."""
        try:
            self._refuse()
            with self._starting:
                if self._loop is None:
                    self._loop = asyncio.new_event_loop()
                    self._thread = threading.Thread(
                        target=self._loop.run_forever, name="agentloop-web", daemon=True
                    )
                    self._thread.start()
                return self._loop
        except BaseException:
            coroutine.close()
            raise

    def _refuse(self) -> None:
        if self._process != os.getpid():
            raise EnvironmentFailed("a browser cannot be used after a fork; make one in the new process")
        if self._closed:
            raise EnvironmentFailed("this browser is closed; make a new one")

    def _found(self) -> Form:
        if self._form is None:
            if not sys.platform.startswith("linux"):
                raise EnvironmentFailed(f"the guards of the browser are made for Linux, not {sys.platform}")
            path = find_browser()
            user = own_user(path)
            sandbox = sandbox_layer(user).available
            self._form = Form(path, network_wanted(self._namespace), sandbox, user)
        return self._form

    async def _open(self, fence: Fence, hosts: Mapping[str, Handler], size: tuple[int, int]) -> Window:
        failed: Exception | None = None
        for _ in range(TRIES):
            async with self._opening:
                chromium = await self._fresh()
                chromium.opened += 1
            try:
                return await chromium.open(fence, hosts, size)
            except Exception as error:  # Playwright raises a bare Exception where its driver is gone
                failed = error
                await self._give_up(chromium)
        raise EnvironmentFailed(f"the browser could not open a window: {failed}") from failed

    async def _give_up(self, chromium: Chromium) -> None:
        """Open no more windows in a Chromium; those that are open are left to it as long as it lives."""
        if self._chromium is chromium:
            self._chromium = None
        self._retired = [*(each for each in self._retired if each.alive), chromium]
        await chromium.retire()

    async def _fresh(self) -> Chromium:
        """The Chromium for the next window: the one there is, or a new one when that is done for."""
        chromium = self._chromium
        if chromium is not None and chromium.alive:
            if chromium.opened < self._windows and chromium.memory_bytes < self._memory_bytes:
                return chromium
            await self._give_up(chromium)
        elif chromium is not None:
            await chromium.end()
        self._chromium = await self._start()
        return self._chromium

    async def _start(self) -> Chromium:
        try:
            from playwright.async_api import async_playwright
        except ImportError as error:
            raise MissingExtra("a browser", "playwright", "web") from error
        form = self._found()
        failed: Exception | None = None
        for _ in range(TRIES):
            try:
                if self._playwright is None:
                    self._playwright = await async_playwright().start()
                return await Chromium.start(self._playwright, form)
            except Exception as error:  # as above
                failed = error
                await self._stop_playwright()
        raise EnvironmentFailed(f"the browser {form.executable} did not start: {failed}") from failed

    async def _stop_playwright(self) -> None:
        playwright, self._playwright = self._playwright, None
        if playwright is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(playwright.stop(), CLOSE_SECONDS / 2)

    async def _end(self) -> None:
        last = [] if self._chromium is None else [self._chromium]
        for chromium in [*self._retired, *last]:
            await chromium.end()
        await self._stop_playwright()
