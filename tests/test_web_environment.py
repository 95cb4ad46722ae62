"""The environment of web pages: what it takes, which sites it knows, and what it loads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments import WebEnvironment
from agentloop.environments.web.browser import Browser
from agentloop.environments.web.environment import BUILT_IN
from agentloop.environments.web.world import listeners, script
from agentloop.errors import BadInput
from agentloop.types import Task
from tests.web_pages import FOLDER, Pages, lines, mark_of, task, visit


class Quiet(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        """Give a page; ``slow.html`` is another one's name, and takes its time."""
        if self.path == "/slow.html":
            time.sleep(0.6)
            self.path = "/plain.html"
        super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine that has the test pages."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(FOLDER)))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def at(**web: Any) -> Task:
    return Task(id="somewhere", prompt="Look around.", public={"web": web})


def test_a_task_names_a_page_by_its_address(server: str, browser: Browser) -> None:
    with visit(browser, at(url=f"{server}/plain.html")) as page:
        assert lines(page.first) == [
            f"RootWebArea 'Plain', url='{server}/plain.html'",
            "StaticText 'plain words'",
            "[1] button 'Press'",
        ]
        assert page.final() == ()


def test_its_own_origin_is_all_that_such_a_task_reaches(server: str, browser: Browser) -> None:
    with visit(browser, at(url=f"{server}/plain.html")) as page:
        assert "may not be reached" in page.step("goto('http://127.0.0.1:1/')").observation
        assert "RootWebArea 'Controls'" in page.step(f"goto('{server}/controls.html')").observation


@pytest.mark.parametrize(
    ("words", "first"),
    [("Slow page", "RootWebArea 'Plain'"), ("Soon slow", "RootWebArea 'Plain'"), ("Slow tab", "Tab 0: ")],
)
def test_a_page_that_is_on_its_way_is_waited_for(
    words: str, first: str, server: str, browser: Browser
) -> None:
    with visit(browser, at(url=f"{server}/odd.html")) as page:
        observed = page.step(f"click('{mark_of(page.first, words)}')").observation
    assert observed.startswith(first)
    assert "StaticText 'plain words'" in observed


@pytest.mark.parametrize(
    ("web", "words"),
    [
        (None, "needs public['web'] of the form"),
        ({}, "needs public['web'] of the form"),
        ({"url": 3}, "needs public['web'] of the form"),
        ({"url": "file:///etc/passwd"}, "which is no address of http or https"),
        ({"url": "javascript:alert(1)"}, "which is no address of http or https"),
        ({"url": "http://a.test/", "origins": "http://a.test"}, "needs a list of origins"),
        ({"url": "http://a.test/", "origins": ["http://b.test"]}, "which its origins do not allow (origin)"),
        ({"url": "http://a.test/", "origins": ["http://a.test/path"]}, "an origin must be"),
        ({"site": "miniwub"}, "no site named 'miniwub'; did you mean 'miniwob'? Known: miniwob, pages, shop"),
        ({"site": 3}, "no site named 3"),
    ],
)
def test_a_task_that_does_not_say_where_it_is_is_refused(web: Any, words: str) -> None:
    environment = WebEnvironment({"pages": Pages()})
    with pytest.raises(BadInput) as refused:
        environment(Task(id="t", prompt="p", public={} if web is None else {"web": web}))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"observation": "html"}, "observation must be one of axtree, dom, text, screenshot, got 'html'"),
        ({"characters": 10}, "characters must be at least 500, got 10"),
        ({"viewport": (10, 10)}, "viewport must be a width and a height"),
        ({"viewport": 5}, "viewport must be a width and a height"),
        ({"observation": "screenshot"}, "needs a folder"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        WebEnvironment(**options)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_sites_that_come_with_agentloop_are_found_by_their_names(name: str) -> None:
    environment = WebEnvironment()
    site = environment.site(name)
    assert environment.site(name) is site
    assert site.hosts
    assert environment.grades(site)


def test_sessions_are_opened_without_waiting_for_a_browser(browser: Browser) -> None:
    environment = WebEnvironment({"pages": Pages()}, browser=browser)
    assert environment.async_sessions
    session = environment(task("plain"))
    asyncio.run(session.close())
    environment.close()


def test_nothing_of_the_environment_loads_a_browsers_driver_before_it_is_used(tmp_path: Path) -> None:
    code = (
        "import sys; from agentloop.environments import WebEnvironment; WebEnvironment(); "
        "print([name for name in ('playwright', 'miniwob', 'greenlet') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(FOLDER.parent.parent)},
    )
    assert done.stdout.strip() == "[]"


def test_the_scripts_for_pages_come_with_the_package() -> None:
    assert "globalThis.agentloop" in script()
    assert "agentloop-listens" in listeners()
