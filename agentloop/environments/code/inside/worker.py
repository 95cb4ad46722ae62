"""The fork server: started once, it forks the two processes of each job and never sees what they run.

Code, tests, output and report are descriptors handed on to the children, so that nothing of one job
is in memory when the next one forks. It runs on the standard library alone (``python -I -S``).
"""

from __future__ import annotations

import array
import builtins
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from _sitebuiltins import Quitter
from typing import Any

from agentloop.environments.code.inside import candidate, checker
from agentloop.environments.code.inside.confine import CANDIDATE, CHECKER, Room

PRELOADED = (
    "abc array ast base64 bisect calendar cmath collections collections.abc contextlib copy dataclasses "
    "datetime decimal enum fractions functools hashlib heapq io itertools json math numbers operator os "
    "random re statistics string struct sys textwrap time traceback types typing unicodedata"
)
"""What programs import most; in memory before the fork, it costs them nothing.

Nothing that imports ``threading``: each fork would run its hooks, for a third of the price of a fork."""
HIGH = 200
"""Above all descriptors that a worker has open."""
LAST_WORD_SECONDS = 0.1
"""What a checker may take to say that its program is gone."""
LONGEST_PATH = 3000
"""Beyond this a path comes near the longest that the kernel takes."""
PRUNE_SECONDS = 0.02
"""How often the work folder is measured where no kernel limits its size."""


class Worker:
    """One fork server: asked over ``control``, one job at a time."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.room = Room(settings)
        self.limits: dict[str, int] = settings["limits"]
        self.void = os.open("/dev/null", os.O_RDWR)
        # Held open by the worker alone: a child that reads its end knows whether the worker lives.
        self.life, self._living = os.pipe()
        os.set_blocking(self.life, False)
        # Each child says here that it is confined, before it touches anything of the job.
        self.confined, self._says_confined = os.pipe()
        os.set_blocking(self.confined, False)
        os.environ.clear()
        os.environ.update(surroundings(self.room.work))
        sys.path[:0] = settings["path"]
        # What Python's start-up for people adds, and programs call.
        builtins.exit, builtins.quit = Quitter("exit", ""), Quitter("quit", "")
        for name in [*PRELOADED.split(), *settings["preload"]]:
            __import__(name)

    def serve(self) -> None:
        """Carry out jobs until the host is gone."""
        checker.warm()
        gc.collect()
        gc.freeze()
        while True:
            asked, descriptors = receive(self.control)
            if asked is None:
                self._tidy()
                return
            try:
                answer = self.carry_out(asked, descriptors)
            except OSError as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            self.control.sendall(json.dumps(answer).encode() + b"\n")

    def carry_out(self, asked: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Run one job; the answer tells how each process ended, and whether it was too late."""
        if not self.room.apart:
            empty(self.room.work)
        began = time.monotonic()
        children = self._start(asked, descriptors)
        try:
            late, grown = self._watch(children, began + asked["seconds"])
        finally:
            statuses = {CANDIDATE: self._end(children[CANDIDATE])}
            if CHECKER in children:
                statuses[CHECKER] = self._end(children[CHECKER], wait=LAST_WORD_SECONDS)
            if not self.room.apart:
                end_descendants()
        return {
            "candidate": statuses[CANDIDATE],
            "checker": statuses.get(CHECKER, [0, False]),
            "late": late,
            "grown": grown,
            "confined": len(read_ready(self.confined) or b"") == len(children),
            "seconds": time.monotonic() - began,
        }

    def _start(self, asked: dict[str, Any], descriptors: list[int]) -> dict[int, int]:
        job, output, report, given = descriptors[:4]
        if asked["mode"] != "calls":
            return {CANDIDATE: self._fork(CANDIDATE, asked, [given, output, output, report, job])}
        mine, other = socket.socketpair()
        with mine, other:
            candidate_fd, checker_fd = mine.fileno(), other.fileno()
            children = {
                CANDIDATE: self._fork(CANDIDATE, asked, [self.void, output, output, candidate_fd, job])
            }
            try:
                children[CHECKER] = self._fork(
                    CHECKER, asked, [self.void, self.void, self.void, checker_fd, report, given]
                )
            except OSError:
                self._end(children[CANDIDATE])
                raise
        return children

    def _fork(self, role: int, asked: dict[str, Any], wanted: list[int]) -> int:
        """Fork a child whose descriptors 0, 1, 2 ... are ``wanted`` and no others."""
        child = self.room.fork(role)
        if child:
            return child
        status = 70
        try:
            status = self._child(role, asked, wanted)
        except OSError as error:
            os.write(2, f"the sandbox could not be put up: {error}\n".encode())
        finally:
            os._exit(status)

    def _child(self, role: int, asked: dict[str, Any], wanted: list[int]) -> int:
        # First above all that is in use, so that no wanted one is overwritten before its turn.
        high = [os.dup2(each, HIGH + place) for place, each in enumerate(wanted)]
        os.close(self._living)
        self.room.close_around(role, asked["seconds"])
        if read_ready(self.life) == b"":
            return 70  # the worker died before this process could ask to die with it
        os.write(self._says_confined, b"1")
        for place, descriptor in enumerate(high):
            os.dup2(descriptor, place)
        count = len(wanted)
        os.closerange(count, HIGH + count)
        job = json.loads(read_all(count - 1))
        os.close(count - 1)
        job["seconds"] = asked["seconds"]
        if role == CANDIDATE:
            return candidate.main(job, 3)
        return checker.main(job, 3, 4)

    def _too_much(self, children: dict[int, int]) -> str:
        crowd = max(map(threads_of, children.values()))
        if crowd > self.limits["processes"]:
            return "threads"
        return "files" if too_large(self.room.work, self.limits) else ""

    def _watch(self, children: dict[int, int], end: float) -> tuple[bool, str]:
        """Wait for the verdict; whether time ran out first, or of what the program had too much."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        awaited = children.get(CHECKER, children[CANDIDATE])
        ended = os.pidfd_open(awaited)
        poll.register(ended, select.POLLIN)
        try:
            while (left := end - time.monotonic()) > 0:
                wait = left if self.room.apart else min(left, PRUNE_SECONDS)
                found = {descriptor for descriptor, _ in poll.poll(wait * 1000 + 1)}
                if self.control.fileno() in found:
                    # The host is gone, or breaks the order of things: nobody waits for this job.
                    self._end_all(children)
                    self._tidy()
                    os._exit(0)
                if ended in found:
                    return False, ""
                grown = "" if self.room.apart else self._too_much(children)
                if grown:
                    return False, grown
        finally:
            os.close(ended)
        return True, ""

    def _end_all(self, children: dict[int, int]) -> None:
        for child in children.values():
            self._end(child)
        if not self.room.apart:
            end_descendants()

    def _tidy(self) -> None:
        """Remove what lies on the host, which is gone and cannot do it."""
        if not self.room.apart:
            empty(self.room.work)
            os.rmdir(self.room.work)

    def _end(self, child: int, *, wait: float = 0.0) -> list[Any]:
        """Kill a child, and with the first process of its namespace all others: its status, and whether
        it had to be killed. It may take ``wait`` seconds to end by itself.
        """
        if wait:
            wait_for(child, wait)
        try:
            found, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            return [0, False]
        killed = not found
        if killed:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        return [os.waitstatus_to_exitcode(status), killed]


def wait_for(child: int, seconds: float) -> None:
    """Wait for a child to end, but not longer."""
    ended = os.pidfd_open(child)
    try:
        select.select([ended], [], [], seconds)
    finally:
        os.close(ended)


def surroundings(work: str) -> dict[str, str]:
    """The environment variables of a program."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": work, "TMPDIR": work, "LANG": "C.UTF-8"}


