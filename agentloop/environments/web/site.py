"""What a web environment needs to know of the pages that its tasks are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from agentloop.types import Fact, Task


class Start(NamedTuple):
    """Where a task begins, and what its pages may reach.

    ``origins`` are schemes with host and, where it is not the usual one, port
    (``https://example.org``, ``http://127.0.0.1:8000``); nothing else can be reached.
    """

    url: str
    origins: tuple[str, ...]


class Outcome(NamedTuple):
    """What a site makes of the pages as they stand. ``reward`` is None while there is nothing to tell."""

    reward: float | None = None
    done: bool = False
    passed: bool = False
    facts: tuple[Fact, ...] = ()


class Answer(NamedTuple):
    """One resource of a site that is answered from Python."""

    content: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200


Handler: TypeAlias = Callable[[str], Answer]
"""Answers a path with its query (``/search?q=tea``); called from the browser's thread, must not block."""


class Evaluates(Protocol):
    """The page of a session, as much of it as a site may use."""

    @property
    def url(self) -> str:
        """The address of the page that is shown."""
        ...

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function, called with ``argument``; Hung when it does not end."""
        ...


class Site(Protocol):
    """A family of pages: where its tasks start, how they are reset, and what was reached."""

    reuses_pages: bool
    """Whether ``begin`` sets a page that served an earlier session back to a fresh start, so that
    neither the page nor its context has to be opened anew. Only for pages that are not hostile."""

    hosts: Mapping[str, Handler]
    """Names of hosts that are answered from Python rather than over the network: ``{"shop.test": ...}``."""

    def start(self, task: Task) -> Start:
        """Where the task begins; BadInput when it is not of the site's form."""
        ...

    async def begin(self, page: Evaluates, task: Task) -> str:
        """Set the loaded page to the task's fresh start, by its seed; returns the goal in words."""
        ...

    async def outcome(self, page: Evaluates, task: Task) -> Outcome:
        """What the pages say now; asked after every action."""
        ...
