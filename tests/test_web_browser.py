"""The browser as a whole: its thread, its renewal, its end, its layers, and what windows cost."""

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.chromium import Chromium
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.namespace import network_layer
from agentloop.environments.web.site import Answer
from agentloop.environments.web.window import Crashed, Window
from agentloop.errors import BadInput, EnvironmentFailed
from tests.web_twins import descriptors, family, memory_bytes, until

ROOT = Path(__file__).parent.parent
FENCE = Fence(["http://page.test"])
HOSTS = {"page.test": lambda path: Answer(f"<title>{path}</title><p>a page</p>".encode())}
MEGABYTE = 1024 * 1024

needs_namespace = pytest.mark.skipif(
    not network_layer().available, reason=f"SKIPPED: no network namespaces: {network_layer().why_not}"
)


@pytest.fixture
def own(browser: Browser) -> Iterator[Browser]:
    """A browser of the test's own, to break."""
    made = Browser(windows=3)
    yield made
    made.close()


async def opened(browser: Browser) -> Window:
    window = await browser.open(FENCE, hosts=HOSTS)
    assert await window.goto("http://page.test/")
    return window


async def works(browser: Browser) -> bool:
    """Whether a window can be opened, used and closed."""
    window = await opened(browser)
    try:
        return bool(await window.evaluate("() => document.title") == "/")
    finally:
        await window.close()


def chromium_of(browser: Browser) -> Chromium:
    assert browser._chromium is not None
    return browser._chromium


def alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_coroutines_run_in_the_browsers_thread_from_whatever_loop(browser: Browser) -> None:
    async def where() -> str:
        return threading.current_thread().name

    async def nested() -> str:
        return await browser.run(where())

    assert browser.do(where()) == asyncio.run(browser.run(where())) == browser.do(nested()) == "agentloop-web"


def test_what_a_coroutine_raises_arrives_at_the_asker(browser: Browser) -> None:
    async def wrong() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        browser.do(wrong())
    with pytest.raises(KeyError):
        asyncio.run(browser.run(wrong()))


def test_waiting_for_oneself_is_refused(browser: Browser) -> None:
    async def nothing() -> None:
        return None

    async def wrong() -> None:
        browser.do(nothing())

    with pytest.raises(BadInput, match="would wait for itself"):
        browser.do(wrong())


def test_giving_up_waiting_ends_the_work(browser: Browser) -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def asker() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(browser.run(forever()), 0.1)

    asyncio.run(asker())
    assert ended.wait(5)


def test_windows_are_opened_from_several_loops_at_once(browser: Browser) -> None:
    def session() -> None:
        found.append(asyncio.run(browser.run(works(browser))))

    found: list[bool] = []
    threads = [threading.Thread(target=session) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 4


def test_the_layers_are_told(browser: Browser) -> None:
    assert browser.layers[0] == "proxy"
    assert ("namespace" in browser.layers) == network_layer().available
    assert "namespace" not in Browser(namespace=False).layers


def test_an_odd_wish_is_a_mistake_that_is_explained() -> None:
    with pytest.raises(BadInput, match="namespace must be 'auto', True or False, got 'yes'"):
        Browser(namespace="yes")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="windows must be at least 1"):
        Browser(windows=0)


@needs_namespace
def test_in_a_network_of_its_own_there_is_nothing_but_its_proxies(browser: Browser) -> None:
    async def work() -> tuple[str, set[str]]:
        window = await opened(browser)
        try:
            process = chromium_of(browser).process
            lines = Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]
            devices = {line.split(":")[0].strip() for line in lines}
            return str(Path(f"/proc/{process}/ns/net").readlink()), devices
        finally:
            await window.close()

    namespace, devices = browser.do(work())
    assert namespace != str(Path("/proc/self/ns/net").readlink())
    assert devices <= {"lo", "sit0", "ip6tnl0", "tunl0"}


