"""OpenEnv's protocol from the client's side, as openenv-core 0.3 speaks it: JSON over one websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit
from urllib.request import ProxyHandler, build_opener

from agentloop.errors import BadInput, EnvironmentFailed, MissingExtra

LONGEST_MESSAGE = 100 * 1024 * 1024
"""Bytes; as much as OpenEnv's own client takes."""

REFUSED = ("VALIDATION_ERROR", "INVALID_JSON")
"""Errors that say that the action is at fault, and not the server."""


class Refused(Exception):
    """The server did not take the action; the message is its own."""


class Connection:
    """One connection to the server at ``url``, and so one session of it. Every answer has ``seconds``."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self._seconds = url, seconds
        # A proxy of the machine is not meant for the machine's own addresses.
        self._local = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        self._socket: Any = None
        self._broken: tuple[type[Exception], ...] = (OSError, ValueError)

    async def schema(self) -> dict[str, Any]:
        """The server's JSON schemas of ``action``, ``observation`` and ``state``."""
        try:
            text = await asyncio.to_thread(self._get, f"{self.url}/schema")
            found: dict[str, Any] = json.loads(text)
        except (OSError, ValueError) as error:
            raise EnvironmentFailed(f"no OpenEnv server answers at {self.url}: {error}") from error
        return found

    async def open(self) -> None:
        """Connect; EnvironmentFailed when nobody answers."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError as error:
            raise MissingExtra("OpenEnvironment", "websockets", "openenv") from error
        self._broken = (OSError, ValueError, WebSocketException)
        address = self.url.replace("http", "ws", 1) + "/ws"
        proxy: Literal[True] | None = None if self._local else True
        try:
            self._socket = await connect(
                address, open_timeout=self._seconds, max_size=LONGEST_MESSAGE, proxy=proxy
            )
        except self._broken as error:
            raise EnvironmentFailed(f"no OpenEnv server answers at {address}: {error}") from error

    async def ask(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message and give the answer's data; Refused where a step's action is at fault."""
        try:
            async with asyncio.timeout(self._seconds):
                # A server that ends the connection may have said why before, as a full one does.
                with contextlib.suppress(*self._broken):
                    await self._socket.send(json.dumps({"type": kind, "data": dict(data)}))
                answer = json.loads(await self._socket.recv())
        except self._broken as error:
            raise EnvironmentFailed(f"{self.url} did not answer to {kind}: {error!r}") from error
        held: dict[str, Any] = answer.get("data", {})
        if answer.get("type") != "error":
            return held
        told = "; ".join(f"{each.get('loc')}: {each.get('msg')}" for each in held.get("errors", ()))
        message = f"{held.get('message')} ({told})" if told else str(held.get("message"))
        if kind == "step" and held.get("code") in REFUSED:
            raise Refused(message)
        raise EnvironmentFailed(f"{self.url} answered to {kind}: {message}")

    async def close(self) -> None:
        """End the server's session."""
        socket, self._socket = self._socket, None
        if socket is not None:
            # The message first: the server calls a connection that just ends an error.
            with contextlib.suppress(*self._broken):
                await socket.send(json.dumps({"type": "close"}))
            await socket.close()

    def _get(self, address: str) -> bytes:
        opener = build_opener(ProxyHandler({})) if self._local else build_opener()
        with opener.open(address, timeout=self._seconds) as answer:
            text: bytes = answer.read(LONGEST_MESSAGE)
        return text


def address_of(url: str) -> str:
    """The address without path's last slash, as http or https; BadInput when it is none of a server."""
    parts = urlsplit(url)
    schemes = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
    if parts.scheme not in schemes or not parts.hostname:
        raise BadInput(f"url must be the address of a server, like http://127.0.0.1:8000, got {url!r}")
    return urlunsplit((schemes[parts.scheme], parts.netloc, parts.path.rstrip("/"), "", ""))
