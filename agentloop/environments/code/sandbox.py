"""The sandbox: fork servers that run untrusted programs under as many layers as the kernel offers."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentloop.environments.code import cgroups, layers, refused
from agentloop.environments.code.interpreter import interpreter, is_below, open_to_others, visible
from agentloop.environments.code.layers import Layer, Name, Require
from agentloop.environments.code.pool import Pool
from agentloop.environments.code.verdict import Job, Limits, Verdict
from agentloop.environments.code.verdicts import infra_error, verdict_of
from agentloop.environments.code.workers import Start, WorkerBroken
from agentloop.errors import BadInput

TRIES = 3
"""How often a job is carried out before an infrastructure error is its answer."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What programs may do beyond computing; nothing of it by default."""

    subprocess: bool = False
    """Start processes. They end with the program."""
    network: bool = False
    """Reach the network of the host."""
    folders: tuple[str | Path, ...] = ()
    """Read these folders of the host."""
    packages: bool = False
    """Import the packages that are installed in the interpreter."""
    preload: tuple[str, ...] = ()
    """Modules that workers import at their start, so that importing them costs programs nothing."""


class Sandbox:
    """Runs programs in fork servers under layers of isolation, candidate and checker in processes apart.

    ``require`` says what must be there: "full", "strong" or "any" layers; SandboxRefused names what is
    missing and what that leaves open. ``without`` leaves layers out. ``workers`` jobs run at once.
    ``python`` is another interpreter than this one. ``allow`` opens what is closed by default.

    Safe to share between threads and event loops. Workers start with the first jobs, and end with
    ``close`` or with this process, however it ends. ``infra_errors`` counts jobs that had to be done
    again because the sandbox failed, not the program.
    """

    def __init__(
        self,
        *,
        require: Require = "strong",
        workers: int = 2,
        python: str | Path | None = None,
        allow: Allowed | None = None,
        limits: Limits | None = None,
        without: Iterable[Name] = (),
    ) -> None:
        if workers < 1:
            raise BadInput(f"workers must be at least 1, got {workers}")
        self.layers = layers.chosen(require, without=without)
        self.allow = allow or Allowed()
        self.limits = limits or Limits()
        self.workers = workers
        self.infra_errors = 0
        self._start = self._starting(str(python) if python is not None else None)
        self._pool = Pool(self._start, workers)
        self._finalizer = weakref.finalize(self, self._pool.close)

    @staticmethod
    def probe() -> dict[Name, Layer]:
        """The layers that can be had on this machine, found by trying them."""
        return layers.probe()

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job; blocks.

        When the sandbox itself fails the job is done again; after the third time the verdict is an
        ``infra_error``, which says nothing of the program.
        """
        _check(job)
        trouble = ""
        for _ in range(TRIES):
            try:
                with self._pool.worker() as worker:
                    ended = worker.carry_out(job)
            except (WorkerBroken, OSError) as error:
                trouble = str(error)
                self.infra_errors += 1
                continue
            verdict = verdict_of(job, ended, layers=self.layers, limits=self.limits)
            if not verdict.broken:
                return verdict
            trouble = str(verdict.facts[0].data["message"])
            self.infra_errors += 1
        return infra_error(trouble, layers=self.layers)

    async def arun(self, job: Job, /) -> Verdict:
        """Carry out one job without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool.threads, self.run, job)

    def processes(self) -> tuple[int, ...]:
        """The process ids of the workers that run now."""
        return self._pool.processes()

    def close(self) -> None:
        """End all workers. A job that is asked for after that raises EnvironmentFailed."""
        self._finalizer()

    def _starting(self, python: str | None) -> Start:
        found = interpreter(python)
        allow = self.allow
        apart = "namespaces" in self.layers
        folders = visible(found, packages=allow.packages, network=allow.network, folders=allow.folders)
        using = set(self.layers)
        if "uid" in using and not apart and not all(map(open_to_others, found.prefixes)):
            # Another user could not even read the interpreter, without a root of its own.
            using.discard("uid")
            self.layers = tuple(name for name in self.layers if name != "uid")
        program = b""
        if "seccomp" in using:
            program = refused.program(subprocess=allow.subprocess, network=allow.network, apart=apart)
        own = str(layers.ROOT / "agentloop")
        settings: dict[str, Any] = {
            "layers": sorted(using),
            "limits": self.limits._asdict(),
            "uids": _uids(self.workers) if "uid" in using else [],
            "visible": folders,
            "hidden": [own] if any(is_below(own, folder) for folder in folders) else [],
            "filter": program.hex(),
            "network": allow.network,
            "uid": os.getuid(),
            "gid": os.getgid(),
            "path": list(found.packages) if allow.packages else [],
            "preload": list(allow.preload),
        }
        groups = cgroups.parents(self.limits) if "cgroup" in using else None
        if groups is not None:
            cgroups.sweep(*groups)
        return Start(python=found.path, settings=settings, limits=self.limits, groups=groups)


def _uids(workers: int) -> list[int]:
    """The first pair of user ids, for candidate and checker of the first worker; others follow."""
    first = layers.FIRST_UID + 2 * random.randrange(max(layers.UIDS // 2 - workers, 1))
    return [first, first + 1]


def _check(job: Job) -> None:
    if not 0 < job.timeout_seconds <= 3600:
        raise BadInput(f"timeout_seconds must be above 0 and at most 3600, got {job.timeout_seconds}")
    if job.mode == "calls" and not job.entry_point.isidentifier():
        raise BadInput(f"entry_point must be the name that the tests call, got {job.entry_point!r}")
    for name in job.files:
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
            raise BadInput(f"files must lie in the work folder, got the name {name!r}; use relative names")


def check(
    program: str,
    tests: str,
    *,
    entry_point: str,
    timeout_seconds: float = 3.0,
    sandbox: Sandbox | None = None,
) -> Verdict:
    """Whether ``program`` passes ``tests``, which call its ``entry_point``, judged in a sandbox.

    ``tests`` are assert statements, ``def check(candidate)`` as in HumanEval, ``test_...`` functions
    or a ``unittest.TestCase``. They run in a process apart from the program; only plain values cross
    between the two. Without ``sandbox`` one of strong isolation is started and kept for this process;
    SandboxRefused where that is not to be had.
    """
    job = Job(program=program, tests=tests, entry_point=entry_point, timeout_seconds=timeout_seconds)
    return (sandbox or _shared(os.getpid())).run(job)


@functools.cache
def _shared(process: int) -> Sandbox:
    """The sandbox that ``check`` keeps for one process."""
    return Sandbox(workers=min(os.cpu_count() or 1, 4))
