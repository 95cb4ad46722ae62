"""A window: what its pages may do, what is told of what they may not, and how endless scripts end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.site import Answer, Handler
from agentloop.environments.web.window import PAGES, TOLD, Crashed, Hung, Window
from tests.web_twins import canary, in_time, server, when

ENDED_SECONDS = 2.5

Work = Callable[[Window], Coroutine[Any, Any, Any]]


def showing(content: str) -> Handler:
    return lambda path: Answer(content.encode())


@asynccontextmanager
async def opened(browser: Browser, content: str, *origins: str) -> AsyncIterator[Window]:
    """A window that shows a page."""
    hosts = {"page.test": showing(content)}
    window = await browser.open(Fence(["http://page.test", *origins]), hosts=hosts)
    try:
        assert await window.goto("http://page.test/")
        yield window
    finally:
        await window.close()


def on(browser: Browser, content: str, work: Work, *origins: str) -> Any:
    """What ``work`` makes of a window that shows a page."""

    async def whole() -> Any:
        async with opened(browser, content, *origins) as window:
            return await work(window)

    return browser.do(whole())


def refusals(window: Window) -> list[dict[str, Any]]:
    return [dict(fact.data) for fact in window.stopped() if fact.kind == "refused"]


def crashes(window: Window) -> list[str]:
    return [fact.data["why"] for fact in window.stopped() if fact.kind == "crashed"]


def test_a_page_is_loaded_and_scripts_of_ours_run_in_it(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        return window.page.url, await window.evaluate("(by) => document.title + by", "!")

    assert on(browser, "<title>a page</title>", work) == ("http://page.test/", "a page!")


def test_a_window_shares_no_cookies_and_no_storage_with_another(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.evaluate("() => { document.cookie = 'a=b'; localStorage.a = 'b'; }")
        async with opened(browser, "x") as other:
            return await other.evaluate("() => document.cookie + (localStorage.a ?? '')")

    assert on(browser, "x", work) == ""


def test_two_windows_have_a_fence_each(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        async with opened(browser, "x", "http://other.test") as other:
            return await window.goto("http://other.test/"), other.fence.refusal("http://other.test/")

    assert on(browser, "x", work) == (False, None)


def test_an_address_that_is_not_allowed_leaves_the_page_as_it_is_and_is_told(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        went = [await window.goto(url) for url in ("http://evil.test/", "file:///etc/passwd")]
        return went, window.page.url, refusals(window)

    went, url, told = on(browser, "x", work)
    assert went == [False, False] and url == "http://page.test/"
    assert told == [
        {"what": "origin", "url": "http://evil.test/"},
        {"what": "scheme", "url": "file:///etc/passwd"},
    ]


def test_a_redirect_to_a_refused_origin_leaves_the_page_as_it_is(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        went = await window.goto(f"{allowed.origin}/redirect?to=http://127.0.0.1:{other.port}/x")
        return went, window.page.url, refusals(window)

    with server() as allowed, canary() as other:
        went, url, told = on(browser, "x", work, allowed.origin)
        assert other.reached == []
    assert not went and url == "http://page.test/"
    assert told == [{"what": "origin", "url": f"http://127.0.0.1:{other.port}/x"}]


def test_a_link_to_a_refused_secure_origin_leaves_the_page_as_it_is(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.guarded(window.page.click("a"), 20)
        told: list[Any] = []
        assert await when(lambda: told.extend(refusals(window)) or told)
        return window.page.url, told

    url, told = on(browser, "<a href='https://evil.test/x'>x</a>", work)
    assert url == "http://page.test/" and told == [{"what": "origin", "url": "https://evil.test/x"}]


def test_a_file_does_not_load_even_when_playwright_is_asked_for_it(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        with pytest.raises(Exception, match="ERR_ABORTED"):
            await window.page.goto("file:///etc/passwd")
        return window.page.url, refusals(window)

    url, told = on(browser, "x", work)
    assert url == "http://page.test/" and told[0]["what"] == "scheme"


def test_a_page_that_is_gone_on_from_while_it_loads_does_not_hold_anybody_up(browser: Browser) -> None:
    content = (
        "<form method=post action='http://evil.test/'></form><script>document.forms[0].submit()</script>"
    )

    async def work(window: Window) -> Any:
        return window.page.url, await window.evaluate("() => document.forms.length")

    assert on(browser, content, work) == ("http://page.test/", 1)


def test_what_was_stopped_is_told_once(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.goto("http://evil.test/")
        return len(window.stopped()), len(window.stopped())

    assert on(browser, "x", work) == (1, 0)


def test_a_flood_of_refusals_is_told_as_a_number(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        for number in range(TOLD + 5):
            await window.goto(f"http://evil.test/{number}")
        return window.stopped()

    told = on(browser, "x", work)
    assert len(told) == TOLD + 1
    assert told[-1].data == {"what": "further", "times": 5}


@pytest.mark.parametrize("kind", ["alert", "confirm", "prompt"])
def test_a_dialog_is_dismissed_and_told(browser: Browser, kind: str) -> None:
    async def work(window: Window) -> Any:
        return await window.evaluate(f"() => String({kind}('well?'))"), refusals(window)

    said, told = on(browser, "x", work)
    assert said in ("undefined", "false", "null")
    assert told == [{"what": "dialog", "dialog": kind, "text": "well?"}]


def test_a_page_that_does_not_want_to_be_left_is_left(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.guarded(window.page.click("body"), 20)
        return await window.goto("http://page.test/2"), window.page.url, refusals(window)

    content = "<body>x<script>onbeforeunload = (event) => event.preventDefault()</script>"
    went, url, told = on(browser, content, work)
    assert went and url == "http://page.test/2" and told[0]["dialog"] == "beforeunload"


def test_a_download_is_refused_and_told(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        return await window.goto(f"{allowed.origin}/attachment"), refusals(window)

    with server() as allowed:
        went, told = on(browser, "x", work, allowed.origin)
        assert not went and told == [{"what": "download", "url": f"{allowed.origin}/attachment"}]


def test_a_popup_is_shown_and_the_page_before_it_when_it_is_closed(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.evaluate("() => void open('/2')")
        assert await when(lambda: window.page.url == "http://page.test/2")
        await window.page.close()
        return window.page.url

    assert on(browser, "x", work) == "http://page.test/"


def test_only_so_many_pages_are_open_at_once(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        made = [await window.new_page() for _ in range(PAGES)]
        return made, len(window.pages), refusals(window)

    made, pages, told = on(browser, "x", work)
    assert made == [True] * (PAGES - 1) + [False] and pages == PAGES
    assert told == [{"what": "popup"}]


def test_a_web_socket_to_another_origin_is_told_as_one(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.evaluate(
            "() => new Promise((done) => { new WebSocket('ws://evil.test/x').onerror = done })"
        )
        return refusals(window)

    assert {"what": "web_socket", "url": "ws://evil.test/x"} in on(browser, "x", work)


def test_what_has_no_place_in_an_episode_is_not_there(browser: Browser) -> None:
    script = """async () => {
        const frame = document.createElement("iframe");
        document.body.append(frame);
        const found = [];
        for (const each of [window, frame.contentWindow])
            for (const name of ["RTCPeerConnection", "RTCDataChannel", "WebTransport", "SharedWorker"])
                if (name in each) found.push(name);
        if ("serviceWorker" in navigator) found.push("serviceWorker");
        for (const name of ["geolocation", "notifications", "camera", "microphone", "clipboard-read", "midi"])
            if ((await navigator.permissions.query({name})).state !== "denied") found.push(name);
        return found;
    }"""

    async def work(window: Window) -> Any:
        return await window.evaluate(script)

    assert on(browser, "<body>", work) == []


@pytest.mark.parametrize(
    "script",
    [
        "() => { for (;;); }",
        "() => { const f = () => Promise.resolve().then(f); return f(); }",
        "() => { setInterval(() => { for (;;); }, 5); return new Promise(() => 0); }",
        "() => { for (;;) alert('x'); }",
        "() => { const w = new Worker('data:text/javascript,for(;;);'); return new Promise(() => 0); }",
    ],
)
def test_an_endless_script_is_ended_in_time_and_told(browser: Browser, script: str) -> None:
    async def work(window: Window) -> Any:
        began = time.monotonic()
        with pytest.raises(Hung):
            await window.guarded(window.page.evaluate(script), 20)
        return time.monotonic() - began, crashes(window)

    seconds, told = on(browser, "<body>", work)
    assert seconds < in_time(ENDED_SECONDS) and told == ["endless_script"]


def test_an_endless_script_is_ended_though_nobody_waits_for_it(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.evaluate("() => { setTimeout(() => { for (;;); }, 10); }")
        told: list[str] = []
        await when(lambda: told.extend(crashes(window)) or told, in_time(ENDED_SECONDS))
        return told

    assert on(browser, "<body>", work) == ["endless_script"]


def test_an_endless_script_in_a_popup_is_ended(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        await window.evaluate("() => void open('/2', '_blank', 'noopener')")
        assert await when(lambda: window.page.url == "http://page.test/2")
        with pytest.raises(Hung):
            await window.guarded(window.page.evaluate("() => { for (;;); }"), 20)
        return window.page.url, len(window.pages)

    assert on(browser, "<body>", work) == ("http://page.test/", 1)


def test_after_a_crash_a_new_page_can_be_opened_in_the_window(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        with pytest.raises(Hung):
            await window.evaluate("() => { for (;;); }")
        with pytest.raises(Hung):
            await window.evaluate("() => 1")
        await window.new_page()
        await window.goto("http://page.test/")
        return await window.evaluate("() => document.title")

    assert on(browser, "<title>again</title>", work) == "again"


def test_a_page_that_takes_too_much_memory_crashes_and_says_why(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        with pytest.raises(Crashed) as raised:
            script = "() => { const kept = []; for (;;) kept.push(new Array(1e6).fill(0.5)); }"
            await window.guarded(window.page.evaluate(script), 20)
        return raised.value.why, crashes(window)

    assert on(browser, "<body>", work) == ("memory", ["memory"])


@pytest.mark.slow
def test_a_page_that_takes_memory_outside_of_scripts_is_killed(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        script = """async () => {
            const kept = [];
            const rest = () => new Promise((done) => setTimeout(done, 1));
            for (;;) { kept.push(new Uint8Array(5e7).fill(1)); await rest(); }
        }"""
        with pytest.raises(Crashed) as raised:
            await window.guarded(window.page.evaluate(script), 60)
        return raised.value.why

    assert on(browser, "<body>", work) == "memory"


def test_a_page_that_is_merely_slow_is_not_ended(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        with pytest.raises(TimeoutError):
            await window.guarded(window.page.evaluate("() => new Promise(() => 0)"), 0.3)
        await window.evaluate("() => { const end = Date.now() + 600; while (Date.now() < end); }")
        return await window.evaluate("() => 1"), window.stopped()

    assert on(browser, "<body>", work) == (1, ())


def test_an_ordinary_mistake_of_a_script_is_told_as_such(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        with pytest.raises(Exception, match="missing is not defined"):
            await window.evaluate("() => missing()")
        return window.stopped()

    assert on(browser, "<body>", work) == ()


def test_a_window_can_be_closed_twice_and_while_a_script_runs(browser: Browser) -> None:
    async def work(window: Window) -> Any:
        running = asyncio.ensure_future(window.guarded(window.page.evaluate("() => { for (;;); }"), 20))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await window.close()
        await window.close()
        with pytest.raises(Exception, match="closed|crashed"):
            await running
        return time.monotonic() - began

    assert on(browser, "<body>", work) < in_time(ENDED_SECONDS)
