"""The proxy through which every connection of a window goes: it answers, refuses or forwards."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple, TypeAlias

import h11

from agentloop.environments.web.fence import Fence, Origin, origin_of
from agentloop.environments.web.forwarding import Resolve, Unfit, connect, forward, resolved, tunnel
from agentloop.environments.web.site import Answer, Handler

logger = logging.getLogger(__name__)

CONNECTIONS = 64
HEADER_BYTES = 64 * 1024
BODY_BYTES = 16 * 1024 * 1024
"""The most that a page may send in one request."""
IDLE_SECONDS = 60.0

Told: TypeAlias = Callable[[str, str], None]
"""Called with what was refused (``origin``, ``address``, ...) and the address it was asked for."""


class Asked(NamedTuple):
    """What a request is for: its origin, and the parts of its address."""

    origin: Origin
    place: str
    """Its host and port as they are written in the address."""
    path: str
    url: str


class Link:
    """The browser's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.machine = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)

    async def event(self) -> h11.Request | h11.Data | h11.EndOfMessage | h11.ConnectionClosed | None:
        """What comes next from the browser; None where the machine waits for an answer first."""
        while True:
            event = self.machine.next_event()
            if event is h11.PAUSED:
                return None
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            part = await asyncio.wait_for(self.reader.read(65536), IDLE_SECONDS)
            self.machine.receive_data(part)

    async def body(self) -> AsyncIterator[bytes]:
        """The body of the request, part by part; beyond BODY_BYTES it is a breach of protocol."""
        size = 0
        while isinstance(event := await self.event(), h11.Data):
            size += len(event.data)
            if size > BODY_BYTES:
                raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            yield bytes(event.data)

    async def send(self, *events: h11.Event) -> None:
        """Write to the browser."""
        for event in events:
            if data := self.machine.send(event):
                self.writer.write(data)
        await self.writer.drain()

    async def answer(self, answer: Answer, *, body: bool = True) -> None:
        """Send one whole answer."""
        headers = [("Content-Type", answer.content_type)]
        headers += [("Cache-Control", "no-store" if "html" in answer.content_type else "max-age=600")]
        if answer.status != 204:
            headers.append(("Content-Length", str(len(answer.content))))
        events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers)]
        if body and answer.content and answer.status != 204:
            events.append(h11.Data(data=answer.content))
        await self.send(*events, h11.EndOfMessage())


class Proxy:
    """Serves one window: its fence says what may be reached, ``hosts`` what is answered from Python.

    ``resolve`` finds the addresses of a name; asked once for each connection, which then goes to an
    address that was found, so that a name whose address changes gains nothing by it.
    """

    def __init__(
        self, fence: Fence, hosts: Mapping[str, Handler], *, told: Told, resolve: Resolve = resolved
    ) -> None:
        self._fence = fence
        self._hosts = {name.lower(): handler for name, handler in hosts.items()}
        self._told = told
        self._resolve = resolve
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""

    async def serve(self, listening: socket.socket) -> None:
        """Begin to accept connections on a socket that listens, which is the proxy's from now on."""
        host, port = listening.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._server = await asyncio.start_server(self._accept, sock=listening)

    async def close(self) -> None:
        """End every connection; nothing is accepted any more."""
        if self._server is not None:
            self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._serving) >= CONNECTIONS:
            writer.close()
            return
        self._serving.add(task)
        link = Link(reader, writer)
        try:
            while await self._one(link):
                link.machine.start_next_cycle()
        except (h11.ProtocolError, OSError, TimeoutError, asyncio.CancelledError) as error:
            logger.debug("a connection of a page ended: %r", error)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _one(self, link: Link) -> bool:
        """Serve one request; whether another may follow on the connection."""
        event = await link.event()
        if not isinstance(event, h11.Request):
            return False
        if event.method == b"CONNECT":
            await self._tunnel(link, event)
            return False
        asked = _asked(event)
        if asked is None:
            await link.answer(Answer(b"not a request to a proxy\n", "text/plain", 400))
            return False
        refused, handler = self._refusal(asked, event), self._hosts.get(asked.origin.host)
        if refused is None and handler is None:
            await self._forward(link, event, asked)
        else:
            async for _ in link.body():  # an answer that comes earlier might not be read
                pass
            if refused is not None:
                await self._refuse(link, event, refused, asked.url)
            elif handler is not None:
                await link.answer(_answered(handler, event, asked), body=event.method != b"HEAD")
        return link.machine.our_state is h11.DONE and link.machine.their_state is h11.DONE

    def _refusal(self, asked: Asked, request: h11.Request) -> str | None:
        if asked.origin not in self._fence.origins:
            return "origin"
        if _header(request, b"service-worker") is not None:
            return "service_worker"
        return None

    async def _refuse(self, link: Link, request: h11.Request, what: str, url: str) -> None:
        """Say no. A page that was to be left for another stays: 204 tells the browser so."""
        self._told(what, url)
        leaving = _header(request, b"upgrade-insecure-requests") is not None
        status = 204 if leaving else 403
        await link.answer(Answer(b"" if leaving else b"refused\n", "text/plain", status))

    async def _forward(self, link: Link, request: h11.Request, asked: Asked) -> None:
        try:
            reader, writer = await self._connect(asked.origin.host, asked.origin.port)
        except Unfit:
            await self._refuse(link, request, "address", asked.url)
            return
        except (OSError, TimeoutError) as error:
            await link.answer(Answer(f"not reached: {error}\n".encode(), "text/plain", 502))
            return
        try:
            await forward(link, request, asked, reader=reader, writer=writer)
        finally:
            writer.close()

    async def _tunnel(self, link: Link, request: h11.Request) -> None:
        place = request.target.decode("ascii", "replace")
        origin = origin_of(f"https://{place}")
        if origin is None or not self._fence.names(origin.host, origin.port) or origin.host in self._hosts:
            await self._no_tunnel(link, "origin", place)
            return
        try:
            reader, writer = await self._connect(origin.host, origin.port)
        except Unfit:
            await self._no_tunnel(link, "address", place)
            return
        except (OSError, TimeoutError):
            await link.send(h11.Response(status_code=502, headers=[("Content-Length", "0")]))
            return
        try:
            await link.send(h11.Response(status_code=200, headers=[]))
            await tunnel(link.reader, link.writer, reader, writer, begun=link.machine.trailing_data[0])
        finally:
            writer.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await connect(self._fence, host, port, resolve=self._resolve)

    async def _no_tunnel(self, link: Link, what: str, place: str) -> None:
        self._told(what, place)
        await link.send(h11.Response(status_code=403, headers=[("Content-Length", "0")]), h11.EndOfMessage())


def _asked(request: h11.Request) -> Asked | None:
    """What a request for a whole address is for; None where it is none."""
    try:
        url = request.target.decode("ascii")
    except UnicodeDecodeError:
        return None
    origin = origin_of(url)
    if origin is None or origin.scheme != "http" or "#" in url:
        return None
    rest = url[len("http://") :]
    start = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    path = rest[start:]
    return Asked(origin, rest[:start], path if path.startswith("/") else f"/{path}", url)


def _answered(handler: Handler, request: h11.Request, asked: Asked) -> Answer:
    if request.method not in (b"GET", b"HEAD"):
        return Answer(b"only GET is answered\n", "text/plain", 405)
    try:
        return handler(asked.path)
    except Exception:
        logger.exception("a site could not answer %s", asked.url)
        return Answer(b"the site failed to answer\n", "text/plain", 500)


def _header(request: h11.Request, name: bytes) -> bytes | None:
    for each, value in request.headers:
        if each == name:
            return bytes(value)
    return None
