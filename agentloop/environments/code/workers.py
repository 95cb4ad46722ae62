"""A fork server seen from the host: started, handed one job after the other, and ended."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple

from agentloop.environments.code.cgroups import ControlGroup
from agentloop.environments.code.layers import START
from agentloop.environments.code.verdict import Job, Limits

START_SECONDS = 60.0
GRACE_SECONDS = 2.0
"""How much longer than its job's time a worker may take before it is given up."""
ALONE = ("-s", "-P", "-S")
"""Options of a Python that takes nothing from the current folder, the user or site-packages."""
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}
"""All that a worker gets of an environment. With hashes that are always the same a set has the same
order in every worker, so that a step brings the same observation when it is carried out again. And what
the linker binds at the start, no child has to look up."""
OUTPUT, REPORT = 1, 2
"""The places of these files among those of a job: what its program is told, what that writes, what is
reported, what the checker is given."""
REPORT_BYTES = 4 * 1024 * 1024
"""So much of a report is read; what goes beyond all measure is left."""


class WorkerBroken(Exception):
    """A worker did not start, did not answer or answered nonsense; its job says nothing of the program."""


class Ended(NamedTuple):
    """What came back of a job: how each process ended, what was reported, what the program wrote."""

    candidate: int
    """Exit status of the program's process; -9 for a process that a signal 9 ended."""
    candidate_killed: bool
    """Whether the worker killed it, as it does at the end of every job."""
    checker: int
    late: bool
    grown: str
    """Of what the program had too much: ``files``, ``threads``, or nothing."""
    oom: bool
    """Whether the kernel killed a process of the job for want of memory."""
    seconds: float
    report: bytes
    output: bytes
    written: int
    """Bytes that the program wrote; more than ``output`` holds."""


@dataclass(frozen=True)
class Start:
    """How workers are started. ``groups`` are the folders in which control groups are made."""

    python: str
    settings: Mapping[str, Any]
    limits: Limits
    groups: tuple[Path, Path] | None


class Worker:
    """One fork server. Not safe to share: a sandbox hands it to one asker at a time."""

    def __init__(self, start: Start, number: int) -> None:
        self._limits = start.limits
        self._group: ControlGroup | None = None
        self._killed = 0
        self._work: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._control, inner = socket.socketpair()
        with inner:
            try:
                self._begin(start, number, inner)
            except OSError as error:
                why = self._why() if self.process is not None else str(error)
                self.end()
                raise WorkerBroken(f"the sandbox's worker did not start: {why}") from error
            except BaseException:
                self.end()
                raise

    def _begin(self, start: Start, number: int, inner: socket.socket) -> None:
        settings = dict(start.settings)
        settings["uids"] = [uid + 2 * number for uid in settings["uids"]]
        if "namespaces" not in settings["layers"]:
            self._work = settings["work"] = tempfile.mkdtemp(prefix="agentloop-code-")
        command = [start.python, *ALONE, str(START), "worker", str(inner.fileno())]
        self.process = subprocess.Popen(
            command,
            pass_fds=[inner.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd="/",
        )
        inner.close()
        if start.groups is not None:
            self._group = ControlGroup(*start.groups, start.limits)
            self._group.add(self.process.pid)
        self._control.sendall(json.dumps(settings).encode() + b"\n")
        answer = self._answer(time.monotonic() + START_SECONDS)
        if "error" in answer:
            raise WorkerBroken(f"the sandbox's worker did not start: {answer['error']}")

    def carry_out(self, job: Job) -> Ended:
        """Carry out a job; WorkerBroken when the worker is of no use any more."""
        files = [file_in_memory(content) for content in (for_candidate(job), b"", b"", given(job))]
        try:
            self._send({"mode": job.mode, "seconds": job.timeout_seconds}, files)
            answer = self._answer(time.monotonic() + job.timeout_seconds + GRACE_SECONDS)
            if "error" in answer or not (answer["confined"] or answer["late"]):
                raise WorkerBroken(answer.get("error", "the layers could not be put around the program"))
            written = os.fstat(files[OUTPUT]).st_size
            output = head_and_tail(files[OUTPUT], written, self._limits.output_bytes)
            report = head(files[REPORT], REPORT_BYTES)
        finally:
            for file in files:
                os.close(file)
        return Ended(
            candidate=answer["candidate"][0],
            candidate_killed=answer["candidate"][1],
            checker=answer["checker"][0],
            late=answer["late"],
            grown=answer["grown"],
            oom=self._out_of_memory(),
            seconds=answer["seconds"],
            report=report,
            output=output,
            written=written,
        )

    def _out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of the worker's since this was asked last."""
        if self._group is None:
            return False
        before, self._killed = self._killed, self._group.killed_for_memory()
        return self._killed > before

    def end(self) -> None:
        """Kill the worker, which takes its children along, and remove what was made for it."""
        self._control.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stderr is not None:
                self.process.stderr.close()
        if self._group is not None:
            self._group.remove()
        if self._work is not None:
            rmtree(self._work, ignore_errors=True)

    def _send(self, asked: dict[str, Any], descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(asked).encode() + b"\n"], descriptors)
        except OSError as error:
            raise WorkerBroken(f"the sandbox's worker is gone: {error}") from error

    def _answer(self, end: float) -> dict[str, Any]:
        """The worker's answer: one line."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            if not poll.poll(max(end - time.monotonic(), 0) * 1000):
                raise WorkerBroken("the sandbox's worker did not answer in time")
            part = self._control.recv(65536)
            if not part:
                raise WorkerBroken(f"the sandbox's worker ended: {self._why()}")
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why(self) -> str:
        assert self.process is not None and self.process.stderr is not None
        self.process.kill()
        told = self.process.stderr.read().decode(errors="replace").strip()
        return told.splitlines()[-1] if told else f"exit status {self.process.wait()}"


def for_candidate(job: Job) -> bytes:
    """What the process of the program is told of a job: nothing of tests that run elsewhere."""
    told = {
        "mode": job.mode,
        "program": job.program,
        "entry_point": job.entry_point,
        "files": dict(job.files),
        "call": job.call,
        "tests": job.tests if job.mode == "script" else "",
    }
    return json.dumps(told).encode()


def given(job: Job) -> bytes:
    """What the other side gets: the tests for the checker, or the standard input of the program."""
    if job.mode != "calls":
        return job.stdin.encode("utf-8", "surrogatepass")
    told = {"tests": job.tests, "prompt": job.prompt, "entry_point": job.entry_point}
    return json.dumps(told).encode()


def file_in_memory(content: bytes) -> int:
    """A file in memory that has no name, read from its start."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("agentloop")
    else:
        with tempfile.TemporaryFile() as made:
            file = os.dup(made.fileno())
    written = 0
    while written < len(content):
        written += os.pwrite(file, memoryview(content)[written:], written)
    return file


def head(file: int, limit: int) -> bytes:
    """At most ``limit`` bytes from the start of a file."""
    return os.pread(file, min(os.fstat(file).st_size, limit), 0)


def head_and_tail(file: int, size: int, limit: int) -> bytes:
    """At most ``limit`` bytes of a file of ``size`` bytes: all of it, or its two ends."""
    if size <= limit:
        return os.pread(file, size, 0)
    return os.pread(file, limit // 2, 0) + os.pread(file, limit // 2, size - limit // 2)
