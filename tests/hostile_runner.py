"""The process that holds a back end while hostile programs run: what must survive them.

    python -m tests.hostile_runner NAME '{"make": "module:name", "keywords": {...}, "known": {...}}'

It is as careless a host as there are: a secret in its environment, on its standard input, in a file
and a socket that are left open for heirs. Jobs come and verdicts go over one connection each to the
abstract socket NAME, so that none is open while a program runs that might inherit it. Outside an
arena it refuses to run.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
from typing import Any

from agentloop.environments.code.verdict import Job
from tests.hostile_arena import refusing_the_machine

REPLY_BYTES = 1 << 20
"""More than a verdict may weigh; what goes beyond is told as a number."""


def main(name: str, make: dict[str, Any]) -> None:
    """Answer jobs until there are no more."""
    refusing_the_machine(make["known"])
    left_open = careless()
    module, _, attribute = make["make"].partition(":")
    backend = getattr(importlib.import_module(module), attribute)(**make["keywords"])
    told: dict[str, Any] = {"layers": list(backend.layers)}
    with contextlib.closing(backend):
        while job := exchange(name, told):
            told = answer(backend, Job(**job))
    exchange(name, {})
    del left_open


def exchange(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Give the last answer, take the next job."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect("\0" + name)
        link.sendall(json.dumps(told).encode() + b"\n")
        asked: dict[str, Any] = json.loads(link.makefile("rb").readline() or b"{}")
        return asked


def answer(backend: Any, job: Job) -> dict[str, Any]:
    """The verdict, as far as it is needed to judge what happened."""
    try:
        verdict = backend.run(job)
        size = len(verdict.output)
        if size > REPLY_BYTES:
            verdict = verdict.replace(output=verdict.output[:REPLY_BYTES])
        text = verdict.to_json()  # a verdict must be fit to be written down
    except Exception as error:
        return {"passed": False, "why": "raised", "text": repr(error)[:REPLY_BYTES], "bytes": 0, "layers": []}
    return {
        "passed": verdict.passed,
        "why": verdict.why,
        "text": text[: 2 * REPLY_BYTES],
        "bytes": max(size, len(text)),
        "seconds": verdict.seconds,
        "layers": list(verdict.layers),
    }


def careless() -> list[Any]:
    """Leave a file and a socket open that any child inherits."""
    file = os.open(os.environ["HOSTILE_SECRET_FILE"], os.O_RDONLY)
    os.set_inheritable(file, True)
    ours, theirs = socket.socketpair()
    theirs.sendall(os.environ["HOSTILE_SECRET_SENT"].encode())
    del os.environ["HOSTILE_SECRET_SENT"]
    os.set_inheritable(ours.fileno(), True)
    return [file, ours, theirs]


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
