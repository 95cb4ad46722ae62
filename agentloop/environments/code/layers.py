"""The layers of isolation: what each is for, which are to be had here, and which a policy asks for."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

from agentloop.environments.code import cgroups, refused
from agentloop.environments.code.verdict import Limits
from agentloop.errors import BadInput, SandboxRefused

Require: TypeAlias = Literal["full", "strong", "any"]
Name: TypeAlias = Literal["namespaces", "uid", "seccomp", "landlock", "limits", "cgroup"]
LAYERS: tuple[Name, ...] = get_args(Name)
ROOT = Path(__file__).resolve().parents[3]
SIGNALS_SCOPED = 6
"""The version of Landlock that also stops signals and abstract sockets."""
START = Path(__file__).parent / "inside" / "start.py"

LEFT_OPEN: Mapping[Name, str] = {
    "namespaces": "the program sees the host's processes, its network and its file tree (as far as no other "
    "layer refuses them), and what it leaves running is found only by the worker's own search",
    "uid": "the program has the caller's user id: what that user owns is guarded by the other layers alone, "
    "and the number of its processes cannot be counted apart",
    "seccomp": "kernel calls such as ptrace, io_uring, keyctl, bpf and System V shared memory, and forks",
    "landlock": "without a mount namespace, every file that the caller can read or write, and signals to "
    "the caller's other processes",
    "limits": "processor time, address space, file size and open files",
    "cgroup": "the memory of all processes and files of a program together, and their number",
}
"""What a missing layer leaves to a hostile program. A verdict cannot be forged even without any:
tests run in another process than the program."""


class Layer(NamedTuple):
    """Whether a layer can be had here, and how, or why not."""

    available: bool
    detail: str


def probe() -> dict[Name, Layer]:
    """What this machine offers, found by trying it; takes a fraction of a second once in a process."""
    return dict(_probed())


@functools.cache
def _probed() -> Mapping[Name, Layer]:
    if not sys.platform.startswith("linux"):
        gone = Layer(False, f"{sys.platform} has no such layer; run on Linux")
        return {**dict.fromkeys(LAYERS, gone), "limits": Layer(True, "resource limits")}
    found = _tried()
    namespaces = Layer(not found["namespaces"], str(found["namespaces"]) or _kind_of_namespaces())
    return {
        "namespaces": namespaces,
        "uid": _uid(),
        "seccomp": _seccomp(found["seccomp"]),
        "landlock": _landlock(found["landlock_version"]),
        "limits": Layer(True, "resource limits"),
        "cgroup": _cgroup(),
    }


def _tried() -> dict[str, str | int]:
    command = [sys.executable, "-s", "-P", "-S", str(START), "probing"]
    done = subprocess.run(command, capture_output=True, text=True, env={}, cwd="/", timeout=60)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"namespaces": last, "seccomp": last, "landlock_version": 0}
    answer: dict[str, str | int] = json.loads(done.stdout)
    return answer


def _kind_of_namespaces() -> str:
    world = "mount, pid, network, ipc, uts and cgroup namespaces"
    return world if os.getuid() == 0 else f"{world} inside a user namespace"


def _uid() -> Layer:
    if os.getuid() != 0:
        return Layer(False, "only root can give a program a user id of its own")
    mapped = Path("/proc/self/uid_map").read_text().split()
    if int(mapped[2]) <= FIRST_UID + UIDS:
        return Layer(False, "too few user ids are mapped into this container")
    return Layer(True, "user ids of their own for program and checker")


FIRST_UID, UIDS = 60_100, 1_000
"""User ids that no distribution gives to people or services."""


def _seccomp(refusal: str | int) -> Layer:
    if refusal:
        return Layer(False, str(refusal))
    try:
        refused.program(subprocess=False, network=False, apart=True)
    except (ImportError, OSError, RuntimeError) as error:
        return Layer(False, f"libseccomp is missing ({error}); install it: apt install libseccomp2")
    return Layer(True, "seccomp filter")


def _landlock(version: str | int) -> Layer:
    if not version:
        return Layer(False, "the kernel has no Landlock, or it is not enabled")
    return Layer(True, f"Landlock {version}")


def _cgroup() -> Layer:
    found = cgroups.parents(Limits())
    if found is None:
        return Layer(False, "no control group for memory and processes can be made by this user")
    return Layer(True, f"control groups below {found[0]}")


def chosen(require: Require, *, without: Iterable[str] = ()) -> tuple[Name, ...]:
    """The layers to put on; SandboxRefused when ``require`` asks for one that is not to be had.

    "full" asks for all that can exist for this user; "strong" for seccomp, limits, and namespaces or a
    Landlock that stops signals; "any" for nothing: what there is, is put on.
    """
    if require not in get_args(Require):
        raise BadInput(f"require must be one of {', '.join(get_args(Require))}, got {require!r}")
    left_out = set(without)
    if unknown := left_out - set(LAYERS):
        raise BadInput(f"no layer is called {sorted(unknown)}; the layers are {', '.join(LAYERS)}")
    found = probe()
    have: set[Name] = {name for name in LAYERS if found[name].available and name not in left_out}
    missing: list[Name] = [name for name in _asked_for(require, have, found) if name not in have]
    if missing:
        raise SandboxRefused(_refusal(require, missing, found))
    return tuple(name for name in LAYERS if name in have)


def _asked_for(require: Require, have: set[Name], found: Mapping[Name, Layer]) -> tuple[Name, ...]:
    if require == "any":
        return ()
    if require == "full":
        return tuple(name for name in LAYERS if name != "uid" or os.getuid() == 0)
    version = found["landlock"].detail.rpartition(" ")[2]
    scoped = "landlock" in have and version.isdigit() and int(version) >= SIGNALS_SCOPED
    return ("seccomp", "limits") if scoped else ("namespaces", "seccomp", "limits")


def _refusal(require: Require, missing: list[Name], found: Mapping[Name, Layer]) -> str:
    lines = [f"the sandbox was asked to be {require}, and these layers are missing here:"]
    for name in missing:
        why = found[name].detail if not found[name].available else "left out by the caller"
        lines.append(f"- {name} ({why}); it leaves open: {LEFT_OPEN[name]}")
    lines.append('To run programs all the same, with the layers there are, give require="any".')
    return "\n".join(lines)
