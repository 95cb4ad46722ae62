"""The few lines of HTTP/1.1 that the fault-injecting server needs, written out so that it can break them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Request:
    """One request: its method, path (with the query) and body."""

    method: str
    path: str
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request on a connection; None when the client has closed it."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ", 2)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, body)


async def write_body(
    writer: asyncio.StreamWriter, body: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    """Write a whole answer."""
    data = body.encode()
    extra = {"Content-Length": str(len(data)), **(headers or {})}
    writer.write(_head(status, {"Content-Type": "application/json", **extra}) + data)
    await writer.drain()


async def write_cut(writer: asyncio.StreamWriter, body: str) -> None:
    """Write half of an answer that was announced as whole."""
    data = body.encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    writer.write(_head(200, headers) + data[: len(data) // 2])
    await writer.drain()


async def write_stream(writer: asyncio.StreamWriter, events: Sequence[str], *, ended: bool = True) -> None:
    """Write server-sent events, each in a chunk of its own, and unless ``ended`` is false their end."""
    writer.write(_head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}))
    for event in events:
        data = f"data: {event}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    if ended:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