def test_the_browser_is_given_nothing_of_the_hosts_environment(browser: Browser) -> None:
    assert browser.do(works(browser))
    told = Path(f"/proc/{chromium_of(browser).process}/environ").read_bytes()
    names = {each.split(b"=")[0].decode() for each in told.split(b"\0") if each}
    assert names <= {"HOME", "PATH", "LANG", "PWD", "SHLVL", "_", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"}
    assert str(Path.home()).encode() not in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the browser another user")
def test_the_browser_does_not_run_as_root_and_keeps_its_own_sandbox(browser: Browser) -> None:
    assert browser.do(works(browser))
    process = chromium_of(browser).process
    assert ("user" in browser.layers) == (Path(f"/proc/{process}").stat().st_uid != 0)
    command = Path(f"/proc/{process}/cmdline").read_bytes()
    assert ("sandbox" in browser.layers) == (b"--no-sandbox" not in command)


def test_after_so_many_windows_a_new_chromium_takes_over_and_nobody_loses_a_window(own: Browser) -> None:
    async def work() -> tuple[int, int]:
        kept = await opened(own)
        first = chromium_of(own).process
        for _ in range(2):
            assert await works(own)
        assert chromium_of(own).process == first
        assert await works(own)
        second = chromium_of(own).process
        assert await kept.evaluate("() => document.title") == "/", "the window that was open lives on"
        assert alive(first)
        await kept.close()
        return first, second

    first, second = own.do(work())
    assert first != second and until(lambda: not alive(first)) and alive(second)


def test_closing_ends_a_chromium_too_whose_last_window_is_still_open(browser: Browser) -> None:
    own = Browser(windows=1)
    own.do(opened(own))
    first, folder = chromium_of(own).process, chromium_of(own)._launch.folder
    own.do(opened(own))
    second = chromium_of(own).process
    assert alive(first) and alive(second)
    own.close()
    assert until(lambda: not alive(first) and not alive(second)) and not folder.exists()


def test_a_chromium_that_grew_too_large_is_replaced(browser: Browser) -> None:
    own = Browser(memory_bytes=MEGABYTE)
    try:
        assert own.do(works(own))
        first = chromium_of(own).process
        assert own.do(works(own)) and chromium_of(own).process != first
    finally:
        own.close()


def test_when_chromium_dies_its_windows_say_so_and_the_next_one_opens(own: Browser) -> None:
    async def work() -> Any:
        window = await opened(own)
        os.kill(chromium_of(own).process, signal.SIGKILL)
        with pytest.raises(Crashed) as raised:
            await window.guarded(window.page.evaluate("() => new Promise(() => 0)"), 20)
        await window.close()
        return raised.value.why, await works(own)

    assert own.do(work()) == ("gone", True)


def test_when_playwrights_driver_dies_the_next_window_opens(own: Browser) -> None:
    assert own.do(works(own))
    drivers = [each for each in family(os.getpid()) if b"run-driver" in _command(each)]
    mine = [each for each in drivers if chromium_of(own).process in family(each)]
    os.kill(mine[0], signal.SIGKILL)
    assert until(lambda: not alive(mine[0]))
    assert own.do(asyncio.wait_for(works(own), 60))


def _command(process: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def test_closing_ends_every_process_and_leaves_no_folder(browser: Browser) -> None:
    before = family(os.getpid())
    own = Browser()
    assert own.do(works(own))
    folder = chromium_of(own)._launch.folder
    processes = family(os.getpid()) - before
    own.close()
    own.close()
    assert processes and until(lambda: not any(map(alive, processes)))
    assert not folder.exists()
    with pytest.raises(EnvironmentFailed, match="this browser is closed; make a new one"):
        own.do(works(own))


def test_a_browser_that_was_never_used_is_closed_without_starting() -> None:
    Browser().close()


@pytest.mark.parametrize("namespace", ["False", pytest.param("True", marks=needs_namespace)])
def test_chromium_does_not_outlive_a_host_that_is_killed(browser: Browser, namespace: str) -> None:
    places = ("agentloop-web-*", "playwright*")
    there = {path for place in places for path in Path(tempfile.gettempdir()).glob(place)}
    command = [sys.executable, "-m", "tests.web_host", namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as host:
        assert host.stdout is not None
        told = json.loads(host.stdout.readline())
        children = family(host.pid) - {host.pid, *told["processes"]}
        host.kill()
    try:
        assert until(lambda: not any(map(alive, told["processes"][1:])), 15), "only a forked child is left"
        made = {path for place in places for path in Path(tempfile.gettempdir()).glob(place)} - there
        assert until(
            lambda: not [path for path in made if path.name.startswith("agentloop") and path.exists()]
        )
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_after_a_fork_the_browser_refuses_and_the_host_goes_on(browser: Browser) -> None:
    assert browser.do(works(browser))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def child() -> None:
        try:
            browser.do(works(browser))
        except EnvironmentFailed as error:
            answers.put(str(error))
        browser.close()

    forked = context.Process(target=child)
    forked.start()
    assert "cannot be used after a fork" in answers.get(timeout=30)
    forked.join(30)
    assert browser.do(works(browser))


def test_all_sessions_of_a_process_share_one_browser_that_ends_with_it(browser: Browser) -> None:
    probe = (
        "import json, os\n"
        "from agentloop.environments.web.browser import Browser\n"
        "from tests.test_web_browser import works\n"
        "from tests.web_twins import family\n"
        "shared = Browser.shared()\n"
        "assert shared is Browser.shared() and shared.do(works(shared))\n"
        "print(json.dumps(sorted(family(os.getpid()) - {os.getpid()})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=100
    )
    assert done.returncode == 0, done.stderr
    processes = json.loads(done.stdout)
    assert len(processes) > 3 and until(lambda: not any(map(alive, processes)))
    assert done.stderr == ""


def test_a_page_that_is_busy_when_its_window_is_closed_leaves_no_process(browser: Browser) -> None:
    async def work() -> set[int]:
        window = await opened(browser)
        await window.evaluate("() => { new Worker('data:text/javascript,for(;;);'); }")
        there = family(chromium_of(browser).process)
        await window.close()
        return there

    browser.do(works(browser))
    idle = family(chromium_of(browser).process)
    busy = browser.do(work()) - idle
    assert until(lambda: not any(map(alive, busy)))


def test_a_further_window_costs_at_most_thirty_megabytes(browser: Browser) -> None:
    async def work() -> float:
        windows = [await opened(browser)]
        before = memory_bytes(chromium_of(browser).process)
        windows += [await opened(browser) for _ in range(6)]
        await asyncio.sleep(0.5)
        cost = (memory_bytes(chromium_of(browser).process) - before) / 6
        for window in windows:
            await window.close()
        return cost

    assert browser.do(work()) <= 30 * MEGABYTE


@pytest.mark.slow
def test_windows_that_were_closed_leave_nothing_behind(browser: Browser) -> None:
    own = Browser(windows=1000)

    def measured() -> tuple[int, int, int]:
        time.sleep(1)
        gc.collect()
        process = chromium_of(own).process
        return descriptors(), len(family(process)), memory_bytes(process)

    try:
        for _ in range(20):
            assert own.do(works(own))
        before = measured()
        for _ in range(120):
            assert own.do(works(own))
        after = measured()
    finally:
        own.close()
    assert after[0] <= before[0] + 2 and after[1] <= before[1] + 1
    assert after[2] - before[2] < 40 * MEGABYTE
