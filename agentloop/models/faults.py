"""A small OpenAI-compatible model server on loopback that fails on purpose: for tests, never for use.

    python -m agentloop.models.faults --port 0 --faults 429:0.2,500,ok --reply digest

prints its address and serves POST /v1/chat/completions and /v1/embeddings. GET /requests tells
every request that came in, GET /health answers "ok". Beyond the scripted faults it does what it is
asked: n samples, log-probs, token ids, streams. It listens on 127.0.0.1 only, and holds no model.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from agentloop.errors import BadInput
from agentloop.models.faults_http import Request, read_request, write_body, write_cut, write_stream
from agentloop.types import digest

Body: TypeAlias = dict[str, Any]
Answer: TypeAlias = Callable[[Body], str | Sequence[str]]
"""From the body of a request to one text for all its samples, or one text for each."""

FAULTS = ("ok", "malformed", "cut", "hang", "fewer", "empty")
"""What a fault may be, beside an HTTP status such as ``500`` or ``429:0.2`` (with Retry-After, in seconds).

``hang:3`` answers after three seconds, ``hang`` not before the server stops; ``fewer`` gives one sample less
than was asked for, ``empty`` none at all; ``cut`` closes the connection in the middle of the answer.
"""


def digest_reply(body: Body) -> list[str]:
    """A text for each sample that depends on the messages, the seed and the sample's number alone."""
    shown = json.dumps(body.get("messages"), sort_keys=True)
    return [f"reply {digest(shown, str(body.get('seed')), str(at))}" for at in range(body.get("n") or 1)]


def table_reply(table: dict[str, str | list[str]], otherwise: Answer = digest_reply) -> Answer:
    """Answer the last message with what ``table`` holds for it; ask ``otherwise`` about the rest."""

    def answer(body: Body) -> str | Sequence[str]:
        return table.get(body["messages"][-1]["content"]) or otherwise(body)

    return answer


