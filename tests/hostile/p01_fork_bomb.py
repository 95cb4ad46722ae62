# ruff: noqa
"""Processes that multiply, by every way to make one."""

import subprocess, time

END = time.monotonic() + 4


def bomb():
    while time.monotonic() < END:
        try:
            if fork() == 0:
                mark()
        except OSError:
            attempt(os.posix_spawn, sys.executable, [sys.executable, "-c", "import time; time.sleep(4)"], {})
            attempt(subprocess.Popen, ["sleep", "4"])
            time.sleep(0.02)


bomb()


def largest(numbers):
    return said()
