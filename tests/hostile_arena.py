# ruff: noqa: PTH101, PTH102, PTH103, PTH108, PTH109, PTH110, PTH112, PTH115, PTH116, PTH118, PTH208
# What is done here is done to mounts and descriptors, by the names that the kernel gives them.
"""Where hostile programs run: a world of its own in which nothing of the machine can be written.

First come mount and process namespaces with private folders in memory, the rest read-only; then a
user namespace in which that state is locked: nobody in it, its root included, can write to a mount
again, unmount one, or open a device of the machine. Where the caller is root, the arena's users are
none of the machine's. All of it is tried out before anything runs; ``Refused`` otherwise.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pwd
import resource
import signal
import socket
import stat
import struct
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from agentloop.environments.code.inside import kernel

ROOT = Path(__file__).resolve().parent.parent
FIRST_USER, USERS = 200_000, 65_536
"""The machine's names for the arena's users, where the caller is root: nobody else has them."""
PRIVATE = {"/tmp": "512m", "/var/tmp": "256m", "/dev/shm": "256m"}
"""Folders that can be written, each in memory of its own, with its size."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
PROCESSES = 2000
"""Bound on the processes of one user of the arena, for machines without control groups."""
WORLD = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWNET
)


REFUSAL = "THE ARENA REFUSES TO START, nothing hostile was run"


class Refused(Exception):
    """The arena cannot be made safe here; nothing hostile may run."""


def owner() -> int:
    """The machine's number of the user who is root in the arena, or is the caller."""
    return FIRST_USER if os.geteuid() == 0 else os.geteuid()


def enter(
    judge: Callable[[dict[str, Any]], None], *, writable: Iterable[Path], refused: Callable[[str], None]
) -> NoReturn:
    """Run the judge as the first process of an arena; ends with it.

    ``writable`` are folders (of control groups) that stay so. The judge is given what tells the
    machine from the arena, for ``refusing_the_machine`` and the programs' own guard. ``refused`` is
    called with the reason when there can be no arena.
    """
    try:
        machine = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "user")}
        kept = {path: _identity(path) for path in _to_be_kept()}
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)  # the machine's, where the child goes by its pid
        _leave()
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            ours.close()
            os.close(proc)
            _first_process(
                lambda: _prepared(theirs, machine, kept, tuple(map(str, writable))), judge, refused
            )
        theirs.close()
        if ours.recv(1) and os.geteuid() == 0:
            _map_users(child, proc)
            ours.send(b"x")
        ours.close()
        _, ended = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(ended) & 0xFF)
    except OSError as error:
        refused(f"{type(error).__name__}: {error}")
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _first_process(
    prepared: Callable[[], dict[str, Any]],
    judge: Callable[[dict[str, Any]], None],
    refused: Callable[[str], None],
) -> NoReturn:
    status = 1
    try:
        try:
            known = prepared()
        except (OSError, Refused) as error:
            refused(f"{type(error).__name__}: {error}")
        else:
            judge(known)
            status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _prepared(
    parent: socket.socket,
    machine: dict[str, str],
    kept: dict[str, tuple[int, int]],
    writable: tuple[str, ...],
) -> dict[str, Any]:
    """Build the arena around this process, lock it, try its walls."""
    user, group = os.geteuid(), os.getegid()
    _furnish(writable)
    kernel.unshare(WORLD)
    parent.send(b"x")
    if user != 0:
        _map_self(user, group)
    elif parent.recv(1):
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    else:
        raise Refused("no users for the arena")
    parent.close()
    known = {"machine": machine, "kept": _still_in_sight(kept), "writable": list(writable)}
    _settle()
    refusing_the_machine(known)
    return known


