"""From what came back of a job to a verdict with its evidence."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any

from agentloop.environments.code.verdict import Job, Limits, Verdict, Why
from agentloop.environments.code.workers import Ended
from agentloop.types import Fact

TESTS_LISTED = 100
SETUP_FAILED = 70
"""The status with which a child ends that could not confine itself."""
WHYS: dict[str, Why] = {
    "assert": "assert",
    "assertion": "assert",
    "exception": "exception",
    "load_error": "load_error",
    "missing_entry_point": "load_error",
    "test_error": "test_error",
    "exit": "exit",
    "unsupported_value": "unsupported_value",
    "forged_channel": "forged_channel",
    "memory": "memory",
}
"""What each kind of report means for a verdict."""


def infra_error(message: str, *, layers: tuple[str, ...]) -> Verdict:
    """The verdict where the sandbox failed, which says nothing of the program."""
    fact = Fact(kind="infra_error", data={"message": message})
    return Verdict(passed=False, why="infra_error", facts=(fact,), layers=layers)


def verdict_of(job: Job, ended: Ended, *, layers: tuple[str, ...], limits: Limits) -> Verdict:
    """The verdict on a job: of the reports where there are any, else of how its processes ended."""
    if job.mode == "calls" and ended.checker == SETUP_FAILED:
        return infra_error("the checker could not be started", layers=layers)
    reports = lines(ended.report) if job.mode == "calls" else messages(ended.report)
    output = ended.output.decode("utf-8", "replace")
    judge = _Judge(job, ended, limits, reports)
    why, facts = judge.stdio(output) if job.mode == "stdio" else judge.tested()
    cut = ended.written - len(ended.output)
    if output:
        facts = [*facts, Fact(kind="output", data={"text": output, "cut": cut})]
    return Verdict(
        passed=why == "passed",
        why=why,
        facts=tuple(facts),
        layers=layers,
        seconds=ended.seconds,
        forgeable=job.mode in ("script", "trace"),
        output=output,
    )


def lines(report: bytes) -> list[dict[str, Any]]:
    """The reports of a checker: a line of JSON each; one that was cut off is left out."""
    whole = report.split(b"\n")[:-1]
    try:
        values = json.loads(b"[%b]" % b",".join(whole))  # at once: each by itself takes several times as long
    except ValueError:
        values = [value for line in whole if (value := _parsed(line)) is not None]
    return [value for value in values if isinstance(value, dict)]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def messages(report: bytes) -> list[dict[str, Any]]:
    """The reports of a program's own process: four bytes of length and that much JSON each."""
    found, at = [], 0
    while len(report) - at >= 4:
        size = int.from_bytes(report[at : at + 4], "big")
        try:
            value = json.loads(report[at + 4 : at + 4 + size])
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            found.append(value)
        at += 4 + size
    return found


