"""The layers around a worker and around each of its children, put on from the inside.

A worker calls ``Room`` once, and ``Room.settle`` before its first job; each child that it forks calls
``Room.close_around`` before it touches anything that came from outside. Every step is taken or raises
OSError: none is skipped in silence.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from agentloop.environments.code.inside import kernel

WORK = "/box/work"
"""Where the work folder lies inside a root of its own. Landlock's rule stands on its parent, since
Landlock does not look at the folder that a mount hides."""
CANDIDATE, CHECKER = 0, 1
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
WORLD = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP


class Room:
    """What confines the children of one worker.

    ``settings``: layers (names), limits (by name), uids (candidate, checker) or none, visible (folders
    that may be read), work (a folder of the host, where there is no mount namespace), filter
    (hexadecimal) or none, network (bool), uid and gid (the caller's, for a user namespace).
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.layers: set[str] = set(settings["layers"])
        self.limits: dict[str, int] = settings["limits"]
        self.network: bool = settings["network"]
        self.uids: list[int] = settings["uids"] if "uid" in self.layers else []
        self.apart = "namespaces" in self.layers
        self.work = WORK if self.apart else settings["work"]
        self._score, self._own_score = own_score() if "cgroup" in self.layers else (-1, b"")
        # Only a user of its own can be counted: else all processes of the caller count too.
        self._counted = bool(self.uids) or (self.apart and os.getuid() != 0)
        self._processor = (ctypes.c_uint64 * 2)()
        self._landlock: kernel.Landlock | None = None
        self._filter: kernel.SystemCallFilter | None = None
        visible = [path for path in settings["visible"] if os.path.exists(path)]
        if self.apart:
            enter_namespaces(settings)
            build_root(visible, hidden=settings["hidden"])
        if "landlock" in self.layers:
            devices = [path for path in DEVICES if os.path.exists(path)]
            write = ["/box" if self.apart else self.work]
            self._landlock = kernel.Landlock(read=[*visible, *devices], write=write, network=self.network)
        if "seccomp" in self.layers:
            self._filter = kernel.SystemCallFilter(bytes.fromhex(settings["filter"]))
        if not self.apart:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1, what="subreaper")
        # Its memory is not for reading through /proc or ptrace by processes of the same user.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0, what="dumpable")
        self._closing = {role: self._for_child(role) for role in (CANDIDATE, CHECKER)}

    def settle(self) -> None:
        """Confine the worker as far as it needs no more: once it has all modules in memory."""
        self._for_worker().make()

    def fork(self, role: int) -> int:
        """Fork a child; with namespaces, as the first process of its own, the candidate with own mounts.

        When memory runs out, the kernel is to choose the child and not the worker. It has its score from
        the worker, who takes it on for that moment: to set its own costs a child a tenth of a millisecond.
        """
        if self._score < 0:
            return self._fork(role)
        os.write(self._score, b"1000")
        child = -1
        try:
            child = self._fork(role)
        finally:
            if child:
                os.write(self._score, self._own_score)
        return child

    def _fork(self, role: int) -> int:
        if not self.apart:
            return os.fork()
        mounts = kernel.CLONE_NEWNS if role == CANDIDATE else 0
        return kernel.fork_into(kernel.CLONE_NEWPID | mounts)

    def close_around(self, role: int, seconds: float) -> None:
        """Confine the process that calls, which plays the candidate's or the checker's role.

        Its parent, or it itself, has settled before. The candidate gets a work folder, which becomes the
        current one. Descriptors are the caller's business.
        """
        self._processor[:] = [int(seconds) + 2] * 2
        if role == CANDIDATE and self.uids and not self.apart:
            os.chown(self.work, self.uids[0], -1)
        self._closing[role].make()

    def _for_worker(self) -> kernel.Calls:
        """The system calls that confine the worker, and with it every child, who has it from there."""
        calls = kernel.Calls()
        if "limits" in self.layers:
            for resource, value in bounds(self.limits, counted=self._counted):
                calls.add("prlimit", kernel.SYS_PRLIMIT, 0, resource, (ctypes.c_uint64 * 2)(value, value))
        if self.uids:
            calls.add("setgroups", kernel.SYS_SETGROUPS, 0, 0)
        calls.add("no new privileges", kernel.SYS_PRCTL, kernel.PR_SET_NO_NEW_PRIVS, 1)
        return calls

    def _for_child(self, role: int) -> kernel.Calls:
        """The system calls that confine a child besides."""
        calls = kernel.Calls()
        calls.add("setpgid", kernel.SYS_SETPGID, 0, 0)
        if role == CANDIDATE and self.apart:
            flags = kernel.MS_NOSUID | kernel.MS_NODEV
            calls.add("mount", kernel.SYS_MOUNT, b"work", WORK.encode(), b"tmpfs", flags, self._measure())
        calls.add("chdir", kernel.SYS_CHDIR, self.work.encode() if role == CANDIDATE else b"/")
        if "limits" in self.layers:
            calls.add("prlimit", kernel.SYS_PRLIMIT, 0, kernel.RLIMIT_CPU, self._processor)
        if self.uids:
            calls.add("setresgid", kernel.SYS_SETRESGID, *[self.uids[role]] * 3)
            calls.add("setresuid", kernel.SYS_SETRESUID, *[self.uids[role]] * 3)
        itself, none = (ctypes.c_uint32 * 2)(kernel.CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
        calls.add("capset", kernel.SYS_CAPSET, itself, none)
        calls.add("dumpable", kernel.SYS_PRCTL, kernel.PR_SET_DUMPABLE, 0)
        calls.add("parent-death signal", kernel.SYS_PRCTL, kernel.PR_SET_PDEATHSIG, 9)
        if self._landlock is not None:
            calls.add("landlock_restrict_self", kernel.SYS_LANDLOCK_RESTRICT, self._landlock.descriptor)
        if self._filter is not None:
            mode = kernel.SECCOMP_MODE_FILTER
            calls.add("seccomp", kernel.SYS_PRCTL, kernel.PR_SET_SECCOMP, mode, self._filter.address)
        return calls

    def _measure(self) -> bytes:
        """How large a work folder of its own is, and whose."""
        uid = self.uids[0] if self.uids else os.getuid()
        size, files = self.limits["folder_bytes"], self.limits["folder_files"]
        return f"size={size},nr_inodes={files},mode=700,uid={uid}".encode()


def own_score() -> tuple[int, bytes]:
    """The file of this process's score for being killed when memory runs out, open, and what it says.

    -1 where it cannot be had, as in another user's /proc: a worker is then as likely to be chosen as
    its children, and replaced.
    """
    try:
        score = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    except OSError:
        return -1, b""
    return score, os.read(score, 16)


def bounds(limits: dict[str, int], *, counted: bool) -> list[tuple[int, int]]:
    """The limits of a process other than its processor time; one that is lower already stays.

    ``counted``: the processes of its user are its own alone, and can be counted.
    """
    wanted = [
        (kernel.RLIMIT_AS, limits["memory_bytes"]),
        (kernel.RLIMIT_FSIZE, limits["file_bytes"]),
        (kernel.RLIMIT_NOFILE, limits["open_files"]),
        (kernel.RLIMIT_CORE, 0),
        (kernel.RLIMIT_MEMLOCK, 65536),
    ]
    if counted:
        wanted.append((kernel.RLIMIT_NPROC, limits["processes"]))
    return [(what, min(value, kernel.hard_limit(what))) for what, value in wanted]


def enter_namespaces(settings: dict[str, Any]) -> None:
    """Leave the host's namespaces; a caller who is not root enters a user namespace first."""
    if settings["uid"] != 0:
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{settings['uid']} {settings['uid']} 1"),
            ("gid_map", f"{settings['gid']} {settings['gid']} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    kernel.unshare(WORLD | (0 if settings["network"] else kernel.CLONE_NEWNET))


def build_root(visible: list[str], *, hidden: list[str]) -> None:
    """Make a root of read-only binds of ``visible``, without /proc, /etc and /home, and enter it.

    An empty folder stands in the place of each of ``hidden``.
    """
    sources = {path: os.open(path, os.O_PATH) for path in [*visible, *DEVICES] if not os.path.islink(path)}
    links = {path: os.readlink(path) for path in visible if os.path.islink(path)}
    root = "/tmp"
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("root", root, kind="tmpfs", data="size=1m,mode=755")
    for path, target in links.items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(target, root + path)
    for path, source in sorted(sources.items()):
        _bind(f"/proc/self/fd/{source}", root + path)
        os.close(source)
    for path in hidden:
        if os.path.isdir(root + path):
            kernel.mount("hidden", root + path, kind="tmpfs", data="size=4k,mode=755")
    os.makedirs(root + WORK)
    if not os.path.lexists(f"{root}/tmp"):
        os.symlink(WORK, f"{root}/tmp")
    kernel.make_read_only(root)
    kernel.pivot_root(root)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)
