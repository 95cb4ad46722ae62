"""The two kinds of window that attacks are carried out in: guarded ones, and ones without any guard."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.site import Answer
from agentloop.environments.web.window import Window


class Guarded:
    """A window of ours."""

    def __init__(self, window: Window) -> None:
        self.window = window

    async def goto(self, url: str) -> Any:
        return await self.window.goto(url, 6)

    async def evaluate(self, text: str) -> Any:
        return await self.window.evaluate(text)

    async def click(self, selector: str) -> Any:
        return await self.window.guarded(self.window.page.click(selector))

    async def texts(self) -> list[str]:
        return [await page.inner_text("html") for page in self.window.pages]

    def pages(self) -> int:
        return len(self.window.pages)

    def facts(self) -> list[dict[str, Any]]:
        return [{"kind": fact.kind, **fact.data} for fact in self.window.stopped()]

    async def close(self) -> None:
        await self.window.close()


class Naive:
    """A context as it comes."""

    def __init__(self, context: Any) -> None:
        self.context = context

    async def goto(self, url: str) -> Any:
        return await (await self._page()).goto(url)

    async def evaluate(self, text: str) -> Any:
        return await (await self._page()).evaluate(text)

    async def click(self, selector: str) -> Any:
        return await (await self._page()).click(selector)

    async def texts(self) -> list[str]:
        return [await page.inner_text("html") for page in self.context.pages]

    def pages(self) -> int:
        return len(self.context.pages)

    def facts(self) -> list[dict[str, Any]]:
        return []

    async def close(self) -> None:
        await self.context.close()

    async def _page(self) -> Any:
        return self.context.pages[0] if self.context.pages else await self.context.new_page()


async def guarded(browser: Browser, origin: str) -> Guarded:
    """A guarded window that may reach one origin."""
    return Guarded(await browser.open(Fence([origin])))


async def next_episode_works(browser: Browser) -> bool:
    """Whether a fresh window loads a page, runs a script in it and takes a click."""
    window = await browser.open(Fence(["http://next.test"]), hosts={"next.test": _next})
    try:
        loaded = await window.goto("http://next.test/")
        await window.guarded(window.page.click("button"), 20)
        return loaded and await window.evaluate("() => document.title") == "clicked"
    finally:
        await window.close()


def _next(path: str) -> Answer:
    return Answer(b"<title>next</title><button onclick='document.title = \"clicked\"'>x</button>")


async def naive_browser(executable: str) -> Any:
    """A browser without guards, and what ends it."""
    from playwright.async_api import async_playwright

    playwright = await async_playwright().start()
    browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])

    async def end() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(browser.close(), 1)
        await playwright.stop()

    return browser, end
