"""One started Chromium: what it was started with, the windows that are open in it, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentloop.environments.web import hardening
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.namespace import Launch
from agentloop.environments.web.proxy import Proxy
from agentloop.environments.web.site import Handler
from agentloop.environments.web.window import Window

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

START_SECONDS = 30.0
CLOSE_SECONDS = 5.0


class Form(NamedTuple):
    """How Chromium is started: which executable, in a network of its own, in its own sandbox, as whom."""

    executable: Path
    namespace: bool
    sandbox: bool
    user: int | None

    @property
    def layers(self) -> tuple[str, ...]:
        """What fences the browser in, by name."""
        have = {"namespace": self.namespace, "sandbox": self.sandbox, "user": self.user is not None}
        return ("proxy", *(name for name, present in have.items() if present))


class Chromium:
    """A started browser, used until it is full or died."""

    def __init__(self, browser: Browser, launch: Launch) -> None:
        self._browser = browser
        self._launch = launch
        self._retired = False
        self.opened = 0
        self.windows: set[Window] = set()
        browser.on("disconnected", self._on_disconnected)

    @classmethod
    async def start(cls, playwright: Playwright, form: Form) -> Chromium:
        """Start one in a form; EnvironmentFailed or Playwright's error when it does not start."""
        launch = Launch(form.executable, namespace=form.namespace, user=form.user)
        try:
            browser = await playwright.chromium.launch(
                executable_path=launch.script,
                args=hardening.flags(sandbox=form.sandbox),
                ignore_default_args=list(hardening.LEFT_OUT),
                env=dict(launch.environment),
                chromium_sandbox=form.sandbox,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
                timeout=START_SECONDS * 1000,
            )
            await asyncio.get_running_loop().run_in_executor(None, launch.joined)
        except BaseException:
            launch.end()
            raise
        return cls(browser, launch)

    @property
    def alive(self) -> bool:
        """Whether windows can be opened."""
        return bool(self._browser.is_connected())

    @property
    def memory_bytes(self) -> int:
        """What all its processes had for themselves when the latest window was opened."""
        return self._launch.memory_bytes

    @property
    def process(self) -> int:
        """The id of the browser's process."""
        return self._launch.browser

    async def open(self, fence: Fence, hosts: Mapping[str, Handler], size: tuple[int, int]) -> Window:
        """Open a window."""
        window = Window(fence, closed=self._on_window_closed)
        self.windows.add(window)
        proxy = Proxy(fence, hosts, told=window.refused)
        try:
            await proxy.serve(await self._launch.listen())
            context = await self._browser.new_context(
                proxy={"server": proxy.url, "bypass": "<-loopback>"},
                viewport={"width": size[0], "height": size[1]},
                service_workers="block",
                accept_downloads=False,
                permissions=[],
                locale="en-US",
                timezone_id="UTC",
                reduced_motion="reduce",
            )
            await window.begin(context, proxy)
        except BaseException:
            self.windows.discard(window)
            await proxy.close()
            raise
        return window

    async def retire(self) -> None:
        """End it as soon as its last window is closed."""
        self._retired = True
        if not self.windows:
            await self.end()

    async def end(self) -> None:
        """End it now, if need be by force."""
        self._retired = False
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._browser.close(), CLOSE_SECONDS)
        if self.alive:
            self.kill()
        for window in list(self.windows):
            await window.close()
        self._launch.end()

    def kill(self) -> None:
        """Kill the browser's process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)

    def _on_disconnected(self, _: Browser) -> None:
        for window in self.windows:
            window.lost("gone")

    async def _on_window_closed(self, window: Window, sound: bool) -> None:
        """A window is closed, or could not be: then the browser does not answer any more."""
        self.windows.discard(window)
        if not sound and self.alive:
            self.kill()
        if self._retired and not self.windows:
            await self.end()
