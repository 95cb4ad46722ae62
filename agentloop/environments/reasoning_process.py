"""The process that makes and scores reasoning-gym's items, from this side of its pipes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, EnvironmentFailed, MissingExtra

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from agentloop.environments.reasoning_worker import main; main()"
)
INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "HOME")


class ReasoningProcess:
    """One worker, started on first use and replaced when it is lost. Safe to share between threads.

    It ends with this process, since its input does, and over a request that takes too long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._worker: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any], *, seconds: float | None) -> dict[str, Any]:
        """The answer to a request; a score that took more than ``seconds`` of processor time is 0.

        EnvironmentFailed when the worker ended over it twice for another reason.
        """
        data = json.dumps({**request, "seconds": seconds}).encode() + b"\n"
        with self._lock:
            line = self._sent(data) or self._sent(data)
        if not line:
            told = f"{request['op']} of {request['dataset']!r}"
            raise EnvironmentFailed(f"reasoning-gym's process ended twice over {told}")
        answer: dict[str, Any] = json.loads(line)
        if answer.get("missing"):
            raise MissingExtra("reasoning_tasks", "reasoning-gym", "reasoning")
        if "refused" in answer:
            raise BadInput(f"reasoning-gym's {request['dataset']!r}: {answer['refused']}")
        return answer

    def _sent(self, data: bytes) -> bytes:
        """The line that answers, empty when the worker is lost."""
        worker = self._running()
        assert worker.stdin is not None and worker.stdout is not None
        self._worker = None  # an answer that is not waited for, after an interrupt, belongs to nobody
        line = b""
        with contextlib.suppress(OSError):
            worker.stdin.write(data)
            worker.stdin.flush()
            line = worker.stdout.readline()
        if line.endswith(b"\n"):
            self._worker = worker
            return line
        worker.kill()
        worker.communicate()
        # The worker's own limit: what was to be scored went on for too long.
        return b'{"score": 0.0}\n' if worker.returncode == -signal.SIGPROF else b""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._pid != os.getpid() or self._worker.poll() is not None:
            path = json.dumps([str(Path(each or ".").resolve()) for each in sys.path])
            # A fixed hash seed: some sets are made by going through a set of words.
            environment = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
            self._worker = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**environment, **{name: os.environ[name] for name in INHERITED if name in os.environ}},
            )
            self._pid = os.getpid()
        return self._worker


@cache
def reasoning_process() -> ReasoningProcess:
    """The one process that all tasks and graders of this program share."""
    return ReasoningProcess()
