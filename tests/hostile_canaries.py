"""What is planted around a hostile program: files, secrets and sockets, none of them worth anything."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Canaries:
    """What must not be changed, reached, read or left."""

    def __init__(self, user: int) -> None:
        self.home = Path("/tmp") / f"canaries-{secrets.token_hex(4)}"
        self.folder, self.temporary = self.home / "folder", self.home / "temporary"
        self.secrets = {
            kind: f"planted-{kind}-{secrets.token_hex(8)}" for kind in ("env", "file", "stdin", "sent")
        }
        for folder in (self.home, self.folder, self.folder / "inner", self.temporary):
            folder.mkdir()
            folder.chmod(0o777)
        self.file, self.secret = self.home / "canary.txt", self.home / "secret.txt"
        for path in (self.file, self.folder / "kept.txt", self.folder / "inner" / "kept.txt"):
            path.write_text("untouched\n")
            path.chmod(0o666)
        self.secret.write_text(self.secrets["file"] + "\n")
        # By this name programs know that what they delete was planted for it.
        self.mark = f"planted-{secrets.token_hex(4)}"
        for folder in (self.folder, self.temporary):
            (folder / self.mark).write_text("")
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, user, -1)
        self.name = f"canary-{secrets.token_hex(8)}"
        self.sockets = list(self._listen())
        (self.home / "socket").chmod(0o777)
        self.before = self.state()

    def _listen(self) -> Iterator[socket.socket]:
        places: list[tuple[int, int, Any]] = [(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0))]
        places += [(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.name)]
        places += [(socket.AF_UNIX, socket.SOCK_STREAM, str(self.home / "socket"))]
        places += [(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + self.name + "-messages")]
        for family, kind, place in places:
            link = socket.socket(family, kind)
            link.bind(place)
            link.setblocking(False)
            if kind == socket.SOCK_STREAM:
                link.listen(64)
            if family == socket.AF_INET:
                self.port = link.getsockname()[1]
                messages = socket.socket(family, socket.SOCK_DGRAM)
                messages.bind(("0.0.0.0", self.port))
                messages.setblocking(False)
                yield messages
            yield link

    def told(self, known: dict[str, Any]) -> dict[str, Any]:
        """Where a program finds them, and by what it knows that it is in the arena and nowhere else."""
        return {
            "kept": known["kept"],
            "machine": known["machine"],
            "mark": self.mark,
            "file": str(self.file),
            "secret": str(self.secret),
            "folder": str(self.folder),
            "temporary": str(self.temporary),
            "socket": str(self.home / "socket"),
            "port": self.port,
            "abstract": self.name,
            "variable": "HOSTILE_SECRET",
            "judge": os.getpid(),
        }

    def state(self) -> dict[str, Any]:
        """Everything about the host's files that a program might change."""
        found: dict[str, Any] = {}
        for path in [self.file, self.folder, *sorted(self.folder.rglob("*")), self.temporary / self.mark]:
            with contextlib.suppress(OSError):
                told = path.lstat()
                text = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                found[str(path)] = (
                    told.st_mode,
                    told.st_uid,
                    told.st_nlink * path.is_file(),
                    told.st_mtime,
                    text,
                )
        return found

    def reached(self) -> list[str]:
        """The sockets that somebody reached."""
        found = []
        for link in self.sockets:
            with contextlib.suppress(BlockingIOError):
                if link.type == socket.SOCK_STREAM:
                    link.accept()[0].close()
                else:
                    link.recv(64)
                found.append(str(link.getsockname()))
        return found
