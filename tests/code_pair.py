"""Candidate and checker as two forked processes over a real socket pair, without any sandbox."""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from agentloop.environments.code.inside import candidate, checker


class Judged:
    """What the checker told, and the verdict that follows from it alone."""

    def __init__(self, records, seconds=0.0, output=b"", late=False, cpu=0.0):
        self.records = records
        self.seconds = seconds
        self.output = output
        self.late = late
        self.cpu = cpu

    def first(self, key):
        return next((record for record in self.records if key in record), None)

    def all(self, key):
        return [record for record in self.records if key in record]

    @property
    def units(self):
        """The last word on each unit."""
        return {record["unit"]: record for record in self.records if "unit" in record}

    @property
    def failed(self):
        return [unit for unit in self.units.values() if not unit["passed"]]

    @property
    def why(self):
        """Why the verdict is no pass; "" for a pass."""
        for key in ("load_error", "exit", "missing_entry_point", "forged_channel", "gone", "test_error"):
            if self.first(key):
                return key
        if self.failed:
            return self.failed[0]["kind"]
        return "" if self.first("done") and self.units else "timeout"

    @property
    def passed(self):
        return self.why == ""


def forked(run, wanted):
    """Run ``run()`` in a forked child whose descriptors 0, 1, 2 ... are ``wanted``, and no others."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.setsid()
        # Out of the way of the places they are to have; what the test runner has open may stand anywhere.
        copies = [fcntl.fcntl(each, fcntl.F_DUPFD, len(wanted)) for each in wanted]
        for place, descriptor in enumerate(copies):
            os.dup2(descriptor, place)
        os.closerange(len(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        # What the test runner has put there writes to files of its own.
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(each, mode) for each, mode in enumerate("rww"))
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        status = run()
    finally:
        os._exit(status)


def read_until(descriptor, end):
    """All that comes before the other end closes or the time is over; and whether it was over."""
    parts = []
    while (left := end - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        part = os.read(descriptor, 1 << 16)
        if not part:
            return b"".join(parts), False
        parts.append(part)
    return b"".join(parts), True


def lines(data):
    return [json.loads(line) for line in data.splitlines() if line.endswith(b"}")]


def judge(program, tests, entry_point="f", *, prompt="", seconds=3.0, grace=0.0, files=None):
    """The verdict of the two processes on a program, which are killed ``grace`` after their time."""
    ours, theirs = socket.socketpair()
    report, told = os.pipe()
    job = {"mode": "calls", "program": program, "files": files or {}, "entry_point": entry_point, "call": ""}
    checked = {"tests": tests, "prompt": prompt, "entry_point": entry_point, "seconds": seconds}
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as output,
        Path(os.devnull).open() as void,
    ):

        def run_candidate():
            os.chdir(folder)
            return candidate.main({**job, "seconds": seconds}, 3)

        out, nothing = output.fileno(), void.fileno()
        children = [
            forked(run_candidate, [nothing, out, out, ours.fileno()]),
            forked(lambda: checker.main(checked, 3, 4), [nothing, nothing, nothing, theirs.fileno(), told]),
        ]
        ours.close()
        theirs.close()
        os.close(told)
        data, late = read_until(report, began + seconds + grace)
        os.close(report)
        end(children)
        output.seek(0)
        written = output.read(1 << 20)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return Judged(lines(data), time.monotonic() - began, written, late, cpu)


def answered(data, tests, entry_point="f"):
    """What the checker tells of another end that sends these bytes, whatever it is asked, and is gone."""
    ours, theirs = socket.socketpair()
    report, told = os.pipe()
    checked = {"tests": tests, "prompt": "", "entry_point": entry_point, "seconds": 5.0}
    with Path(os.devnull).open() as void:
        nothing = void.fileno()
        child = forked(
            lambda: checker.main(checked, 3, 4), [nothing, nothing, nothing, theirs.fileno(), told]
        )
    theirs.close()
    os.close(told)
    ours.sendall(data)
    ours.shutdown(socket.SHUT_WR)
    reported, late = read_until(report, time.monotonic() + 5)
    os.close(report)
    ours.close()
    end([child])
    return Judged(lines(reported), late=late)


def run_alone(mode, program, *, seconds=3.0, stdin="", **more):
    """The records of a candidate that reports to the host itself; and its output."""
    ours, theirs = socket.socketpair()
    job = {"mode": mode, "program": program, "files": {}, "entry_point": "", "call": "", "tests": "", **more}
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as given,
    ):
        given.write(stdin.encode())
        given.seek(0)

        def run_candidate():
            os.chdir(folder)
            return candidate.main({**job, "seconds": seconds}, 3)

        out = output.fileno()
        child = forked(run_candidate, [given.fileno(), out, out, theirs.fileno()])
        theirs.close()
        data, _ = read_until(ours.fileno(), time.monotonic() + seconds + 1.0)
        ours.close()
        end([child])
        output.seek(0)
        written = output.read().decode("utf-8", "replace")
    records, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        records.append(json.loads(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return records, written


def end(children):
    """Kill the children with all that they have started in their sessions, and reap them."""
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)  # one that had not begun a session yet
        os.waitpid(child, 0)