class FaultServer:
    """The server, in a thread of its own while the ``with`` block lasts.

    ``faults`` are used up one a request, in the order in which requests come in, and then all goes
    well; a function of the request's body chooses them by content instead. ``requests`` holds what
    came in: number, path, body, fault, and whether the answer was written to the end.
    """

    def __init__(
        self,
        answer: Answer = digest_reply,
        *,
        faults: Sequence[str] | Callable[[Body], str] = (),
        delay_seconds: float = 0.0,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.delay_seconds = delay_seconds
        self.requests: list[dict[str, Any]] = []
        self.port = port
        self._faults = faults if callable(faults) else [_checked(fault) for fault in faults]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()

    @property
    def address(self) -> str:
        """What to give as ``api_base``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def count(self) -> int:
        """How many requests for replies came in."""
        return len(self.requests)

    def counts(self) -> dict[str, int]:
        """How often each request came in, told apart by its whole body."""
        counted: dict[str, int] = {}
        for request in self.requests:
            key = digest(json.dumps(request["body"], sort_keys=True))
            counted[key] = counted.get(key, 0) + 1
        return counted

    def __enter__(self) -> FaultServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready.set)), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise BadInput(f"the fault server did not start on port {self.port}; is the port taken?")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    async def serve(self, ready: Callable[[], object]) -> None:
        """Serve until stopped or cancelled; call ``ready`` once the port is known."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        talks: set[asyncio.Task[None]] = set()

        def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._talk(reader, writer))
            talks.add(task)
            task.add_done_callback(talks.discard)

        server = await asyncio.start_server(talk, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await self._stop.wait()
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the connections close before the loop goes

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client hung up, which clients may do
        finally:
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection is to be closed."""
        if request.method == "GET":
            status, body = self._look(request.path)
            await write_body(writer, json.dumps(body), status=status)
            return True
        if request.path not in ("/v1/chat/completions", "/v1/embeddings"):
            await write_body(writer, _error(f"no such path: {request.path}"), status=404)
            return True
        try:
            body = json.loads(request.body)
        except ValueError:
            await write_body(writer, _error("the body is not JSON"), status=400)
            return True
        fault = self._fault(body)
        noted = {"number": self.count, "path": request.path, "body": body, "fault": fault, "answered": False}
        self.requests.append(noted)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        stays = await self._fail(fault, body, writer) if fault != "ok" else await self._answer(noted, writer)
        noted["answered"] = True
        return stays

    def _look(self, path: str) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        if path == "/requests":
            since = int(query.removeprefix("since=") or 0)
            return 200, {"count": self.count, "requests": self.requests[since:]}
        if path == "/counts":
            return 200, self.counts()
        known = {
            "/health": "ok",
            "/v1/models": {"object": "list", "data": [{"id": "fault", "object": "model"}]},
        }
        return (200, known[path]) if path in known else (404, {"error": {"message": f"no such path: {path}"}})

    def _fault(self, body: Body) -> str:
        if callable(self._faults):
            return _checked(self._faults(body))
        return self._faults.pop(0) if self._faults else "ok"

    async def _answer(self, noted: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        body = noted["body"]
        if noted["path"] == "/v1/embeddings":
            await write_body(writer, json.dumps(_embeddings(body)))
            return True
        completion = self._completion(body)
        if body.get("stream"):
            await write_stream(writer, _chunks(completion))
            return True
        await write_body(writer, json.dumps(completion))
        return True

    async def _fail(self, fault: str, body: Body, writer: asyncio.StreamWriter) -> bool:
        name, _, number = fault.partition(":")
        if name == "hang":
            await (asyncio.sleep(float(number)) if number else self._stop.wait())
            await write_body(writer, json.dumps(self._completion(body)))
        elif name == "malformed":
            await write_body(writer, '{"id": "x", "choices": [{"index": 0, "message": {"ro')
        elif name == "cut":
            completion = self._completion(body)
            if body.get("stream"):
                await write_stream(writer, _chunks(completion)[:1], ended=False)
            else:
                await write_cut(writer, json.dumps(completion))
            return False
        elif name in ("fewer", "empty"):
            n = (body.get("n") or 1) - 1 if name == "fewer" else 0
            completion = self._completion(body)
            await write_body(writer, json.dumps({**completion, "choices": completion["choices"][:n]}))
        else:
            headers = {"Retry-After": number} if number else {}
            await write_body(writer, _error(f"a scripted {name}"), status=int(name), headers=headers)
        return True

    def _completion(self, body: Body) -> dict[str, Any]:
        n = body.get("n") or 1
        texts = self.answer(body)
        texts = [texts] * n if isinstance(texts, str) else list(texts)
        words_in = sum(len(str(message["content"]).split()) for message in body["messages"])
        words_out = sum(len(text.split()) for text in texts)
        return {
            "id": f"chatcmpl-{self.count}",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model"),
            "choices": [_choice(at, text, body) for at, text in enumerate(texts)],
            "prompt_token_ids": list(range(words_in)) if body.get("return_token_ids") else None,
            "usage": {
                "prompt_tokens": words_in,
                "completion_tokens": words_out,
                "total_tokens": words_in + words_out,
            },
        }


def _choice(at: int, text: str, body: Body) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": at,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None,
    }
    words = text.split()
    if body.get("logprobs"):
        content = [
            {"token": w, "logprob": -0.5, "bytes": list(w.encode()), "top_logprobs": []} for w in words
        ]
        choice["logprobs"] = {"content": content}
    if body.get("return_token_ids"):
        choice["token_ids"] = list(range(len(words)))
    return choice


def _chunks(completion: dict[str, Any]) -> list[str]:
    chunks = []
    for choice in completion["choices"]:
        for text, finish in ((choice["message"]["content"], None), ("", "stop")):
            delta = {"index": choice["index"], "delta": {"content": text}, "finish_reason": finish}
            chunk = {**completion, "object": "chat.completion.chunk", "choices": [delta]}
            chunks.append(json.dumps(chunk))
    return [*chunks, "[DONE]"]


def _embeddings(body: Body) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    vectors = [[int(digest(text, str(at))[:4], 16) / 65535 for at in range(8)] for text in texts]
    data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(vectors)]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


def _error(message: str) -> str:
    return json.dumps({"error": {"message": message, "type": "scripted", "code": None}})


def _checked(fault: str) -> str:
    name, _, number = fault.partition(":")
    if name in FAULTS or (name.isdigit() and 300 <= int(name) <= 599):
        return fault
    raise BadInput(
        f"no fault named {fault!r}; known: {', '.join(FAULTS)}, or an HTTP status such as 500 or 429:0.2"
    )


def _answer_named(name: str) -> Answer:
    """``digest``, a JSON file with a table, or ``package.module:function``."""
    if name == "digest":
        return digest_reply
    if name.endswith(".json"):
        return table_reply(json.loads(Path(name).read_text(encoding="utf-8")))
    module, _, function = name.partition(":")
    answer: Answer = getattr(importlib.import_module(module), function)
    return answer


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted; the first line printed is the address."""
    parser = argparse.ArgumentParser(prog="python -m agentloop.models.faults", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument(
        "--faults", default="", help=f"used up one a request: {', '.join(FAULTS)}, 500, 429:0.2"
    )
    parser.add_argument("--reply", default="digest", help="digest, a .json table, or package.module:function")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="before each answer")
    given = parser.parse_args(arguments)
    faults = [fault for fault in given.faults.split(",") if fault]
    server = FaultServer(
        _answer_named(given.reply), faults=faults, delay_seconds=given.delay_seconds, port=given.port
    )

    def ready() -> None:
        sys.stdout.write(server.address + "\n")
        sys.stdout.flush()

    try:
        asyncio.run(server.serve(ready))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
