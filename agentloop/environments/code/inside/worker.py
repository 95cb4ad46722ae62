"""The fork server: started once, it forks the two processes of each job and never sees what they run.

Code, tests, output and report are descriptors handed on to the children, so that nothing of one job
is in memory when the next one forks. It runs on the standard library alone (``python -I -S``).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import builtins
import gc
import os
import select
import sys
import time
from _sitebuiltins import Quitter
from typing import Any

from agentloop.environments.code.inside.candidate import Candidate
from agentloop.environments.code.inside.channel import decode, encode
from agentloop.environments.code.inside.checker import Checker
from agentloop.environments.code.inside.confine import CANDIDATE, CHECKER, Room
from agentloop.environments.code.inside.kernel import trim
from agentloop.environments.code.inside.rehearsing import rehearse

PRELOADED = (
    "abc ast bisect collections collections.abc contextlib copy enum functools heapq io itertools json math "
    "operator os re string struct sys time types typing"
)
"""What programs import most; in memory before the fork, it costs them nothing.

Nothing that imports ``threading`` or ``random``: each fork would run their hooks, for a third of its price.
Nothing large that fewer than one in fifty import: to every fork a module costs a hundredth of what it costs
to import it."""
PLACES = 5
"""How many descriptors a child begins with. Those of a job lie above, so that none is in another's place."""
ALL = 1 << 16
"""Above all descriptors."""
PIECE = 1 << 14
LAST_WORD_SECONDS = 0.1
"""What a checker may take to say that its program is gone."""
LONGEST_PATH = 3000
"""Beyond this a path comes near the longest that the kernel takes."""
SIGKILL = 9
PRUNE_SECONDS = 0.02
"""How often the work folder is measured where no kernel limits its size."""
RIGHTS = _socket.CMSG_SPACE(8 * 4)
"""Room for the descriptors of a job."""


class Worker:
    """One fork server: asked over ``control``, one job at a time."""

    def __init__(self, control: _socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.room = Room(settings)
        self.limits: dict[str, int] = settings["limits"]
        self.void = os.open("/dev/null", os.O_RDWR)
        # Each child says here that it is confined, before it touches anything of the job. Only the
        # worker keeps the end that is read: where it is dead, nobody listens, and the child ends too.
        self.confined, self._says_confined = os.pipe()
        os.set_blocking(self.confined, False)
        os.environ.clear()
        os.environ.update(surroundings(self.room.work))
        sys.path[:0] = settings["path"]
        # What Python's start-up for people adds, and programs call.
        builtins.exit, builtins.quit = Quitter("exit", ""), Quitter("quit", "")
        for name in [*PRELOADED.split(), *settings["preload"]]:
            __import__(name)
        self.room.settle()
        # What a child needs besides its job, made once: its connection is its descriptor 3.
        self.candidate, self.checker = Candidate(3), Checker(3, 4)
        rehearse(report=self.void)
        gc.collect()
        gc.freeze()
        gc.disable()  # children turn it on for what is not ours
        trim()

    def serve(self) -> None:
        """Carry out jobs until the host is gone."""
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
            self.control.sendall(encode(answer).encode() + b"\n")

    def carry_out(self, asked: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Run one job; the answer tells how each process ended, and whether it was too late."""
        if not self.room.apart:
            empty(self.room.work)
        began = time.monotonic()
        children, connection = self._start(asked, descriptors)
        try:
            late, grown = self._watch(children, began + asked["seconds"])
        finally:
            statuses = {CANDIDATE: self._end(children[CANDIDATE])}
            if connection is not None:
                connection.close()
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

    def _start(
        self, asked: dict[str, Any], descriptors: list[int]
    ) -> tuple[dict[int, int], _socket.socket | None]:
        """Fork the children of a job; with them the checker's end of what connects them.

        To be held until the candidate is dead: it need not wake up because its checker has ended.
        """
        job, output, report, given = descriptors[:4]
        if asked["mode"] != "calls":
            return {CANDIDATE: self._fork(CANDIDATE, asked, job, [given, output, output, report])}, None
        theirs, ours = _socket.socketpair()
        children = {}
        try:
            wanted = [self.void, output, output, theirs.fileno()]
            children[CANDIDATE] = self._fork(CANDIDATE, asked, job, wanted)
            wanted = [self.void, self.void, self.void, ours.fileno(), report]
            children[CHECKER] = self._fork(CHECKER, asked, given, wanted)
        except OSError:
            self._end_all(children)
            ours.close()
            raise
        finally:
            theirs.close()
        return children, ours

    def _fork(self, role: int, asked: dict[str, Any], job: int, wanted: list[int]) -> int:
        """Fork a child for what the file ``job`` says; it keeps the descriptors ``wanted`` as 0, 1, 2 ..."""
        child = self.room.fork(role)
        if child:
            return child
        status = 70
        try:
            status = self._child(role, asked, job, wanted)
        except OSError as error:
            os.write(2, f"the sandbox could not be put up: {error}\n".encode())
        finally:
            os._exit(status)

    def _child(self, role: int, asked: dict[str, Any], job: int, wanted: list[int]) -> int:
        os.close(self.confined)
        self.room.close_around(role, asked["seconds"])
        os.write(self._says_confined, b"1")
        told = decode(read_all(job).decode())
        told["seconds"] = asked["seconds"]
        for place, descriptor in enumerate(wanted):
            os.dup2(descriptor, place)
        os.closerange(len(wanted), ALL)
        return (self.candidate if role == CANDIDATE else self.checker).run(told)

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
                found = dict(poll.poll(wait * 1000 + 1))
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
        try:
            found, status = os.waitpid(child, os.WNOHANG)
            if not found and wait:
                wait_for(child, wait)
                found, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            return [0, False]
        killed = not found
        if killed:
            os.kill(child, SIGKILL)
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
    parts, at = [], 0
    while part := os.pread(descriptor, PIECE, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def read_ready(pipe: int) -> bytes | None:
    """What a pipe holds now: ``b""`` when nobody can write to it any more, None when nobody did."""
    try:
        return os.read(pipe, 64)
    except BlockingIOError:
        return None


def receive(control: _socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One line of JSON and the descriptors that came with it; None when the host is gone."""
    data, descriptors = b"", []
    while not data.endswith(b"\n"):
        part, extra, _, _ = control.recvmsg(65536, RIGHTS)
        if not part:
            return None, []
        data += part
        for level, kind, content in extra:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                descriptors += memoryview(content).cast("i").tolist()
    return decode(data[:-1].decode()), descriptors


def end_descendants() -> None:
    """Kill what a job left behind: without a pid namespace the worker adopts its orphans."""
    while True:
        for process in children_of(os.getpid()):
            os.kill(process, SIGKILL)
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
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    # Without the terminal of the host, for its children too: each in a session of its own would cost
    # them a twentieth of their time, since the scheduler keeps account of sessions.
    os.setsid()
    host = _socket.socket(fileno=above_places(control))
    settings, _ = receive(host)
    if settings is None:
        return
    try:
        worker = Worker(host, settings)
    except (OSError, ImportError) as error:
        host.sendall(encode({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    host.sendall(encode({"ready": True}).encode() + b"\n")
    worker.serve()


def above_places(descriptor: int) -> int:
    """Move a descriptor above the places that children need, and fill these, so that all others follow."""
    moved = os.dup2(descriptor, PLACES)
    if descriptor > PLACES:
        os.close(descriptor)
    for place in range(3, PLACES):
        os.dup2(0, place)
    return moved