def read_all(descriptor: int) -> bytes:
    """Everything in a file, from its start, wherever its position is."""
    size, parts, at = os.fstat(descriptor).st_size, [], 0
    while at < size and (part := os.pread(descriptor, size - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def read_ready(pipe: int) -> bytes | None:
    """What a pipe holds now: ``b""`` when nobody can write to it any more, None when nobody did."""
    try:
        return os.read(pipe, 64)
    except BlockingIOError:
        return None


def receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One line of JSON and the descriptors that came with it; None when the host is gone."""
    data, descriptors = b"", array.array("i")
    while not data.endswith(b"\n"):
        part, extra, _, _ = control.recvmsg(65536, socket.CMSG_SPACE(8 * descriptors.itemsize))
        if not part:
            return None, []
        data += part
        for level, kind, content in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return json.loads(data), list(descriptors)


def end_descendants() -> None:
    """Kill what a job left behind: without a pid namespace the worker adopts its orphans."""
    while True:
        for process in children_of(os.getpid()):
            os.kill(process, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children_of(process: int) -> list[int]:
    """The children of a process, as the kernel lists them."""
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def threads_of(process: int) -> int:
    """The threads of a process and of its descendants."""
    try:
        own = len(os.listdir(f"/proc/{process}/task"))
    except OSError:
        return 0
    return own + sum(map(threads_of, children_of(process)))


def too_large(folder: str, limits: dict[str, int]) -> bool:
    """Whether a folder holds more files, or more bytes on disk, than it may; links are not followed."""
    count = size = 0
    folders = [folder]
    while folders:
        path = folders.pop()
        if len(path) > LONGEST_PATH:
            return True
        try:
            found = list(os.scandir(path))
        except OSError:
            continue
        for entry in found:
            size += bytes_of(entry)
        folders += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        count += len(found)
        if count > limits["folder_files"] or size > limits["folder_bytes"]:
            return True
    return False


def bytes_of(entry: os.DirEntry[str]) -> int:
    """What a file takes on disk; nothing when it is gone meanwhile."""
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def empty(folder: str) -> None:
    """Remove all that lies in a folder, however deep: what lies in a folder of it is moved up first."""
    moved = 0
    while found := list(os.scandir(folder)):
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                moved = move_up(entry.path, folder, moved)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


def move_up(folder: str, target: str, moved: int) -> int:
    """Move what lies in ``folder`` into ``target`` under new names, which are numbered from ``moved`` on."""
    os.chmod(folder, 0o700)
    for entry in list(os.scandir(folder)):
        moved += 1
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
        os.rename(entry.path, f"{target}/{moved}-{os.getpid()}-moved")
    return moved


def main(control: int) -> None:
    """Serve the host at the other end of the socket ``control``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    host = socket.socket(fileno=control)
    settings, _ = receive(host)
    if settings is None:
        return
    try:
        worker = Worker(host, settings)
    except (OSError, ImportError) as error:
        host.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    host.sendall(json.dumps({"ready": True}).encode() + b"\n")
    worker.serve()
