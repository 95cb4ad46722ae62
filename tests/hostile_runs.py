"""The hostile suite as data and as a run: programs, forms of the sandbox, and what came of each.

with Suite(FORMS["full"]) as suite:
    outcome = suite.outcome("26-kernel-surface")
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile_arena import REFUSAL

HERE = Path(__file__).resolve().parent
PROGRAMS = {path.stem[1:].replace("_", "-"): path for path in sorted((HERE / "hostile").glob("p[0-9]*.py"))}
HONEST = {path.stem.replace("_", "-"): path for path in sorted((HERE / "hostile").glob("honest_*.py"))}
LISTED = 28
"""Programs of the published list; the rest are our own."""
NOBODY = 65534
TIMEOUT_SECONDS = 1.0
SECONDS = {"02-memory-bomb": 4.0}
"""Other time limits, where one second is too short to do harm."""
TESTS = """
HIDDEN = "{hidden}"

def check(candidate):
    assert candidate([3, 1, 2]) == 3
    assert candidate([-5, -2]) == -2
    assert candidate([7]) == 7
"""
HELPER = "def same(found, wanted):\n    return found == wanted\n\n\n"
HELPED = """
HIDDEN = "{hidden}"

def check(candidate):
    assert same(candidate([3, 1, 2]), 3)
    assert same(candidate([-5, -2]), -2)
"""
CLOSE = """
HIDDEN = "{hidden}"

def check(candidate):
    assert abs(candidate([3, 1, 2]) - 3) < 1e-6
    assert candidate([-5, -2]) - -2 == 0
    assert (7 - candidate([7])) ** 2 < 1e-9
"""
TASKS = {"38-wrong-helper": (HELPER, HELPED), "43-operators": ("", CLOSE)}
"""Other prompts and tests, where an attack needs them."""
ENDLESS = "def largest(numbers):\n    while True:\n        pass\n"
"""A mistake and no attack: what every attack's time is compared with."""


class Form(NamedTuple):
    """A back end to try: ``make`` is called with ``keywords`` in a process of user ``user``."""

    name: str
    make: str = "agentloop.environments.code:Sandbox"
    keywords: Mapping[str, Any] = {}
    user: int = 0
    """For root, who can be anybody; others are unprivileged in any case."""
    layers: str = ""
    """Those that it must have where the caller is root."""
    judged: str = "effects"
    """"effects": everything must be stopped; "forging": no verdict may be forged."""


FORMS = {
    form.name: form
    for form in (
        Form(
            "full",
            keywords={"require": "full", "workers": 1},
            layers="namespaces uid seccomp landlock limits cgroup",
        ),
        Form(
            "no-namespaces",
            keywords={"require": "strong", "without": ["namespaces"], "workers": 1},
            layers="uid seccomp landlock limits cgroup",
        ),
        Form(
            "no-namespaces-uid-cgroup",
            keywords={"require": "strong", "without": ["namespaces", "uid", "cgroup"], "workers": 1},
            layers="seccomp landlock limits",
        ),
        Form(
            "unprivileged",
            keywords={"require": "strong", "workers": 1},
            user=NOBODY,
            layers="namespaces seccomp landlock limits",
        ),
        Form(
            "bubblewrap",
            make="agentloop.environments.code:Bubblewrap",
            layers="namespaces seccomp landlock limits cgroup",
        ),
        Form(
            "no-layers",
            keywords={
                "require": "any",
                "without": ["namespaces", "uid", "seccomp", "landlock", "limits", "cgroup"],
                "workers": 1,
            },
            judged="forging",
        ),
    )
}


@dataclass(frozen=True)
class Outcome:
    """What one program did to one back end."""

    program: str
    verdict: str
    """Why, in the verdict's word."""
    passed: bool
    seconds: float
    effects: tuple[str, ...] = ()
    """What was found from outside, in words; empty when the program was stopped."""
    layers: tuple[str, ...] = ()
    memory_bytes: int = 0
    """The most that was taken at once, where an outer control group could tell."""
    text: str = field(default="", repr=False)

    @property
    def stopped(self) -> bool:
        """Whether the verdict is no pass and nothing was done."""
        return not self.passed and not self.effects


class Unavailable(Exception):
    """A form that this machine does not have."""


@cache
def source(path: Path) -> str:
    """A program without the comment that quiets the linter."""
    return path.read_text(encoding="utf-8").removeprefix("# ruff: noqa\n")


