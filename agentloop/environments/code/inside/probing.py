"""Tries in a process of its own what the kernel allows, and prints it as JSON."""

from __future__ import annotations

import json
import os
import sys

from agentloop.environments.code.inside import kernel
from agentloop.environments.code.inside.confine import build_root, enter_namespaces


def main() -> None:
    """Print, for each layer, an empty text or why it cannot be had."""
    found = {"limits": "", "landlock_version": kernel.landlock_version()}
    found["namespaces"] = tried(namespaces)
    found["seccomp"] = tried(seccomp)
    print(json.dumps(found))


def namespaces() -> None:
    """Enter all namespaces, make a root, and start the first process of a pid namespace."""
    enter_namespaces({"uid": os.getuid(), "gid": os.getgid(), "network": False})
    build_root(["/usr", "/lib", "/lib64", "/bin"], hidden=[])
    child = kernel.fork_into(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)
    if not child:
        os._exit(0 if os.getpid() == 1 else 1)
    if os.waitpid(child, 0)[1]:
        raise OSError("a new pid namespace does not begin at 1")


def seccomp() -> None:
    """Put a filter in force that allows everything: the instruction 'return allow'."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, what="no new privileges")
    allow = (0x06).to_bytes(2, sys.byteorder) + b"\0\0" + (0x7FFF0000).to_bytes(4, sys.byteorder)
    kernel.SystemCallFilter(allow).install()


def tried(layer: object) -> str:
    """Try a layer; empty, or why it failed."""
    try:
        layer()  # type: ignore[operator]
    except OSError as error:
        return str(error)
    return ""
