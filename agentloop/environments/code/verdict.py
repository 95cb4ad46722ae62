"""What is asked of a sandbox, within which limits, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from agentloop.record import Record
from agentloop.types import Fact

Mode: TypeAlias = Literal["calls", "stdio", "script", "trace"]
Why: TypeAlias = Literal[
    "passed",
    "assert",
    "exception",
    "wrong_output",
    "load_error",
    "test_error",
    "exit",
    "timeout",
    "memory",
    "killed_by_signal",
    "output_limit",
    "process_limit",
    "forged_channel",
    "unsupported_value",
    "infra_error",
]
MIB = 1024 * 1024


class Limits(NamedTuple):
    """What one program may use. Seconds of processor time are the wall time and one more."""

    memory_bytes: int = 1024 * MIB
    """Address space of each process."""
    resident_bytes: int = 768 * MIB
    """Memory of a worker with all its processes and files, where the kernel has a cgroup for it."""
    processes: int = 96
    file_bytes: int = 16 * MIB
    folder_bytes: int = 64 * MIB
    folder_files: int = 2048
    open_files: int = 64
    output_bytes: int = 64 * 1024
    """Output that is kept, head and tail; a program that writes more than ``file_bytes`` is stopped."""


class Job(NamedTuple):
    """One program and what it is judged by.

    - ``calls``: ``tests`` call ``entry_point`` from a process of their own; only plain values cross.
      ``prompt`` is the task's own code: tests take helper functions from it before they take them
      from the program.
    - ``stdio``: the program reads ``stdin``; what it writes is compared with ``stdout``, line by line
      without trailing blanks.
    - ``script``: ``tests`` run in the program's own process, which can therefore forge its pass.
    - ``trace``: ``call``, an expression such as ``f(1)``, is run with its lines and values recorded.

    ``files`` (name to text) lie in the program's working folder; the checker does not see them.
    """

    program: str
    mode: Mode = "calls"
    tests: str = ""
    entry_point: str = ""
    prompt: str = ""
    stdin: str = ""
    stdout: str | None = None
    call: str = ""
    files: Mapping[str, str] = {}
    timeout_seconds: float = 3.0


class Verdict(Record):
    """What running a program showed.

    ``facts`` hold the evidence (docs/code.md lists the kinds); ``layers`` are those that confined
    this run. ``forgeable`` marks a verdict that the program itself could have made up. An
    ``infra_error`` says nothing of the program and must not be counted as a failure.
    """

    passed: bool
    why: Why
    facts: tuple[Fact, ...] = field(default_factory=tuple)
    layers: tuple[str, ...] = ()
    seconds: float = 0.0
    forgeable: bool = False
    output: str = ""

    @property
    def broken(self) -> bool:
        """Whether the sandbox failed, so that nothing is known of the program."""
        return self.why == "infra_error"


class Backend(Protocol):
    """What carries out jobs: the fork server, bubblewrap, or a runner of one's own (Docker, HTTP)."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that confine a program."""
        ...

    def run(self, job: Job, /) -> Verdict:
        """Carry out one job; blocks. Safe to call from several threads; never raises for a program's sake."""
        ...

    def close(self) -> None:
        """End every process and remove everything that was made."""
        ...
