"""A few worker processes that many sessions share; one that does not answer in time is killed."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agentloop.errors import BadInput, EnvironmentFailed

T = TypeVar("T")

START_SECONDS = 60.0
GRACE_SECONDS = 0.5
"""How much longer than its own limit a worker may take before it is killed."""

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from {} import {} as main; main(int(sys.argv[2]))"
WORKER = "agentloop.environments.sql.worker:main"
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")


class Answer(NamedTuple):
    """What a worker answered to one statement. ``more`` counts rows that were cut off."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    more: int = 0
    changed: int = 0
    wrote: bool = False
    error: dict[str, Any] | None = None


class WorkerLost(Exception):
    """The worker ended or was killed before it answered; ``late`` when the deadline had passed."""

    def __init__(self, *, late: bool) -> None:
        super().__init__("the worker was killed" if late else "the worker ended")
        self.late = late


class WorkerProcess:
    """One worker process and the pipes to it. Not safe to share: a pool hands it to one asker at a time."""

    def __init__(self, entry: str = WORKER) -> None:
        # -I and -S: nothing of the caller's folder, environment or site-packages runs in the worker,
        # and it starts fast. Secrets in the environment have no business there either.
        program = PROGRAM.format(*entry.split(":"))
        command = [sys.executable, "-I", "-S", "-c", program, str(ROOT), str(os.getpid())]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            cwd="/",
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        try:
            self._read(time.monotonic() + START_SECONDS)
        except WorkerLost as error:
            raise EnvironmentFailed(self._why()) from error

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request; a worker that has not answered after ``seconds`` is killed."""
        data = json.dumps(request).encode()
        end = time.monotonic() + seconds
        try:
            _write_all(self._in, len(data).to_bytes(4, "big") + data)
        except OSError as error:
            self.end()
            raise WorkerLost(late=False) from error
        answer = self._read(end)
        if answer.get("blobs"):
            answer["rows"] = [[_cell(cell) for cell in row] for row in answer["rows"]]
        return answer

    def end(self) -> None:
        """Kill the process and close the pipes to it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()
        self.process.wait()

    def _read(self, end: float) -> dict[str, Any]:
        size = int.from_bytes(self._exactly(4, end), "big")
        answer: dict[str, Any] = json.loads(self._exactly(size, end))
        return answer

    def _exactly(self, size: int, end: float) -> bytes:
        parts: list[bytes] = []
        while size:
            left = end - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                self.process.kill()
                raise WorkerLost(late=True)
            part = os.read(self._out, min(size, 1 << 20))
            if not part:
                raise WorkerLost(late=False)
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _why(self) -> str:
        self.process.kill()
        told = self.process.stderr.read().decode(errors="replace").strip() if self.process.stderr else ""
        self.end()
        last = told.splitlines()[-1] if told else f"exit code {self.process.returncode}"
        return f"the SQL worker did not start with {sys.executable!r}: {last}"


class Pool:
    """Worker processes, started when they are needed and at most ``size`` of them.

    Safe to share between threads and event loops. The workers end with ``close``, when the pool is
    forgotten, and when this process ends, however it ends.
    """

    def __init__(self, size: int, *, entry: str = WORKER) -> None:
        self.size = size
        self._entry = entry
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._free = threading.BoundedSemaphore(self.size)
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="agentloop-sql")
        self._finalizer = weakref.finalize(self, _end_all, self._all, self._threads, self._pid)

    def workers(self) -> tuple[int, ...]:
        """The process ids of the workers that run now."""
        return tuple(worker.process.pid for worker in tuple(self._all))

    async def run(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Do blocking ``work`` that asks this pool in one of its threads, and await it."""
        self._own()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments, **options))

    def ask(self, request: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """The answer of some worker, within ``seconds`` and a short grace; blocks.

        A worker that ended while it was idle is replaced without a word. One that is lost over the
        request gives an answer with an error of kind ``timeout`` or ``crash``.
        """
        self._own()
        request = {**request, "seconds": seconds}
        with self._free:
            self._own()
            worker = self._take()
            try:
                answer = worker.ask(request, seconds + GRACE_SECONDS)
            except BaseException as error:
                self._drop(worker)
                if not isinstance(error, WorkerLost):
                    raise
                return _lost(error, seconds)
            self._idle.append(worker)
            return answer

    def query(self, request: dict[str, Any], *, seconds: float) -> Answer:
        """Run one statement; EnvironmentFailed when the database itself is the trouble."""
        answer = self.ask({"op": "query", **request}, seconds=seconds)
        if "error" in answer:
            _check_readable(answer["error"], request)
            return Answer(error=answer["error"])
        return Answer(
            columns=tuple(answer["columns"]),
            rows=tuple(tuple(row) for row in answer["rows"]),
            more=answer["more"],
            changed=answer["changed"],
            wrote=answer["wrote"],
        )

    def close(self) -> None:
        """End all workers. A pool that is asked again after that raises EnvironmentFailed."""
        self._closed = True
        for worker in tuple(self._all):
            worker.process.kill()
        for _ in range(self.size):  # whoever still asks has lost its worker and lets go
            self._free.acquire()
        self._finalizer()
        for _ in range(self.size):
            self._free.release()

    def _take(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if worker.process.poll() is None:
                return worker
            self._drop(worker)
        worker = WorkerProcess(self._entry)
        self._all.add(worker)
        return worker

    def _drop(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        worker.end()

    def _own(self) -> None:
        """After a fork the workers and threads are the parent's: start with new ones."""
        if self._closed:
            raise EnvironmentFailed("this SQL environment is closed; make a new one")
        if self._pid != os.getpid():
            self._finalizer.detach()
            self._begin()


def _check_readable(error: dict[str, Any], request: dict[str, Any]) -> None:
    """Raise where the database is the trouble and not the statement."""
    if "not a database" in error["message"]:
        raise BadInput(f"{request.get('database')!r} is not an SQLite database; give an SQLite file")
    if error["kind"] == "unreadable":
        raise EnvironmentFailed(f"the database cannot be read: {error['message']}")


def _lost(error: WorkerLost, seconds: float) -> dict[str, Any]:
    if error.late:
        return {"error": {"kind": "timeout", "message": "interrupted", "seconds": seconds}}
    return {"error": {"kind": "crash", "message": "the database process ended over this statement"}}


def _end_all(workers: set[WorkerProcess], threads: ThreadPoolExecutor, pid: int) -> None:
    if os.getpid() != pid:
        return
    threads.shutdown(wait=False, cancel_futures=True)
    for worker in tuple(workers):
        workers.discard(worker)
        worker.end()


def _write_all(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _cell(cell: Any) -> Any:
    return bytes.fromhex(cell["blob"]) if isinstance(cell, dict) else cell
