"""The proxy alone: what it answers, refuses and forwards, asked over plain sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from agentloop.environments.web import proxy as proxies
from agentloop.environments.web.fence import Fence
from agentloop.environments.web.proxy import Proxy
from agentloop.environments.web.site import Answer
from tests.web_twins import Route, canary, server


class Asking:
    """A proxy and what it told, in the event loop of the test."""

    def __init__(
        self, fence: Fence, resolve: Callable[[str, int], Awaitable[Sequence[str]]] | None = None
    ) -> None:
        self.told: list[tuple[str, str]] = []
        options = {} if resolve is None else {"resolve": resolve}
        self.proxy = Proxy(
            fence, {"shop.test": self.shop}, told=lambda what, url: self.told.append((what, url)), **options
        )
        self.asked: list[str] = []

    def shop(self, path: str) -> Answer:
        self.asked.append(path)
        if path == "/broken":
            raise RuntimeError("broken")
        return Answer(b"<p>shop</p>")

    async def begin(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        self.place = listening.getsockname()
        await self.proxy.serve(listening)

    async def say(self, *parts: bytes) -> bytes:
        """What comes back over one connection until it is closed, or nothing more comes."""
        reader, writer = await asyncio.open_connection(*self.place)
        with contextlib.suppress(OSError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
        received = b""
        with contextlib.suppress(TimeoutError, OSError):
            while part := await asyncio.wait_for(reader.read(1 << 20), 0.5):
                received += part
        writer.close()
        return received


def ask(
    fence: Fence, *parts: bytes, resolve: Callable[[str, int], Awaitable[Sequence[str]]] | None = None
) -> tuple[bytes, Asking]:
    """Say something to a fresh proxy on one connection."""

    async def whole() -> tuple[bytes, Asking]:
        asking = Asking(fence, resolve)
        await asking.begin()
        try:
            return await asking.say(*parts), asking
        finally:
            await asking.proxy.close()

    return asyncio.run(whole())


def get(url: str, *headers: str, method: str = "GET", host: str = "x") -> bytes:
    return "\r\n".join([f"{method} {url} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def connect(place: str) -> bytes:
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()


SHOP = Fence(["http://shop.test"])


def test_a_host_of_ours_is_answered_from_python() -> None:
    said, asking = ask(SHOP, get("http://shop.test/a?b=c"))
    assert said.startswith(b"HTTP/1.1 200") and said.endswith(b"<p>shop</p>")
    assert asking.asked == ["/a?b=c"]


def test_a_host_of_ours_is_answered_only_where_the_fence_names_it() -> None:
    said, asking = ask(Fence([]), get("http://shop.test/"))
    assert said.startswith(b"HTTP/1.1 403")
    assert asking.asked == [] and asking.told == [("origin", "http://shop.test/")]


def test_several_requests_go_over_one_connection() -> None:
    said, asking = ask(SHOP, get("http://shop.test/1"), get("http://shop.test/2"))
    assert said.count(b"200") == 2 and asking.asked == ["/1", "/2"]


def test_a_site_that_fails_is_an_answer_and_the_next_request_is_served() -> None:
    said, _ = ask(SHOP, get("http://shop.test/broken"), get("http://shop.test/"))
    assert said.startswith(b"HTTP/1.1 500") and said.endswith(b"<p>shop</p>")


def test_nothing_but_get_and_head_is_asked_of_a_host_of_ours() -> None:
    said, asking = ask(SHOP, get("http://shop.test/", "Content-Length: 2", method="POST") + b"ab")
    assert said.startswith(b"HTTP/1.1 405") and asking.asked == []


def test_a_head_request_is_answered_without_the_content() -> None:
    said, _ = ask(SHOP, get("http://shop.test/", method="HEAD"))
    assert said.startswith(b"HTTP/1.1 200") and b"shop" not in said


def test_a_refused_request_reaches_nobody() -> None:
    with canary() as other:
        said, asking = ask(SHOP, get(f"http://127.0.0.1:{other.port}/x"))
        assert said.startswith(b"HTTP/1.1 403") and other.reached == []
    assert asking.told == [("origin", f"http://127.0.0.1:{other.port}/x")]


def test_a_page_that_was_to_be_left_for_a_refused_one_is_told_to_stay() -> None:
    said, _ = ask(SHOP, get("http://evil.test/", "Upgrade-Insecure-Requests: 1"))
    assert said.startswith(b"HTTP/1.1 204")


def test_a_refused_tunnel_reaches_nobody() -> None:
    with canary() as other:
        said, asking = ask(SHOP, connect(f"127.0.0.1:{other.port}"), b"hello")
        assert said.startswith(b"HTTP/1.1 403") and other.reached == []
    assert asking.told == [("origin", f"127.0.0.1:{other.port}")]


def test_there_is_no_tunnel_to_a_host_of_ours() -> None:
    said, _ = ask(Fence(["http://shop.test", "https://shop.test"]), connect("shop.test:443"))
    assert said.startswith(b"HTTP/1.1 403")


def test_a_request_is_forwarded_to_an_allowed_origin() -> None:
    with server() as far:
        said, asking = ask(Fence([far.origin]), get(f"{far.origin}/hello", host=f"127.0.0.1:{far.port}"))
        assert said.startswith(b"HTTP/1.1 200") and b"<p>hello</p>" in said
        assert far.asked == ["/hello"] and asking.told == []


def test_a_redirect_is_passed_on_and_not_followed() -> None:
    with server() as far, canary() as other:
        said, _ = ask(Fence([far.origin]), get(f"{far.origin}/redirect?to=http://127.0.0.1:{other.port}/"))
        assert said.startswith(b"HTTP/1.1 302") and other.reached == []


def test_a_tunnel_carries_bytes_both_ways() -> None:
    with server() as far:
        fence = Fence([f"https://127.0.0.1:{far.port}"])
        said, _ = ask(fence, connect(f"127.0.0.1:{far.port}"), b"GET /hello HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200") and b"<p>hello</p>" in said


def test_a_body_is_forwarded_whole() -> None:
    bodies: list[str] = []

    def routes(path: str) -> Route | None:
        bodies.append(path)
        return None

    with server(routes) as far:
        body = b"b" * 300_000
        head = get(f"{far.origin}/hello", f"Content-Length: {len(body)}", method="POST")
        said, _ = ask(Fence([far.origin]), head, body)
    assert said.startswith(b"HTTP/1.1 200") and bodies == ["/hello"]


def test_a_body_beyond_all_measure_ends_the_connection() -> None:
    with server() as far:
        length = proxies.BODY_BYTES + 1
        head = get(f"{far.origin}/hello", f"Content-Length: {length}", method="POST")
        parts = [b"b" * (1 << 20)] * (length // (1 << 20) + 1)
        said, _ = ask(Fence([far.origin]), head, *parts)
    assert b"200" not in said


def named(*answers: Sequence[str]) -> tuple[Callable[[str, int], Awaitable[Sequence[str]]], list[str]]:
    """A name server whose answers change from one question to the next, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
