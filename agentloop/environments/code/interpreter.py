"""The Python that runs the programs: its own folders, and those that a program may read."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from agentloop.errors import BadInput

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache")
NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates")
ASK = """
import json, sys
prefixes = [sys.base_prefix, sys.base_exec_prefix]
packages = [path for path in sys.path if "site-packages" in path or "dist-packages" in path]
print(json.dumps([sys.version_info[:2], prefixes, sys.prefix, packages]))
"""


class Interpreter(NamedTuple):
    """A Python, what it is made of, and where its packages lie."""

    path: str
    prefixes: tuple[str, ...]
    environment: str
    packages: tuple[str, ...]


@functools.cache
def interpreter(path: str | None = None) -> Interpreter:
    """What is to be known of a Python; BadInput when ``path`` is none, or too old a one."""
    named = path or sys.executable
    try:
        done = subprocess.run([named, "-I", "-c", ASK], capture_output=True, text=True, timeout=60)
        version, prefixes, environment, packages = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise BadInput(f"{named!r} is no Python that runs here; give the path of one") from error
    if tuple(version) < (3, 11):
        raise BadInput(f"{named!r} is Python {version[0]}.{version[1]}; programs need Python 3.11 or later")
    return Interpreter(named, tuple(prefixes), environment, tuple(packages))


def visible(
    python: Interpreter, *, packages: bool = False, network: bool = False, folders: Iterable[str | Path] = ()
) -> list[str]:
    """The folders and files that a program may read, none inside another.

    BadInput for one of ``folders`` that does not exist.
    """
    wanted = [*SYSTEM, *python.prefixes, *(NETWORK if network else ())]
    if packages:
        wanted += [python.environment, *python.packages]
    for folder in folders:
        if not Path(folder).exists():
            raise BadInput(f"no folder at {str(folder)!r} to show to programs; give one that exists")
        wanted.append(str(Path(folder).resolve()))
    there = [path for path in dict.fromkeys(wanted) if Path(path).exists()]
    found: list[str] = []
    for path in sorted(os.path.realpath(path) for path in there):
        if not any(is_below(path, other) for other in found):
            found.append(path)
    return [*found, *(path for path in there if Path(path).is_symlink())]


def is_below(path: str, folder: str) -> bool:
    """Whether ``path`` lies in ``folder``, or is it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def open_to_others(path: str) -> bool:
    """Whether any user may read ``path``: all folders above it can be entered."""
    return all(each.stat().st_mode & 0o001 for each in [Path(path), *Path(path).parents])
