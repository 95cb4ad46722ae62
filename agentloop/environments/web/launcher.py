# ruff: noqa: PTH120, PTH123, PTH208
# Loads as little as it can: pathlib would double what it costs to start and to keep.
"""Starts a browser and stays beside it: a script that runs alone and loads nothing of the package.

    python -I -S launcher.py SETTINGS EXECUTABLE ARGUMENT...

SETTINGS are JSON: ``namespace`` says whether the browser gets a network of its own, ``user`` (or null)
as whom it runs, ``host`` whose end is its end, ``control`` where the host listens, ``memory_bytes``
what each of its processes may take. Whenever the host sends a byte over the control socket, a socket
that listens on the loopback of the browser's network is sent back.

    python -I -S launcher.py probing network
    python -I -S launcher.py probing sandbox [USER]

end with 0 where the kernel gives this user a network of its own, and where it gives this user, or
USER, the user namespaces that Chromium's own sandbox is made of.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import sys
from typing import Any

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
PIPES = (3, 4)
"""Where Playwright and the browser speak with each other."""
TICK_MILLISECONDS = 250
BACKLOG = 64
PROFILE = "--user-data-dir="

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Start the browser and watch over it; its exit status."""
    if arguments[0] == "probing":
        probe(arguments[1], int(arguments[2]) if arguments[2:] else None)
        return 0
    settings: dict[str, Any] = json.loads(arguments[0])
    host = os.pidfd_open(settings["host"])
    control = socket.socket(socket.AF_UNIX)
    control.connect(settings["control"])
    folders = [os.path.dirname(settings["control"])]
    folders += [each.removeprefix(PROFILE) for each in arguments if each.startswith(PROFILE)]
    if settings["user"] is not None:
        for folder in folders:
            os.chown(folder, settings["user"], settings["user"])
    if settings["namespace"]:
        own_network()
    browser = started(arguments[1:], settings["user"])
    for descriptor in PIPES:
        os.close(descriptor)
    control.sendall(b"%d\n" % browser)
    try:
        return Watch(browser, settings["memory_bytes"]).until_the_end(host, control)
    finally:
        if select.select([host], [], [], 0)[0]:  # nobody else is left to do it
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)


def probe(what: str, user: int | None) -> None:
    """Try something out that a browser needs; OSError where the kernel refuses."""
    if what == "network":
        own_network()
        return
    become(user)
    own_user_namespace(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)


def own_network() -> None:
    """Leave the network for a new one that has nothing but a loopback of its own.

    Who is not root leaves for a user namespace as well, under the same names.
    """
    if os.geteuid() == 0:
        checked(_libc.unshare(CLONE_NEWNET))
    else:
        own_user_namespace(CLONE_NEWUSER | CLONE_NEWNET)
    with socket.socket() as link:
        fcntl.ioctl(link, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))


def own_user_namespace(flags: int) -> None:
    """Leave for a new user namespace, under the same names, and for whatever else the flags name."""
    user, group = os.geteuid(), os.getegid()
    checked(_libc.unshare(flags))
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def become(user: int | None) -> None:
    """Become another user for good, if one is named."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def started(command: list[str], user: int | None) -> int:
    """Start the browser, which ends when this process does; its process id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.chdir("/")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        become(user)
        checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        if os.getppid() == parent:
            os.execv(command[0], command)
    finally:
        os._exit(127)


def checked(result: int) -> None:
    """Raise what a call of the C library failed with."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Watch:
    """What is done beside a browser while it runs: sockets are made, and what grows too much is killed."""

    def __init__(self, browser: int, memory_bytes: int) -> None:
        self.browser = browser
        self.memory_bytes = memory_bytes
        self.parents: dict[int, int] = {}
        self.ours: set[int] = {browser}

    def until_the_end(self, host: int, control: socket.socket) -> int:
        """Watch until the browser or the host ends; the browser's exit status."""
        ended = os.pidfd_open(self.browser)
        poll = select.poll()
        for descriptor in (host, control.fileno(), ended):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(TICK_MILLISECONDS)}
            if ended in ready:
                break
            if host in ready or (control.fileno() in ready and not control.recv(1)):
                os.kill(self.browser, signal.SIGKILL)
                break
            if control.fileno() in ready:
                give_socket(control, sum(map(memory_of, self.family())))
            else:
                self.kill_what_grew()
        return os.waitstatus_to_exitcode(os.waitpid(self.browser, 0)[1]) & 0xFF

    def kill_what_grew(self) -> None:
        """Kill each process of the browser that has more memory of its own than it may."""
        for process in self.family():
            if memory_of(process) > self.memory_bytes * (2 if process == self.browser else 1):
                os.kill(process, signal.SIGKILL)

    def family(self) -> set[int]:
        """The browser and its descendants. Only processes not seen before are looked at."""
        alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self.parents = {process: parent for process, parent in self.parents.items() if process in alive}
        for process in alive - set(self.parents):
            self.parents[process] = parent_of(process)
        self.ours &= alive
        size = 0
        while size != len(self.ours):
            size = len(self.ours)
            self.ours |= {process for process, parent in self.parents.items() if parent in self.ours}
        return self.ours


def parent_of(process: int) -> int:
    """The parent of a process; 0 where it is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def memory_of(process: int) -> int:
    """The bytes of memory that a process has for itself or shares with others of the browser."""
    try:
        with open(f"/proc/{process}/status", "rb") as file:
            told = file.readlines()
    except OSError:
        return 0
    counted = [line for line in told if line.startswith((b"RssAnon:", b"RssShmem:"))]
    return sum(int(line.split()[1]) * 1024 for line in counted)


def give_socket(control: socket.socket, memory_bytes: int) -> None:
    """Send the host a socket that listens on the loopback of this network, and the memory of all."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(BACKLOG)
        socket.send_fds(control, [struct.pack("=Q", memory_bytes)], [listening.fileno()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