@pytest.mark.parametrize("tunnel", [False, True])
def test_an_allowed_name_that_leads_inwards_is_refused(address: str, tunnel: bool) -> None:
    with canary() as inner:
        place = f"rebound.example:{inner.port}"
        resolve, _ = named([address])
        said, asking = ask(
            Fence([f"http://{place}"]), connect(place) if tunnel else get(f"http://{place}/"), resolve=resolve
        )
        assert said.startswith(b"HTTP/1.1 403") and inner.reached == []
    assert [what for what, _ in asking.told] == ["address"]


def test_a_name_is_asked_for_once_and_the_address_that_was_checked_is_the_one_connected_to() -> None:
    with server() as far, canary() as inner:
        resolve, asked = named(["127.0.0.1"], ["127.0.0.2"])
        said, _ = ask(
            Fence([f"http://localhost:{far.port}"]),
            get(f"http://localhost:{far.port}/hello"),
            resolve=resolve,
        )
        assert b"<p>hello</p>" in said and asked == ["localhost"] and inner.reached == []


def test_of_several_addresses_the_ones_that_lead_inwards_are_left_out() -> None:
    with server() as far:
        resolve, _ = named(["10.255.255.1", "169.254.169.254", "127.0.0.1"])
        fence = Fence([f"http://localhost:{far.port}"])
        said, _ = ask(fence, get(f"http://localhost:{far.port}/hello"), resolve=resolve)
    assert b"<p>hello</p>" in said


