"""Which browser is used: the one that is named, one that is installed, or Playwright's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from agentloop.errors import BadInput, EnvironmentFailed

VARIABLE = "AGENTLOOP_BROWSER"
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
"""Searched on PATH in this order: the headless shell costs a third of a browser's memory."""
DEBIAN = Path("/usr/lib/chromium")
"""What Debian's scripts of these names start; without the script in between there is one process less."""
PLAYWRIGHTS = ("chromium_headless_shell-*/chrome*/*headless*shell*", "chromium-*/chrome*/chrome")
"""Where Playwright puts its own browsers below its folder."""
REMEDY = (
    "install one with: apt install chromium-headless-shell (or: playwright install chromium-headless-shell), "
    f"or name an executable in the variable {VARIABLE}"
)


def find_browser(environment: Mapping[str, str] = os.environ) -> Path:
    """The executable of a Chromium.

    BadInput when the variable AGENTLOOP_BROWSER names none; EnvironmentFailed when there is none at all.
    """
    if named := environment.get(VARIABLE):
        path = shutil.which(named, path=environment.get("PATH", os.defpath))
        if path is None:
            raise BadInput(f"{VARIABLE} must name an executable, got {named!r}; or unset it")
        return _behind(Path(path))
    for name in NAMES:
        if path := shutil.which(name, path=environment.get("PATH", os.defpath)):
            return _behind(Path(path))
    for pattern in PLAYWRIGHTS:
        for found in sorted(_playwrights_folder(environment).glob(pattern), reverse=True):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    raise EnvironmentFailed(f"no browser was found ({', '.join(NAMES)}); {REMEDY}")


def _behind(path: Path) -> Path:
    """The program that a script of Debian starts."""
    program = DEBIAN / path.name
    is_debians = path.parent == Path("/usr/bin") and program.is_file() and os.access(program, os.X_OK)
    return program if is_debians else path


def _playwrights_folder(environment: Mapping[str, str]) -> Path:
    if named := environment.get("PLAYWRIGHT_BROWSERS_PATH"):
        return Path(named)
    return Path(environment.get("HOME", "/nonexistent")) / ".cache" / "ms-playwright"