class Suite:
    """One form with its judge; an arena that a program got the better of is replaced by a new one."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._judge: subprocess.Popen[str] | None = None

    def __enter__(self) -> Suite:
        self._ready()
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def outcome(self, name: str, *, seconds: float | None = None) -> Outcome:
        """Run one hostile program, then an honest one on the same worker, and say what happened."""
        self._ready()
        hidden = f"planted-hidden-{secrets.token_hex(8)}"
        told = f"HOST = {self.host!r}\n"
        program = told + source(HERE / "hostile" / "prelude.py") + source(PROGRAMS[name])
        prompt, tests = TASKS.get(name, ("", TESTS))
        seconds = seconds or SECONDS.get(name, TIMEOUT_SECONDS)
        job = self._job(program, tests.format(hidden=hidden), prompt=prompt, seconds=seconds)
        done = self._ask(job)
        effects = list(done["effects"])
        if hidden in done["text"]:
            effects.append("hidden tests out")
        if done["back"]:
            after = self._honest("honest-plain")
            if not after["passed"]:
                effects.append(f"next job: {after['why']}")
            effects += self._ask("remains")
        if effects:  # what comes next is to meet a runner in order, not one that is past passing anything
            self._end()
        return Outcome(
            program=name,
            verdict=done["why"],
            passed=done["passed"],
            seconds=done["took"],
            effects=tuple(dict.fromkeys(effects)),
            layers=tuple(done["layers"]),
            memory_bytes=done["memory"],
            text=done["text"],
        )

    def honest(self, name: str) -> Outcome:
        """Run one honest program."""
        return self._outcome(name, self._honest(name))

    def endless(self) -> Outcome:
        """Run an endless loop that means no harm."""
        return self._outcome("endless", self._ask(self._job(ENDLESS, TESTS.format(hidden="nothing"))))

    def _outcome(self, name: str, done: dict[str, Any]) -> Outcome:
        return Outcome(
            name, done["why"], done["passed"], done["took"], tuple(done["effects"]), text=done["text"]
        )

    def left_by_closing(self) -> list[str]:
        """Close the back end; what is still there afterwards."""
        self._ready()
        found: list[str] = self._ask("close")
        self._end()
        return found

    def _honest(self, name: str) -> dict[str, Any]:
        tests = TESTS.format(hidden="nothing")
        done: dict[str, Any] = self._ask(self._job(source(HONEST[name]), tests, seconds=5.0))
        return done

    def _job(
        self, program: str, tests: str, *, prompt: str = "", seconds: float = TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        self._ready()
        return {
            "program": program,
            "tests": tests,
            "entry_point": "largest",
            "prompt": prompt,
            "files": {"notes.txt": "notes\n", self.host["mark"]: ""},
            "timeout_seconds": seconds,
        }

    def _ready(self) -> None:
        if self._judge is None:
            self._begin()

    def _begin(self) -> None:
        missing = lacking(self.form)
        if missing:
            raise Unavailable(missing)
        user = self.form.user if os.geteuid() == 0 else os.geteuid()
        spec = {"make": self.form.make, "keywords": dict(self.form.keywords), "user": user}
        self._judge = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile_judge", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
            start_new_session=True,
        )
        started = self._read()
        if started["layers"] is None:
            self._end()
            why = " ".join(started["error"].split())
            if REFUSAL in why or "SandboxRefused: " in why:
                raise Unavailable(why.rpartition("SandboxRefused: ")[2])
            raise RuntimeError(f"{self.form.name}: the back end did not start: {why}")
        self.host, self.outer, self.layers = started["host"], started["outer"], tuple(started["layers"])
        if not self.outer and self.form.judged == "forging":
            self._end()
            raise Unavailable(
                "no outer control group can be made here, and nothing else would bound programs"
            )
        first = self._honest("honest-plain")
        if not first["passed"]:
            self._end()
            raise RuntimeError(f"{self.form.name}: not even an honest program passes: {first['text'][:500]}")
        self._ask("rest")

    def _end(self) -> None:
        if self._judge is not None:
            assert self._judge.stdin is not None and self._judge.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._judge.stdin.close()
            self._judge.wait()
            self._judge.stdout.close()
            self._judge = None

    def _ask(self, asked: Any) -> Any:
        assert self._judge is not None and self._judge.stdin is not None
        self._judge.stdin.write(json.dumps(asked) + "\n")
        self._judge.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._judge is not None and self._judge.stdout is not None
        line = self._judge.stdout.readline()
        if not line:
            raise RuntimeError(f"the judge ended with status {self._judge.wait()}")
        return json.loads(line)


def lacking(form: Form) -> str:
    """What this machine lacks for a form, or nothing."""
    if not sys.platform.startswith("linux"):
        return "the suite needs Linux"
    if form.name == "bubblewrap" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    return ""
