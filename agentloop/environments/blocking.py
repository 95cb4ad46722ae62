"""Coroutines run from plain code: an event loop in a thread of its own, for callers that cannot await."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Blocking:
    """Runs coroutines one after the other in one thread, and blocks until each is done.

    All of them share the thread, so that a plain session driven in them keeps its thread for life.
    It starts with the first and ends with ``close``, or when this object is forgotten::

        blocking = Blocking()
        prompt = blocking.run(episode.begin())
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: Callable[[], object] = lambda: None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What ``coroutine`` gives; raises what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop or self._begin()).result()

    def close(self) -> None:
        """End the thread; a later coroutine starts another."""
        self._loop = None
        self._end()

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(loop,), name="agentloop-blocking", daemon=True)
        thread.start()
        self._loop = loop
        self._end = weakref.finalize(self, _stop, loop, thread)
        return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    # The runner, on leaving, cancels what still runs and ends the threads that were used.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    # A forgotten object may be collected in the very thread that is to end.
    if thread is not threading.current_thread():
        thread.join()
