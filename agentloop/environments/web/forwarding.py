"""The proxy's way out: connections to addresses that were checked, and what goes over them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import h11

from agentloop.environments.web.fence import Fence

if TYPE_CHECKING:
    from agentloop.environments.web.proxy import Asked, Link

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
ANSWER_BYTES = 64 * 1024 * 1024
"""The most that one answer, or one tunnel in each direction, may carry."""
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade alt-svc".split()
)

HEADER_BYTES = 64 * 1024

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host at a port."""


class Unfit(Exception):
    """A name leads to no address that may be connected to."""


async def resolved(host: str, port: int) -> list[str]:
    """The addresses that a name has for the system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def connect(
    fence: Fence, host: str, port: int, *, resolve: Resolve = resolved
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first fit address of a name: the very address that was checked.

    Unfit where there is none; OSError where none answers.
    """
    found = await asyncio.wait_for(resolve(host, port), CONNECT_SECONDS)
    fit = [address for address in found if fence.fit(host, address)]
    if not fit:
        raise Unfit(host)
    for address in fit[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT_SECONDS)
    return await asyncio.wait_for(asyncio.open_connection(fit[-1], port), CONNECT_SECONDS)


async def forward(
    link: Link,
    request: h11.Request,
    asked: Asked,
    *,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Send one request and pass its answer back.

    Both are parsed and written anew, so that no two readers can disagree on where one message ends.
    """
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_BYTES)

    async def send(event: h11.Event) -> None:
        writer.write(machine.send(event) or b"")
        await asyncio.wait_for(writer.drain(), IDLE_SECONDS)

    dropped = HOP_BY_HOP - {b"transfer-encoding"} | {b"host"}
    headers = [(b"host", asked.place.encode()), (b"connection", b"close")]
    headers += [(name, value) for name, value in request.headers if name not in dropped]
    await send(h11.Request(method=request.method, target=asked.path, headers=headers))
    async for part in link.body():
        await send(h11.Data(data=part))
    await send(h11.EndOfMessage())
    await _answer(link, machine, reader)


async def _answer(link: Link, machine: h11.Connection, reader: asyncio.StreamReader) -> None:
    size = 0
    while True:
        received = machine.next_event()
        if received is h11.NEED_DATA:
            machine.receive_data(await asyncio.wait_for(reader.read(65536), IDLE_SECONDS))
        elif isinstance(received, h11.Response):
            kept = [(name, value) for name, value in received.headers if name not in HOP_BY_HOP]
            await link.send(h11.Response(status_code=received.status_code, headers=kept))
        elif isinstance(received, h11.Data):
            size += len(received.data)
            if size > ANSWER_BYTES:
                raise h11.LocalProtocolError("the answer is too long")
            await link.send(h11.Data(data=bytes(received.data)))
        elif not isinstance(received, h11.InformationalResponse):
            await link.send(h11.EndOfMessage())
            return


async def tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
    *,
    begun: bytes,
) -> None:
    """Pass bytes both ways until one side ends."""
    far_writer.write(begun)
    ways = [
        asyncio.create_task(_pass(reader, far_writer)),
        asyncio.create_task(_pass(far_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = 0
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            size += len(part)
            if size > ANSWER_BYTES:
                return
            writer.write(part)
            await writer.drain()
