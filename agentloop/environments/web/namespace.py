"""How a browser is started through the launcher: in a network of its own where that can be had."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from agentloop.errors import EnvironmentFailed, SandboxRefused

LAUNCHER = Path(__file__).parent / "launcher.py"
ALONE = ("-I", "-S", "-B")
ANSWER_SECONDS = 10.0
MEMORY_BYTES = 768 * 1024 * 1024
"""What one page's process may take for itself; the browser's own process may take twice as much."""
LONGEST_SOCKET_NAME = 100
USER = 61_200
"""A user id that no distribution gives to people or services, and the sandbox for code does not use."""


class Layer(NamedTuple):
    """Whether a layer can be had here, or why not."""

    available: bool
    why_not: str = ""


def network_layer() -> Layer:
    """Whether the kernel gives this user's browser a network of its own."""
    return _tried("network")


def sandbox_layer(user: int | None) -> Layer:
    """Whether Chromium's own sandbox can work, for this user or for the one that root gives it.

    It cannot for root; for others it needs user namespaces.
    """
    if os.geteuid() == 0 and user is None:
        return Layer(False, "Chromium puts no sandbox around what root runs")
    return _tried("sandbox", *([] if user is None else [str(user)]))


@functools.cache
def _tried(*what: str) -> Layer:
    """A layer, found by trying it once in a process of its own."""
    command = [sys.executable, *ALONE, str(LAUNCHER), "probing", *what]
    done = subprocess.run(command, capture_output=True, text=True, env={}, cwd="/", timeout=60)
    if done.returncode:
        return Layer(False, (done.stderr.strip().splitlines() or ["it was refused"])[-1])
    return Layer(True)


def own_user(executable: Path) -> int | None:
    """The user id that a browser of root's runs as, where one can be given; Chromium's sandbox needs it.

    None for other users, in containers that know too few ids, and where that user could not read the browser.
    """
    if os.geteuid() != 0:
        return None
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    known = any(int(first) <= USER < int(first) + int(count) for first, _, count in ranges)
    path = executable.resolve()
    readable = stat.S_IROTH | stat.S_IXOTH
    open_to_all = path.stat().st_mode & readable == readable
    open_to_all &= all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return USER if known and open_to_all else None


class Launch:
    """One start of a browser: the script that Playwright starts in its place, and the launcher's ear."""

    def __init__(self, executable: Path, *, namespace: bool, user: int | None) -> None:
        temporary = tempfile.gettempdir()
        self.folder = Path(
            tempfile.mkdtemp(
                prefix="agentloop-web-",
                dir=temporary if len(temporary) < LONGEST_SOCKET_NAME // 2 else "/tmp",
            )
        )
        control = self.folder / "control"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(control))
        self._listening.listen(1)
        self._listening.settimeout(ANSWER_SECONDS)
        self._control: socket.socket | None = None
        self._asking = asyncio.Lock()
        self.browser = 0
        self.memory_bytes = 0
        settings = {
            "namespace": namespace,
            "user": user,
            "host": os.getpid(),
            "control": str(control),
            "memory_bytes": MEMORY_BYTES,
        }
        command = [sys.executable, *ALONE, str(LAUNCHER), json.dumps(settings), str(executable)]
        self.script = self.folder / "browser"
        self.script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        self.script.chmod(0o700)

    @property
    def environment(self) -> dict[str, str]:
        """All that the browser gets of an environment: none of the host's keys, none of its folders."""
        home = str(self.folder)
        return {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_CACHE_HOME": home,
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
        }

    def joined(self) -> None:
        """Wait for the launcher, after Playwright has started it. Blocks."""
        try:
            self._control, _ = self._listening.accept()
            self._control.settimeout(ANSWER_SECONDS)
            self.browser = int(self._control.makefile("rb", buffering=0).readline())
        except (OSError, ValueError) as error:
            raise EnvironmentFailed(f"the browser's launcher did not answer: {error}") from error

    async def listen(self) -> socket.socket:
        """A socket that listens where the browser, and in a network of its own nobody else, can reach it."""
        async with self._asking:
            return await asyncio.get_running_loop().run_in_executor(None, self._socket)

    def _socket(self) -> socket.socket:
        if self._control is None:
            raise EnvironmentFailed("the browser's launcher has not answered")
        try:
            self._control.sendall(b"s")
            told, descriptors, _, _ = socket.recv_fds(self._control, 8, 1)
        except OSError as error:
            raise EnvironmentFailed(f"the browser's launcher is gone: {error}") from error
        if not descriptors:
            raise EnvironmentFailed("the browser's launcher is gone")
        (self.memory_bytes,) = struct.unpack("=Q", told)
        listening = socket.socket(fileno=descriptors[0])
        listening.setblocking(False)
        return listening

    def end(self) -> None:
        """End the browser if it still runs, and remove what was made for it."""
        for each in (self._listening, self._control):
            if each is not None:
                each.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def network_wanted(namespace: bool | str) -> bool:
    """Whether the browser gets a network of its own; SandboxRefused where it must and cannot."""
    if namespace is False:
        return False
    found = network_layer()
    if namespace is True and not found.available:
        raise SandboxRefused(
            f"the browser cannot have a network of its own here ({found.why_not}); give namespace=False to "
            "let the proxy alone fence it in"
        )
    return found.available
