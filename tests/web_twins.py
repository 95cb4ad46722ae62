"""What web tests share: a canary that nobody may reach, a server whose origin is allowed, a naive browser."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agentloop.environments.web.watchdog import machines_crowding

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 17\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Connection: close\r\n\r\n<p>the canary</p>"
)


class Canary:
    """Listens on a port of the loopback, and counts who came: connections, and datagrams."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.reached: list[str] = []
        self._stop = threading.Event()
        self._tcp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind((host, 0))
        self._tcp.listen(256)
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(self._tcp.family, socket.SOCK_DGRAM)
        self._udp.bind((host, self.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join()
        self._tcp.close()
        self._udp.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            for ready in select.select([self._tcp, self._udp], [], [], 0.05)[0]:
                if ready is self._udp:
                    self.reached.append(f"datagram {self._udp.recv(2048)[:20]!r}")
                    continue
                link, _ = self._tcp.accept()
                self.reached.append("connection")
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        link.settimeout(2)
        with link, contextlib.suppress(OSError):
            asked = link.recv(4096)
            self.reached.append(asked.split(b"\r\n")[0].decode("ascii", "replace"))
            link.sendall(ANSWER)


Route = tuple[int, Mapping[str, str], bytes]


class Server:
    """Serves pages on a port of the loopback: what ``routes`` answers, and a few of use to all."""

    def __init__(self, routes: Callable[[str], Route | None] = lambda path: None) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self, routes)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, routes: Callable[[str], Route | None]) -> None:
        self.asked.append(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        handler.rfile.read(length)
        status, headers, content = routes(handler.path) or self._of_use(handler.path)
        with contextlib.suppress(OSError):
            handler.send_response(status)
            for name, value in {"Content-Type": "text/html", **headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

    def _of_use(self, path: str) -> Route:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/redirect":
            return 302, {"Location": query["to"], "Access-Control-Allow-Origin": "*"}, b""
        if parts.path == "/slow":
            time.sleep(float(query["seconds"]))
        if parts.path == "/hello":
            return 200, {}, b"<title>hello</title><p>hello</p>"
        if parts.path == "/attachment":
            return (
                200,
                {"Content-Disposition": "attachment; filename=planted-download.bin"},
                b"planted" * 1000,
            )
        return 404, {}, b"nothing here"


def family(process: int) -> set[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, size = {process}, 0
    while size != len(found):
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def memory_bytes(process: int) -> int:
    """The proportional share of memory (PSS) of a process and its descendants."""
    total = 0
    for each in family(process):
        with contextlib.suppress(OSError, ProcessLookupError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
    return total


def in_time(seconds: float) -> float:
    """What a machine that does other things as well may take for something that takes ``seconds``."""
    return seconds * machines_crowding() + 1.5


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def canary(host: str = "127.0.0.1") -> Iterator[Canary]:
    """A canary for a while."""
    made = Canary(host)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def server(routes: Callable[[str], Route | None] = lambda path: None) -> Iterator[Server]:
    """A server for a while."""
    made = Server(routes)
    try:
        yield made
    finally:
        made.close()


def until(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait until something holds; whether it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return bool(holds())


async def when(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait in an event loop until something holds; whether it does."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return bool(holds())
