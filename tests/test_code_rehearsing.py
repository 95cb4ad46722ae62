"""What a worker rehearses before its first job: a whole job, of which nothing is left."""

import json
import subprocess
import sys
from pathlib import Path

from agentloop.environments.code import Job, Sandbox
from agentloop.environments.code.verdicts import lines
from agentloop.environments.code.workers import ALONE, ENVIRONMENT

INSIDE = "agentloop.environments.code.inside"
ROOT = Path(__file__).resolve().parents[1]
REHEARSE = f"""
import _signal, gc, json, os, sys, tempfile
sys.path.insert(0, {str(ROOT)!r})
from {INSIDE} import rehearsing

def state():
    handler = str(_signal.getsignal(_signal.SIGALRM))
    return [sorted(sys.modules), list(sys.path), handler, os.listdir("/proc/self/fd")]

report = tempfile.TemporaryFile()
before = state()
rehearsing.rehearse(2, report=report.fileno())
print(json.dumps([before, state(), _signal.getitimer(_signal.ITIMER_REAL)[0]]))
report.seek(0)
print(report.read().decode())
"""
START = """
import os, sys
sys.path.insert(0, {root!r})
from agentloop.environments.code import Job, Sandbox

for _ in range(6):
    sandbox = Sandbox(require="any", workers=1)
    verdict = sandbox.run(Job(program="def f(): return 1", tests="assert f() == 1", entry_point="f"))
    sandbox.close()
    assert verdict.passed, verdict
    os.open("/dev/null", os.O_RDONLY)  # the next one's connection comes to lie one higher
"""


def rehearsed() -> list[str]:
    """What a process tells that rehearses twice, line by line."""
    command = [sys.executable, *ALONE, "-c", REHEARSE]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_the_rehearsed_job_goes_as_it_was_written_on_both_sides() -> None:
    records = lines("\n".join(rehearsed()[1:]).encode())
    units = [(each["unit"], each["passed"]) for each in records if "unit" in each]
    assert units == [*enumerate([True, True, True, True, False, False])] * 2
    kinds = [each["kind"] for each in records if each.get("passed") is False]
    assert kinds == ["assert", "exception"] * 2
    assert [each["calls"] for each in records if "done" in each] == [6, 6]


def test_nothing_of_a_rehearsal_is_left() -> None:
    before, after, alarm = json.loads(rehearsed()[0])
    assert after == before
    assert alarm == 0


def test_a_program_finds_no_module_of_a_rehearsal() -> None:
    program = (
        "import sys\ndef f():\n    return [name for name in ('tests', 'solution') if name in sys.modules]"
    )
    sandbox = Sandbox(require="any", workers=1)
    try:
        verdict = sandbox.run(Job(program=program, tests="assert f() == []", entry_point="f"))
    finally:
        sandbox.close()
    assert verdict.passed, verdict


def test_a_worker_starts_whatever_descriptor_its_connection_has() -> None:
    command = [sys.executable, "-c", START.format(root=str(ROOT))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
