"""A host in full load, to be killed: endless and fleeing programs on every worker of a sandbox.

    python -m tests.code_host WORKERS

Says ``ready`` once every worker has a job that will not end by itself.
"""

from __future__ import annotations

import sys
import threading
import time

from agentloop.environments.code import Job, Sandbox

ENDLESS = """
import os, signal, threading
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
try:
    if os.fork() == 0:
        os.setsid()
except OSError:
    pass
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()

def answer():
    while True:
        pass
"""
TESTS = "def check(candidate):\n    assert candidate() == 1\n"


def main(workers: int) -> None:
    """Keep every worker busy for a minute."""
    sandbox = Sandbox(require="any", workers=workers)
    job = Job(program=ENDLESS, tests=TESTS, entry_point="answer", timeout_seconds=60)
    for _ in range(workers):
        threading.Thread(target=sandbox.run, args=(job,), daemon=True).start()
    while len(sandbox.processes()) < workers:
        time.sleep(0.05)
    time.sleep(1)
    print("ready", flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]))
