"""A back end that gives the verdicts it was told to give: for tests and demonstrations, without a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from agentloop.environments.code.verdict import Job, Verdict
from agentloop.errors import EnvironmentFailed

Judge: TypeAlias = Callable[[Job], Verdict]
PASSED = Verdict(passed=True, why="passed", layers=("scripted",))


class ScriptedBackend:
    """Gives verdicts by the text of the program, and runs nothing.

    ``verdicts`` maps a piece of text to the verdict on every program in which it stands, the first
    that matches; all other programs get ``otherwise``. A function of the job may be given in place of
    the mapping. ``jobs`` keeps what was asked, in order. It is no sandbox: a verdict says nothing of
    what a program would do.
    """

    def __init__(self, verdicts: Mapping[str, Verdict] | Judge, *, otherwise: Verdict = PASSED) -> None:
        self._verdicts = verdicts
        self._otherwise = otherwise
        self._closed = False
        self.layers: tuple[str, ...] = ("scripted",)
        self.jobs: list[Job] = []

    def run(self, job: Job, /) -> Verdict:
        """The verdict on the job's program."""
        if self._closed:
            raise EnvironmentFailed("this scripted back end is closed; make a new one")
        self.jobs.append(job)
        if callable(self._verdicts):
            return self._verdicts(job)
        found = (verdict for text, verdict in self._verdicts.items() if text in job.program)
        return next(found, self._otherwise)

    def close(self) -> None:
        """Refuse every job from now on."""
        self._closed = True
