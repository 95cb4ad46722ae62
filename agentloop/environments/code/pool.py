"""The workers of a sandbox, handed to one asker at a time."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from agentloop.environments.code.workers import Start, Worker
from agentloop.errors import EnvironmentFailed


class Pool:
    """Workers, started when they are needed and at most ``size`` of them."""

    def __init__(self, start: Start, size: int) -> None:
        self.start = start
        self.size = size
        self.threads = ThreadPoolExecutor(size, thread_name_prefix="agentloop-code")
        self._process = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[tuple[int, Worker | None]] = queue.SimpleQueue()
        self._numbers: dict[Worker, int] = {}
        for number in range(self.size):
            self._free.put((number, None))

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A worker to hold for one job, waited for; it is ended if the job raises."""
        worker = self._take()
        sound = False
        try:
            yield worker
            sound = True
        finally:
            self._give(worker, sound=sound)

    def _take(self) -> Worker:
        """A worker that is free; one that ended while it was idle is replaced."""
        self._refuse_when_closed()
        if os.getpid() != self._process:
            raise EnvironmentFailed("a sandbox cannot be used after a fork; make one in the new process")
        number, worker = self._free.get()
        try:
            self._refuse_when_closed()
            if worker is not None and (worker.process is None or worker.process.poll() is not None):
                self._end(worker)
                worker = None
            if worker is None:
                worker = Worker(self.start, number)
                with self._lock:
                    self._numbers[worker] = number
        except BaseException:
            self._free.put((number, None))
            raise
        return worker

    def _give(self, worker: Worker, *, sound: bool) -> None:
        number = self._numbers[worker]
        if sound and not self._closed:
            self._free.put((number, worker))
            return
        self._end(worker)
        self._free.put((number, None))

    def processes(self) -> tuple[int, ...]:
        """The process ids of the workers."""
        with self._lock:
            return tuple(worker.process.pid for worker in self._numbers if worker.process is not None)

    def close(self) -> None:
        """End every worker; does nothing in a process that was forked from theirs."""
        if os.getpid() != self._process:
            return
        self._closed = True
        self.threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            workers = list(self._numbers)
        for worker in workers:
            if worker.process is not None:
                worker.process.kill()
        for _ in range(self.size):  # whoever still holds one has lost it and gives it back
            _, idle = self._free.get()
            if idle is not None:
                self._end(idle)
        for number in range(self.size):
            self._free.put((number, None))

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise EnvironmentFailed("this sandbox is closed; make a new one")

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._numbers.pop(worker, None)
        worker.end()
