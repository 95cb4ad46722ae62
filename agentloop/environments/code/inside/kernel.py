"""System calls of Linux that the standard library lacks; each raises OSError where the kernel refuses."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
SECCOMP_MODE_FILTER = 2

AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2

ARM = os.uname().machine in ("aarch64", "arm64")
SYS_CLONE = 220 if ARM else 56
SYS_PIVOT_ROOT = 41 if ARM else 155
SYS_MOUNT, SYS_CHDIR = (40, 49) if ARM else (165, 80)
SYS_SETPGID, SYS_PRLIMIT = (154, 261) if ARM else (109, 302)
SYS_SETGROUPS, SYS_SETRESGID, SYS_SETRESUID = (159, 149, 147) if ARM else (116, 119, 117)
SYS_PRCTL, SYS_CAPSET = (167, 91) if ARM else (157, 126)
SYS_MOUNT_SETATTR, SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 442, 444, 445, 446
LANDLOCK_VERSION = 1
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_NOFILE = 0, 1, 4, 6, 7
RLIMIT_MEMLOCK, RLIMIT_AS = 8, 9
CAPABILITY_VERSION = 0x20080522
SIGCHLD = 17

_libc = ctypes.CDLL(None, use_errno=True)
_python = ctypes.PyDLL(None, use_errno=True)
"""The same library, called with the interpreter's lock held."""
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_NULL = ctypes.c_void_p(None)
_call = _python["syscall"]
"""A system call whose arguments are numbers; what they are is said once, not anew for each call."""
_call.restype, _call.argtypes = ctypes.c_long, [ctypes.c_long] * 6
_before_fork, _after_in_parent, _after_in_child = (
    getattr(_python, f"PyOS_{name}") for name in ("BeforeFork", "AfterFork_Parent", "AfterFork_Child")
)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def fork_into(flags: int) -> int:
    """Fork as ``os.fork`` does, the child in the new namespaces that ``flags`` name.

    ``unshare`` before a plain fork would not do: the way back, ``setns``, is closed to a user
    namespace whose own pid namespace is the host's. For processes of a single thread only.
    """
    _before_fork()
    child: int = _call(SYS_CLONE, flags | SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        _after_in_child()
        return 0
    number = ctypes.get_errno()
    _after_in_parent()
    ctypes.set_errno(number)
    return _checked(child, "clone")


def trim() -> None:
    """Give memory that is free back to the system, where the C library can do that."""
    with contextlib.suppress(AttributeError):
        _libc.malloc_trim(0)


class Calls:
    """System calls prepared in advance, for children that are to make them at little cost.

    A child shares its worker's memory until it writes to it, and Python writes to all that it uses: the
    calls one by one, from as many modules, took it half as long as everything else before its job.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[str, tuple[int, ...]]] = []
        self._kept: list[Any] = []

    def add(self, what: str, number: int, *arguments: int | bytes | ctypes.Array[Any]) -> None:
        """Add a call; errors name it ``what``. Bytes and arrays are given by their address."""
        numbers = [each if isinstance(each, int) else self._address(each) for each in arguments]
        self._calls.append((what, (number, *numbers, *[0] * (5 - len(numbers)))))

    def _address(self, data: bytes | ctypes.Array[Any]) -> int:
        kept = ctypes.create_string_buffer(data) if isinstance(data, bytes) else data
        self._kept.append(kept)
        return ctypes.addressof(kept)

    def make(self) -> None:
        """Make all calls in order, up to one that fails."""
        for what, numbers in self._calls:
            if _call(*numbers) < 0:
                _checked(-1, what)


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount ``source`` at ``target``."""
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _checked(result, f"mount {target}")


def pivot_root(new_root: str) -> None:
    """Make ``new_root`` the root, and let go of the old one with all that is mounted in it."""
    os.chdir(new_root)
    _checked(_syscall(SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def make_read_only(path: str) -> None:
    """Make the mount at ``path``, and all mounts below it, read-only and without set-user-id programs."""
    wanted = _MountAttributes(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    flags = ctypes.c_uint(AT_RECURSIVE)
    result = _syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, ctypes.byref(wanted), size)
    _checked(result, f"mount_setattr {path}")


def prctl(option: int, value: int, *, what: str) -> None:
    """Set one property of this process."""
    _checked(_call(SYS_PRCTL, option, value, 0, 0, 0), what)


def hard_limit(resource: int) -> int:
    """How high this process may set a resource limit; without a bound it is the largest number."""
    found = (ctypes.c_uint64 * 2)()
    _checked(_call(SYS_PRLIMIT, 0, resource, 0, ctypes.addressof(found), 0), "prlimit")
    return found[1]


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]


class SystemCallFilter:
    """A seccomp filter, ready to be put in force in the process that calls ``install``."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        self._filter = _Filter(len(program) // 8, ctypes.addressof(self._program))
        self.address = ctypes.addressof(self._filter)

    def install(self) -> None:
        """Put the filter in force for this process and its descendants, for good."""
        _checked(_call(SYS_PRCTL, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, self.address, 0, 0), "seccomp")


FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file rights each version of Landlock knows; later versions know as many as the last."""
READ_FILES = 1 << 0 | 1 << 2 | 1 << 3
"""Execute, read a file, read a folder."""
ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""The rights that may be granted on a file rather than a folder."""


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_version() -> int:
    """The version of Landlock's interface; 0 without Landlock."""
    found = _syscall(SYS_LANDLOCK_CREATE, _NULL, ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_VERSION))
    return max(int(found), 0)


class Landlock:
    """Which files may be read and written; no others, no TCP, no signals or abstract sockets outwards."""

    def __init__(self, *, read: list[str], write: list[str], network: bool) -> None:
        version = landlock_version()
        rights = (1 << FILE_RIGHTS.get(version, FILE_RIGHTS[5])) - 1
        ports = 0b11 if version >= 4 and not network else 0
        scoped = (0b10 if network else 0b11) if version >= 6 else 0
        ruleset = _Ruleset(rights, ports, scoped)
        size = ctypes.c_size_t(24 if version >= 6 else 16 if version >= 4 else 8)
        created = _syscall(SYS_LANDLOCK_CREATE, ctypes.byref(ruleset), size, ctypes.c_uint(0))
        self.descriptor = _checked(created, "landlock_create_ruleset")
        for path in read:
            self._allow(path, READ_FILES & rights)
        for path in write:
            self._allow(path, rights)

    def _allow(self, path: str, rights: int) -> None:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _PathRule(rights if os.path.isdir(path) else rights & ON_FILES, opened)
            result = _syscall(SYS_LANDLOCK_ADD, self.descriptor, 1, ctypes.byref(rule), ctypes.c_uint(0))
            _checked(result, f"landlock_add_rule {path}")
        finally:
            os.close(opened)