def _leave() -> None:
    """Leave the machine's mounts and processes; who is not root has to leave its users for that."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | (kernel.CLONE_NEWUSER if user else 0))
    if user:
        _map_self(user, group)


def _map_self(user: int, group: int) -> None:
    """Be the only user of this namespace, under one's own number."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _map_users(child: int, proc: int) -> None:
    """Give the child's namespace users of its own, root among them."""
    for name in ("uid_map", "gid_map"):
        file = os.open(f"{child}/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(file, f"0 {FIRST_USER} {USERS}".encode())
        os.close(file)


def _to_be_kept() -> list[str]:
    """Folders of the machine that matter most: those to try in vain to write to."""
    homes = [os.environ.get("HOME", "/"), pwd.getpwuid(os.geteuid()).pw_dir]
    wanted = [str(ROOT), str(ROOT.parent), *homes, os.getcwd(), "/", "/etc", "/usr", "/var", sys.prefix]
    return [path for path in dict.fromkeys(wanted) if os.path.isdir(path)]


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _still_in_sight(kept: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Those that are the machine's, and not something private of the same name."""
    found = {}
    for path, identity in kept.items():
        with contextlib.suppress(OSError):
            if _identity(path) == identity:
                found[path] = identity
    return found


def _furnish(writable: tuple[str, ...]) -> None:
    """Private folders, a /proc of the arena, devices that hurt nobody; all else read-only."""
    kernel.mount("none", "/", flags=kernel.MS_PRIVATE | kernel.MS_REC)
    kernel.mount("proc", "/proc", kind="proc", flags=kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    handles = {path: os.open(path, os.O_PATH) for path in _used()}
    closed = _closed(handles)
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES if os.path.exists(f"/dev/{name}")}
    _private("/dev", "size=64k,mode=755")
    for name, device in devices.items():
        _bind(device, f"/dev/{name}")
    os.mkdir("/dev/shm")
    for folder, size in PRIVATE.items():
        _private(folder, f"size={size},nr_inodes=60000,mode=1777")
    for folder in [*closed, "/run"]:
        if os.path.isdir(folder):
            _private(folder, "size=1m,mode=755")
    for path, handle in sorted(handles.items()):
        if not os.path.exists(path):
            _bind(handle, path)
        os.close(handle)
    for folder in writable:
        kernel.mount(folder, folder, flags=kernel.MS_BIND)
    kernel.make_read_only("/")
    for folder in ("/proc", *PRIVATE, *writable):
        _let_write(folder)


def _used() -> list[str]:
    """What the harness itself must be able to read."""
    wanted = [str(ROOT), sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)]
    return [path for path in dict.fromkeys(wanted) if os.path.isdir(path)]


def _closed(handles: dict[str, int]) -> list[str]:
    """The topmost folders above what is used that other users cannot enter."""
    found = []
    for path in handles:
        above = [each for each in reversed(Path(path).parents) if not each.stat().st_mode & 0o001]
        found += [str(each) for each in above[:1]]
    return list(dict.fromkeys(found))


def _private(folder: str, data: str) -> None:
    kernel.mount("arena", folder, kind="tmpfs", flags=kernel.MS_NOSUID, data=data)


def _bind(handle: int, path: str) -> None:
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        os.makedirs(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    kernel.mount(f"/proc/self/fd/{handle}", path, flags=kernel.MS_BIND | kernel.MS_REC)


def _let_write(folder: str) -> None:
    """Undo the read-only state of one mount, which only this side of the user namespace can do."""
    wanted = (ctypes.c_uint64 * 4)(0, kernel.MOUNT_ATTR_RDONLY, 0, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    if call(kernel.SYS_MOUNT_SETATTR, kernel.AT_FDCWD, folder.encode(), 0, ctypes.byref(wanted), size):
        raise OSError(ctypes.get_errno(), f"letting {folder} be written")


def _settle() -> None:
    """The last steps of the first process: bounds, the loopback, an empty current folder."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1, what="dumpable")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL, what="parent-death signal")
    for what, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, PROCESSES)):
        hard = resource.getrlimit(what)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (bound, bound))
    with socket.socket() as link:
        fcntl.ioctl(link, 0x8914, struct.pack("16sH14x", b"lo", 1 | 64))  # up and running
    os.mkdir("/tmp/empty")
    os.chmod("/tmp/empty", 0o1777)
    os.chdir("/tmp/empty")


def refusing_the_machine(known: dict[str, Any]) -> None:
    """Raise Refused unless this process is in an arena that holds: every wall is tried."""
    for kind, number in known["machine"].items():
        if os.readlink(f"/proc/self/ns/{kind}") == number:
            raise Refused(f"this is the machine's own {kind} namespace")
    if os.getcwd() != "/tmp/empty":
        raise Refused(f"the current folder is {os.getcwd()}")
    expected = {
        "/proc": "proc",
        **dict.fromkeys(PRIVATE, "tmpfs"),
        **dict.fromkeys(known["writable"], "cgroup"),
    }
    for folder, kind in _mounted_for_writing():
        if expected.get(folder) != kind:
            raise Refused(f"{folder} ({kind}) can be written to")
    for path in known["kept"]:
        _try_to_write(path)
    for path in ("/", "/proc", *PRIVATE):
        _try_to_undo(path)
    _try_to_open([str(path) for path in (ROOT / "pyproject.toml", Path(__file__), "/etc/passwd")])
    if os.getpid() == 1 and len([name for name in os.listdir("/proc") if name.isdigit()]) > 1:
        raise Refused("/proc shows other processes than the arena's")


def _mounted_for_writing() -> Iterator[tuple[str, str]]:
    """The mounts that are not read-only, each with the kind of its file system."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, what = line.partition(" - ")
        folder, options = where.split(" ")[4:6]
        if "ro" not in options.split(","):
            yield folder, what.split(" ")[0].removesuffix("2")


def _try_to_write(path: str) -> None:
    name = os.path.join(path, f".arena-{os.getpid()}")
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return
    os.unlink(name)
    raise Refused(f"a file could be made in {path}")


def _try_to_open(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDWR))
            raise Refused(f"{path} could be opened for writing")


def _try_to_undo(path: str) -> None:
    """Remount for writing and unmount: both must fail, also for the arena's root."""
    if path not in PRIVATE and path != "/proc":
        with contextlib.suppress(OSError):
            kernel.mount("none", path, flags=kernel.MS_REMOUNT | kernel.MS_BIND)
            raise Refused(f"{path} could be remounted for writing")
    if ctypes.CDLL(None, use_errno=True).umount2(path.encode(), kernel.MNT_DETACH) == 0:
        raise Refused(f"{path} could be unmounted")