@pytest.mark.parametrize(
    "asked",
    [
        b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\n\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://shop.test/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://shop.test/#a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://a@shop.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET https://shop.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ftp://shop.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        b"CONNECT shop.test HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT http://shop.test:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"nonsense\r\n\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 140_000 + b"\r\n\r\n",
    ],
)
def test_a_request_that_is_not_a_plain_one_gets_no_page(asked: bytes) -> None:
    said, asking = ask(Fence(["http://shop.test", "https://shop.test"]), asked)
    assert b" 200" not in said and asking.asked == []


def test_a_request_hidden_in_the_body_of_another_is_not_seen_as_one() -> None:
    with server() as far:
        hidden = get(f"{far.origin}/hidden")
        head = get(
            f"{far.origin}/hello",
            f"Content-Length: {len(hidden)}",
            "Transfer-Encoding: chunked",
            method="POST",
        )
        ask(Fence([far.origin]), head + b"0\r\n\r\n" + hidden)
        whole = get(f"{far.origin}/hello", f"Content-Length: {len(hidden)}", method="POST") + hidden
        ask(Fence([far.origin]), whole)
        assert far.asked.count("/hidden") <= 1, "what is framed twice is one request to both sides"
        assert far.asked[-1] == "/hello"


def test_a_service_workers_script_is_refused() -> None:
    with server() as far:
        said, asking = ask(Fence([far.origin]), get(f"{far.origin}/hello", "Service-Worker: script"))
    assert said.startswith(b"HTTP/1.1 403") and asking.told[0][0] == "service_worker"


def test_what_is_meant_for_the_proxy_alone_is_not_passed_on() -> None:
    seen = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        place = f"127.0.0.1:{listening.getsockname()[1]}"

        async def whole() -> None:
            asking = Asking(Fence([f"http://{place}"]))
            await asking.begin()
            asyncio.ensure_future(
                asking.say(get(f"http://{place}/", "Proxy-Authorization: secret", "Upgrade: h2c"))
            )
            link, _ = await asyncio.to_thread(listening.accept)
            seen.append(await asyncio.to_thread(link.recv, 65536))
            link.close()
            await asking.proxy.close()

        asyncio.run(whole())
    assert seen[0].startswith(b"GET / HTTP/1.1\r\n")
    assert f"host: {place}".encode() in seen[0].lower() and b"host: x" not in seen[0].lower()
    assert b"secret" not in seen[0] and b"h2c" not in seen[0] and b"connection: close" in seen[0].lower()


def test_only_so_many_connections_are_served_at_once() -> None:
    async def whole() -> list[bytes]:
        asking = Asking(SHOP)
        await asking.begin()
        held = [await asyncio.open_connection(*asking.place) for _ in range(proxies.CONNECTIONS)]
        await asyncio.sleep(0.1)
        beyond = await asking.say(get("http://shop.test/"))
        held[0][1].close()
        await asyncio.sleep(0.1)
        after = await asking.say(get("http://shop.test/"))
        for _, writer in held:
            writer.close()
        await asking.proxy.close()
        return [beyond, after]

    beyond, after = asyncio.run(whole())
    assert beyond == b"" and after.startswith(b"HTTP/1.1 200")


def test_closing_ends_every_connection() -> None:
    async def whole() -> bytes:
        asking = Asking(SHOP)
        await asking.begin()
        reader, writer = await asyncio.open_connection(*asking.place)
        await asyncio.sleep(0.05)
        await asking.proxy.close()
        try:
            return await asyncio.wait_for(reader.read(), 2)
        finally:
            writer.close()

    assert asyncio.run(whole()) == b""
