"""A data set hub on loopback, with just enough of its protocol to be made a data set in and sent files."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

COMMIT = "0" * 40


class Hub:
    """``made`` is what a data set was made with, ``files`` what was committed to it."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply({"id": "me/rows", "sha": COMMIT, "siblings": []})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._reply(hub.answer(self.path, body))

            def _reply(self, value: dict[str, Any]) -> None:
                text = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        """The reply to a request."""
        if path == "/api/repos/create":
            self.made = json.loads(body)
            return {"url": f"{self.address}/datasets/me/rows"}
        if "/preupload/" in path:
            sent = json.loads(body)["files"]
            plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return {"files": [{"path": each["path"], **plain} for each in sent]}
        if "/commit/" in path:
            for entry in map(json.loads, body.splitlines()):
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return {"commitUrl": f"{self.address}/datasets/me/rows/commit/{COMMIT}", "commitOid": COMMIT}
        return {}

    @property
    def private(self) -> bool:
        """Whether the data set was made for nobody else to see."""
        return self.made.get("visibility") == "private" or self.made.get("private") is True

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