class _Judge:
    """Weighs the reports of one job against how its processes ended."""

    def __init__(self, job: Job, ended: Ended, limits: Limits, reports: Sequence[dict[str, Any]]) -> None:
        self.job, self.ended, self.limits = job, ended, limits
        self.units: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {}
        """What was reported besides units, by its kind; of each the last."""
        for report in reports:
            if "unit" in report:
                self.units.append(report)
            else:
                self.told |= report
        self.done = self.told.get("done") is True

    def tested(self) -> tuple[Why, list[Fact]]:
        """The verdict where tests were run, or a call was traced."""
        facts = [*self._named("helpers"), *self._named("trace")]
        if self.units:
            facts.insert(0, self._tests())
        stopped = self.stopped()
        if stopped is not None:
            return stopped[0], [*facts, *stopped[1]]
        failed = next((unit for unit in self.units if unit.get("passed") is not True), None)
        found = self._ended() or (self._failed(failed) if failed else None)
        if found is not None:
            return found[0], [*facts, *found[1]]
        if not self.units and self.job.mode != "trace":
            message = "no test was run"
            return "test_error", [*facts, Fact(kind="test_error", data={"message": message})]
        return "passed", facts

    def _tests(self) -> Fact:
        passed = [unit.get("test", "") for unit in self.units if unit.get("passed") is True]
        failed = [unit.get("test", "") for unit in self.units if unit.get("passed") is not True]
        total = self.told.get("total")
        total = max(len(self.units), total if isinstance(total, int) else 0)
        data = {
            "passed": passed[:TESTS_LISTED],
            "failed": failed[:TESTS_LISTED],
            "not_run": total - len(passed) - len(failed),
            "total": total,
        }
        return Fact(kind="tests", data=data)

    def _ended(self) -> tuple[Why, list[Fact]] | None:
        """What ended the tests before any of them could fail or pass."""
        for kind in ("load_error", "missing_entry_point", "exit", "gone", "forged_channel", "test_error"):
            for fact in self._named(kind):
                return self._meant(kind, fact.data)
        return None

    def _failed(self, unit: dict[str, Any]) -> tuple[Why, list[Fact]]:
        """What the first failing test showed."""
        kind = str(unit.get("kind", "assert"))
        data = {name: value for name, value in unit.items() if name not in ("unit", "passed", "kind")}
        return self._meant(kind, data)

    def _meant(self, kind: str, data: dict[str, Any]) -> tuple[Why, list[Fact]]:
        if kind == "gone":
            return self._died(data)
        if data.get("type") == "MemoryError" and kind in ("exception", "load_error"):
            return "memory", [Fact(kind="memory", data={**data, "bytes": self.limits.memory_bytes})]
        if self.ended.written >= self.limits.file_bytes:
            return "output_limit", [Fact(kind="output_limit", data={"bytes": self.limits.file_bytes})]
        name = "assertion" if kind == "assert" else kind
        return WHYS.get(kind, "test_error"), [Fact(kind=name, data=data)]

    def _died(self, data: dict[str, Any]) -> tuple[Why, list[Fact]]:
        """The program's process ended while the tests waited for it."""
        status = self.ended.candidate
        if self.ended.late:
            return "timeout", [Fact(kind="timeout", data={**data, **self._timeout()})]
        if status == -9 and self.ended.candidate_killed:
            return "exit", [Fact(kind="exit", data=data)]
        if status < 0:
            return "killed_by_signal", [Fact(kind="signal", data={**data, "name": signal_name(-status)})]
        return "exit", [Fact(kind="exit", data={**data, "code": status})]

    def _named(self, kind: str) -> list[Fact]:
        """The last report of one kind as a fact."""
        if kind not in self.told:
            return []
        value = self.told[kind]
        return [Fact(kind=kind, data=value if isinstance(value, dict) else {"names": value})]

    def stdio(self, output: str) -> tuple[Why, list[Fact]]:
        """The verdict on a script: how it ended, then what it wrote."""
        stopped = self.stopped()
        if stopped is not None:
            return stopped
        for kind in ("load_error", "exception"):
            if kind in self.told:
                return WHYS[kind], [Fact(kind=kind, data=self.told[kind])]
        return self._compared(output)

    def _compared(self, output: str) -> tuple[Why, list[Fact]]:
        wanted = self.job.stdout
        if wanted is None or same_text(wanted, output):
            return "passed", []
        case = {"stdin": self.job.stdin, "wanted": wanted, "got": output}
        return "wrong_output", [Fact(kind="case", data=case)]

    def stopped(self) -> tuple[Why, list[Fact]] | None:
        """Why the program was stopped or ended before it was done; None when it was done."""
        ended, limits = self.ended, self.limits
        if ended.oom:
            return "memory", [Fact(kind="memory", data={"bytes": limits.resident_bytes})]
        if ended.grown == "threads":
            return "process_limit", [Fact(kind="process_limit", data={"processes": limits.processes})]
        if ended.grown or (ended.written >= limits.file_bytes and not self.done):
            size = limits.folder_bytes if ended.grown else limits.file_bytes
            return "output_limit", [Fact(kind="output_limit", data={"bytes": size})]
        if self.done:
            return None
        if ended.late:
            return "timeout", [Fact(kind="timeout", data=self._timeout())]
        if self.job.mode == "calls":
            message = f"the tests ended their own process with status {ended.checker}"
            return "test_error", [Fact(kind="test_error", data={"message": message})]
        if ended.candidate < 0:
            name = signal_name(-ended.candidate)
            return "killed_by_signal", [Fact(kind="signal", data={"name": name})]
        return "exit", [Fact(kind="exit", data={"code": ended.candidate})]

    def _timeout(self) -> dict[str, Any]:
        place = self.told.get("at")
        return {"seconds": self.job.timeout_seconds, **(place if isinstance(place, dict) else {})}


def signal_name(number: int) -> str:
    """The name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def same_text(wanted: str, got: str) -> bool:
    """Whether two outputs agree line by line, blanks at the ends of lines and of the whole left aside."""
    return _stripped(wanted) == _stripped(got)


def _stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
