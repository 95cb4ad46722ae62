"""Runs a coroutine from plain code, in a notebook too, where an event loop already runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import wait
from typing import Any, TypeVar

T = TypeVar("T")

HEAR_SECONDS = 0.2
"""How soon Ctrl-C is heard."""


class BackgroundLoop:
    """One event loop in a daemon thread, started on first use and kept for the life of the process.

    Models and pools bind themselves to the loop they are first used in; one loop for every
    synchronous call lets them be used again.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end and return the result; Ctrl-C cancels the coroutine and waits for it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._started())
        try:
            # The kernel may hand Ctrl-C to any thread; a wait without end would then never wake for it.
            while not future.done():
                wait([future], timeout=HEAR_SECONDS)
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="agentloop", daemon=True).start()
            return self._loop


background = BackgroundLoop()
