"""Calls what a user brings, be it plain or async, without holding up the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from agentloop.types import Session, Step, Task

T = TypeVar("T")


def is_async(function: Any) -> bool:
    """Whether calling ``function`` gives something to await, as far as its definition tells."""
    inner = getattr(function, "__wrapped__", function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


async def bring(
    function: Callable[..., T | Awaitable[T]], *arguments: Any, executor: Executor | None = None
) -> T:
    """Call an async function here, a plain one in a thread of ``executor``; await what is awaitable."""
    result: Any
    if is_async(function):
        result = function(*arguments)
    else:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(executor, lambda: context.run(function, *arguments))
    brought: T = await result if inspect.isawaitable(result) else result
    return brought


class OpenSession:
    """One environment session: async as it is, or plain in one thread for its whole life.

    A plain session keeps its thread because, for one, a database handle may not change threads.
    """

    def __init__(self, session: Session, thread: ThreadPoolExecutor | None) -> None:
        self.session = session
        self._thread = thread

    @classmethod
    async def open(cls, environment: Callable[[Task], Any], task: Task) -> OpenSession:
        """Open a session for ``task``."""
        if is_async(environment) or is_async(getattr(environment, "step", None)) or _opens_async(environment):
            session = environment(task)
            return cls(await session if inspect.isawaitable(session) else session, None)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="session")
        try:
            session = await bring(environment, task, executor=thread)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        if is_async(getattr(session, "step", None)):
            thread.shutdown(wait=False)
            return cls(session, None)
        return cls(session, thread)

    async def prompt(self) -> str:
        """What the agent is shown first."""
        text: str = await self._call(self.session.prompt)
        return text

    async def step(self, action: str) -> Step:
        """Carry out one action."""
        step: Step = await self._call(self.session.step, action)
        return step

    async def final(self) -> tuple[Any, ...]:
        """The facts of the end state; none when the session does not tell."""
        final = getattr(self.session, "final", None)
        return tuple(await self._call(final)) if final is not None else ()

    async def snapshot(self) -> Any:
        """The state, for ``restore``; None when the session gives none."""
        snapshot = getattr(self.session, "snapshot", None)
        return None if snapshot is None else await self._call(snapshot)

    async def restore(self, state: Any) -> bool:
        """Take up a state that ``snapshot`` gave; False when the session cannot."""
        restore = getattr(self.session, "restore", None)
        if restore is not None:
            await self._call(restore, state)
        return restore is not None

    async def close(self) -> None:
        """Give the session back."""
        try:
            await self._call(self.session.close)
        finally:
            if self._thread is not None:
                self._thread.shutdown(wait=False)

    async def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        if self._thread is None:
            result = method(*arguments)
            return await result if inspect.isawaitable(result) else result
        return await bring(method, *arguments, executor=self._thread)


def _opens_async(environment: Any) -> bool:
    """An environment can say that its sessions are async and quick to open."""
    return bool(getattr(environment, "async_sessions", False))
