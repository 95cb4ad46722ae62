"""Our own script in a page: in an isolated world, whose functions the page can neither see nor change."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentloop.environments.web.fence import BLANK
from agentloop.environments.web.window import Window
from agentloop.errors import EnvironmentFailed

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

NAME = "agentloop"
SCRIPTS = ("seeing", "naming", "tree", "markup", "acting", "waiting", "showing")
MOST_UNREACHED = 5
TRIES = 8
"""How often the page may move on to a next one, by redirects of its own, while it is asked something."""
MOVED_ON = (
    "Cannot find context",
    "context was destroyed",
    "Cannot find default execution context",
    "navigated or closed",
    "No frame for given id",
    "Promise was collected",
)


@cache
def script() -> str:
    """The functions that look at a page and act in it, as one script."""
    parts = [_resource(name) for name in SCRIPTS]
    return f"(() => {{\n'use strict';\n{''.join(parts)}\n}})()"


@cache
def listeners() -> str:
    """The script that is run in every page before its own, so that elements can tell what listens to them."""
    return _resource("listeners")


def _resource(name: str) -> str:
    folder = resources.files("agentloop.environments.web") / "page"
    return (folder / f"{name}.js").read_text(encoding="utf-8")


class Worlds:
    """The isolated worlds of the pages of one window. Used in the browser's thread."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._sessions: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()
        self._contexts: WeakKeyDictionary[Page, int] = WeakKeyDictionary()
        self._making = asyncio.Lock()
        self.opening = 0
        """How many further pages were asked for by clicks and keys that may be reached, come or not."""
        self.unreached: deque[str] = deque(maxlen=MOST_UNREACHED)
        """The addresses of pages that were to be shown and could not be."""

    async def ask(self, function: str, *arguments: Any, seconds: float = 2.0) -> Any:
        """What one of our functions says of the page that is shown; of the next page where it moves on.

        Crashed when the page is lost meanwhile, TimeoutError after ``seconds``.
        """
        call = f"{NAME}.{function}({', '.join(json.dumps(each) for each in arguments)})"
        for _ in range(TRIES):
            page = self._window.page
            try:
                return await self._window.guarded(self._evaluate(page, call), seconds)
            except Exception as error:  # Playwright's own kinds tell these cases apart by their words alone
                if not moved_on(error, page):
                    raise
                self._contexts.pop(page, None)
        raise TimeoutError(f"the page moved on {TRIES} times while it was looked at")

    async def send(self, command: str, **parameters: Any) -> Any:
        """The answer of the page that is shown to a command of the Chrome DevTools Protocol."""
        return await self._window.guarded(self._sent(self._window.page, command, parameters))

    async def _sent(self, page: Page, command: str, parameters: dict[str, Any]) -> Any:
        return await (await self._session(page)).send(command, parameters)

    async def _session(self, page: Page) -> CDPSession:
        async with self._making:  # several may ask at once for the first time
            session = self._sessions.get(page)
            if session is None:
                session = self._sessions[page] = await page.context.new_cdp_session(page)
                session.on("Page.windowOpen", self._on_window_open)
                await session.send("Page.enable")
            return session

    def _on_window_open(self, event: dict[str, Any]) -> None:
        url = event["url"] or BLANK
        if self._window.fence.refusal(url):
            self.unreached.append(url)
        else:
            self.opening += bool(event.get("userGesture"))

    async def _evaluate(self, page: Page, call: str) -> Any:
        session = await self._session(page)
        context = self._contexts.get(page)
        if context is None:
            context = self._contexts[page] = await self._begun(session)
        return _value(
            await session.send(
                "Runtime.evaluate",
                {"expression": call, "contextId": context, "awaitPromise": True, "returnByValue": True},
            )
        )

    async def _begun(self, session: CDPSession) -> int:
        """Make the world in the page as it is now."""
        tree = await session.send("Page.getFrameTree")
        asked = {
            "frameId": tree["frameTree"]["frame"]["id"],
            "worldName": NAME,
        }
        context: int = (await session.send("Page.createIsolatedWorld", asked))["executionContextId"]
        _value(await session.send("Runtime.evaluate", {"expression": script(), "contextId": context}))
        return context


def moved_on(error: Exception, page: Page) -> bool:
    """Whether something failed because its page gave way to the next one, or was closed by itself."""
    return page.is_closed() or any(sign in str(error) for sign in MOVED_ON)


def _value(answer: Any) -> Any:
    if "exceptionDetails" in answer:
        details = answer["exceptionDetails"]
        told = details.get("exception", {}).get("description") or details.get("text")
        raise EnvironmentFailed(f"the script that looks at pages failed: {told!s:.500}")
    return answer["result"].get("value")
