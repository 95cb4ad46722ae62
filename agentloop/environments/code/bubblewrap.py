"""A back end on bubblewrap: each side of a job in a ``bwrap`` of its own, started cold."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from agentloop.environments.code import cgroups, layers, refused
from agentloop.environments.code.cgroups import ControlGroup
from agentloop.environments.code.inside.confine import DEVICES, WORK
from agentloop.environments.code.interpreter import interpreter, visible
from agentloop.environments.code.layers import START
from agentloop.environments.code.verdict import Job, Limits, Verdict
from agentloop.environments.code.verdicts import infra_error, verdict_of
from agentloop.environments.code.workers import (
    ALONE,
    ENVIRONMENT,
    REPORT_BYTES,
    Ended,
    file_in_memory,
    for_candidate,
    given,
    head,
    head_and_tail,
)
from agentloop.errors import SandboxRefused

JOIN = """
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 70; shift; done
shift
exec "$@"
"""
"""A shell enters the control groups that are named before ``--``, and becomes the command after it."""
LAST_WORD_SECONDS = 0.3
SIGNALLED = 128
"""bwrap, like a shell, adds this to the number of the signal that ended its program."""
START_SECONDS = 1.0
"""What two cold interpreters may take to start, on top of the time of the job."""


class Bubblewrap:
    """Runs each job in two fresh ``bwrap`` sandboxes: no /proc, no network, empty environment.

    Slower than ``Sandbox`` and of the same strength but for the user ids: for machines where bubblewrap
    is what administrators trust. seccomp, Landlock and limits are put on inside, as in ``Sandbox``.
    SandboxRefused where ``bwrap`` is missing or does not run.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise SandboxRefused("bubblewrap is not installed; install it: apt install bubblewrap")
        self._bwrap = bwrap
        self._python = interpreter()
        found = layers.probe()
        inner = [name for name in ("seccomp", "landlock", "limits") if found[name].available]
        self._groups = cgroups.parents(self.limits)
        self.layers: tuple[str, ...] = ("namespaces", *inner, *(["cgroup"] if self._groups else []))
        self._visible = visible(self._python)
        program = refused.program(subprocess=False, network=False, apart=True) if "seccomp" in inner else b""
        self._settings: dict[str, Any] = {
            "layers": inner,
            "limits": self.limits._asdict(),
            "uids": [],
            "visible": self._visible,
            "work": WORK,
            "filter": program.hex(),
            "network": False,
        }
        self._try()

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job; blocks."""
        try:
            ended = self._carry_out(job)
        except OSError as error:
            return infra_error(str(error), layers=self.layers)
        return verdict_of(job, ended, layers=self.layers, limits=self.limits)

    def close(self) -> None:
        """Nothing is kept between jobs."""

    def _try(self) -> None:
        done = subprocess.run([*self._command(), "/bin/true"], env={}, capture_output=True, text=True)
        if done.returncode:
            raise SandboxRefused(f"bubblewrap does not run here: {done.stderr.strip()}")

    def _command(self) -> list[str]:
        command = [self._bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        for path in self._visible:
            if os.path.islink(path):  # noqa: PTH114
                command += ["--symlink", os.readlink(path), path]  # noqa: PTH115
            else:
                command += ["--ro-bind", path, path]
        for path in DEVICES:
            command += ["--dev-bind", path, path]
        # Nothing else of this package is shown: its bundled tasks hold hidden tests.
        return [*command, "--ro-bind", str(START.parent), str(START.parent)]

    def _carry_out(self, job: Job) -> Ended:
        settings = json.dumps({**self._settings, "seconds": job.timeout_seconds}).encode()
        contents = (for_candidate(job), given(job), b"", b"", settings)
        files = [file_in_memory(content) for content in contents]
        sockets = socket.socketpair()
        group = ControlGroup(*self._groups, self.limits) if self._groups is not None else None
        began = time.monotonic()
        started: list[subprocess.Popen[bytes]] = []
        try:
            started = self._start(job, files, sockets, group)
            late = not _ends(started[-1], began + START_SECONDS + job.timeout_seconds)
            _let_end(started[0])
            killed = started[0].poll() is None
            statuses = [_end(process) for process in started]
            written = os.fstat(files[2]).st_size
            return Ended(
                candidate=statuses[0],
                candidate_killed=killed,
                checker=statuses[-1],
                late=late,
                grown="",
                oom=group is not None and group.killed_for_memory() > 0,
                seconds=time.monotonic() - began,
                report=head(files[3], REPORT_BYTES),
                output=head_and_tail(files[2], written, self.limits.output_bytes),
                written=written,
            )
        finally:
            for process in started:
                _end(process)
            for each in sockets:
                each.close()
            for file in files:
                os.close(file)
            if group is not None:
                group.remove()

    def _start(
        self,
        job: Job,
        files: Sequence[int],
        sockets: Sequence[socket.socket],
        group: ControlGroup | None,
    ) -> list[subprocess.Popen[bytes]]:
        code, tests, output, report, settings = files
        ours, theirs = (each.fileno() for each in sockets)
        if job.mode != "calls":
            return [self._spawn(0, [tests, output, output, report, code, settings], group)]
        void = os.open("/dev/null", os.O_RDWR)
        try:
            return [
                self._spawn(0, [void, output, output, ours, code, settings], group),
                self._spawn(1, [void, void, void, theirs, report, tests, settings], group),
            ]
        finally:
            os.close(void)
            for each in sockets:
                each.close()

    def _spawn(self, role: int, wanted: Sequence[int], group: ControlGroup | None) -> subprocess.Popen[bytes]:
        """Start one side, whose descriptors 0, 1, 2 ... are to become ``wanted``."""
        folder = ["--size", str(self.limits.folder_bytes), "--tmpfs", WORK, "--chdir", WORK]
        python = [os.path.realpath(self._python.path), *ALONE, str(START), "alone", str(role)]
        python += map(str, wanted)
        joined = ["/bin/sh", "-c", JOIN, "sh", *map(str, group.folders if group is not None else ()), "--"]
        command = [*joined, *self._command(), *folder, *python]
        return subprocess.Popen(command, env=ENVIRONMENT, cwd="/", pass_fds=set(wanted))


def _ends(process: subprocess.Popen[bytes], end: float) -> bool:
    """Wait for a process; whether it ends in time."""
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        return bool(poll.poll(max(end - time.monotonic(), 0) * 1000 + 1))
    finally:
        os.close(ended)


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Give a program whose checker is gone a moment to end by itself: then its own status is known."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST_WORD_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.kill()
    status = process.wait()
    return SIGNALLED - status if status > SIGNALLED else status
