"""The layers around a worker and around each of its children, put on from the inside.

A worker calls ``Room`` once; each child it forks calls ``Room.close_around`` before it touches
anything that came from outside. Every step is taken or raises OSError: none is skipped in silence.
"""

from __future__ import annotations

import os
import resource
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
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY) if os.path.isdir("/proc") else -1
        # Only a user of its own can be counted: else all processes of the caller count too.
        counted = bool(self.uids) or (self.apart and os.getuid() != 0)
        self._limits = bounds(self.limits, counted=counted)
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

    def fork(self, role: int) -> int:
        """Fork a child; with namespaces, as the first process of its own, the candidate with own mounts."""
        if not self.apart:
            return os.fork()
        mounts = kernel.CLONE_NEWNS if role == CANDIDATE else 0
        return kernel.fork_into(kernel.CLONE_NEWPID | mounts)

    def close_around(self, role: int, seconds: float) -> None:
        """Confine the process that calls, which plays the candidate's or the checker's role.

        The candidate gets a work folder, which becomes the current one. Descriptors are the caller's
        business.
        """
        os.setsid()
        if self._proc >= 0 and "cgroup" in self.layers:
            self._die_first()
        if role == CANDIDATE:
            self._open_work_folder()
        else:
            os.chdir("/")
        if "limits" in self.layers:
            self._limit(seconds)
        if self.uids:
            os.setgroups([])
            os.setresgid(*[self.uids[role]] * 3)
            os.setresuid(*[self.uids[role]] * 3)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, what="no new privileges")
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0, what="dumpable")
        kernel.prctl(kernel.PR_SET_PDEATHSIG, 9, what="parent-death signal")
        if self._landlock is not None:
            self._landlock.restrict()
        if self._filter is not None:
            self._filter.install()

    def _die_first(self) -> None:
        """When memory runs out, the kernel is to choose this process and not the worker."""
        try:
            score = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=self._proc)
        except OSError:
            return  # another user's /proc: the worker is then as likely to be chosen, and replaced
        os.write(score, b"1000")
        os.close(score)

    def _open_work_folder(self) -> None:
        if self.apart:
            uid = self.uids[0] if self.uids else os.getuid()
            size, files = self.limits["folder_bytes"], self.limits["folder_files"]
            data = f"size={size},nr_inodes={files},mode=700,uid={uid}"
            kernel.mount("work", WORK, kind="tmpfs", flags=kernel.MS_NOSUID | kernel.MS_NODEV, data=data)
        elif self.uids:
            os.chown(self.work, self.uids[0], -1)
        os.chdir(self.work)

    def _limit(self, seconds: float) -> None:
        for what, value in self._limits:
            resource.setrlimit(what, (value, value))
        processor = int(seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))


def bounds(limits: dict[str, int], *, counted: bool) -> list[tuple[int, int]]:
    """The limits of a process other than its processor time; one that is lower already stays.

    ``counted``: the processes of its user are its own alone, and can be counted.
    """
    wanted = [
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 65536),
    ]
    if counted:
        wanted.append((resource.RLIMIT_NPROC, limits["processes"]))
    found = []
    for what, value in wanted:
        hard = resource.getrlimit(what)[1]
        found.append((what, value if hard == resource.RLIM_INFINITY else min(value, hard)))
    return found


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
