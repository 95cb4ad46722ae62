"""Small pages for the tests of the web sessions, and a site that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.environment import WebEnvironment
from agentloop.environments.web.session import WebSession
from agentloop.environments.web.site import Answer, Evaluates, Handler, Outcome, Start
from agentloop.types import Fact, Step, Task

FOLDER = Path(__file__).parent
ORIGIN = "http://pages.test"


class Pages:
    """Serves the pages of this folder. A page that sets ``window.outcome`` says what was reached."""

    reuses_pages = False

    def __init__(self) -> None:
        self.hosts: Mapping[str, Handler] = {"pages.test": answer, "other.test": answer}

    def start(self, task: Task) -> Start:
        web = task.public["web"]
        return Start(f"{ORIGIN}/{web['page']}.html", (ORIGIN, *web.get("origins", ())))

    async def begin(self, page: Evaluates, task: Task) -> str:
        return task.prompt

    async def outcome(self, page: Evaluates, task: Task) -> Outcome:
        told = await page.evaluate("() => window.outcome || null")
        return Outcome(**told) if told else Outcome()


def answer(target: str) -> Answer:
    """A page of this folder; ``/nowhere`` is not there."""
    path = FOLDER / urlsplit(target).path.lstrip("/")
    if path.parent != FOLDER or not path.is_file():
        return Answer(b"nothing here", "text/plain", 404)
    return Answer(path.read_bytes())


def task(page: str, **more: Any) -> Task:
    return Task(id=f"pages-{page}", prompt="Do it.", public={"web": {"site": "pages", "page": page, **more}})


class Visit:
    """A session in plain calls."""

    def __init__(self, session: WebSession, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self._loop = loop
        self.first: str = loop.run_until_complete(session.prompt())

    def step(self, action: str) -> Step:
        return self._loop.run_until_complete(self.session.step(action))

    def final(self) -> tuple[Fact, ...]:
        return tuple(self._loop.run_until_complete(self.session.final()))


@contextmanager
def visit(browser: Browser, page: str | Task, **options: Any) -> Iterator[Visit]:
    """A session at a page, with an environment of these options."""
    environment = WebEnvironment({"pages": Pages()}, browser=browser, **options)
    session = environment(task(page) if isinstance(page, str) else page)
    loop = asyncio.new_event_loop()
    try:
        yield Visit(session, loop)
    finally:
        loop.run_until_complete(session.close())
        loop.close()
        environment.close()


def lines(observation: str) -> list[str]:
    """The lines of an observation without their indentation, those between the fence if there is one."""
    inner = observation.partition("<observation>")[2].partition("</observation>")[0] or observation
    return [line.strip() for line in inner.strip().splitlines()]


def line_of(observation: str, words: str) -> str:
    """The one line in which these words stand."""
    found = [line for line in lines(observation) if words in line]
    assert len(found) == 1, (words, found, observation)
    return found[0]


def mark_of(observation: str, words: str) -> str:
    """The mark of the one line in which these words stand."""
    line = line_of(observation, words)
    assert line.startswith("["), line
    return line[1 : line.index("]")]


def fact_of(step: Step, kind: str) -> dict[str, Any]:
    """The data of the one fact of a kind."""
    found = [fact.data for fact in step.facts if fact.kind == kind]
    assert len(found) == 1, (kind, step.facts)
    return found[0]
