"""bubblewrap as a back end: the same verdicts as the sandbox of our own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentloop.environments.code import Bubblewrap, Job, Limits, cgroups

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="SKIPPED: bubblewrap is not installed: apt install bubblewrap"
)
ADD = "def add(a, b):\n    return a + b\n"
JOB = Job(program=ADD, tests="assert add(1, 2) == 3\n", entry_point="add")


@pytest.fixture(scope="module")
def bubblewrap() -> Iterator[Bubblewrap]:
    made = Bubblewrap()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (ADD, "passed"),
        (ADD.replace("+", "-"), "assert"),
        ("def add(a, b):\n    return a.b\n", "exception"),
        ("def add(a, b)\n", "load_error"),
        ("def add(a, b):\n    while True: pass\n", "timeout"),
        ("import os\ndef add(a, b):\n    os._exit(3)\n", "exit"),
        ("import ctypes\ndef add(a, b):\n    return ctypes.string_at(0)\n", "killed_by_signal"),
        ("def add(a, b):\n    return bytearray(1 << 40)\n", "memory"),
    ],
)
def test_verdicts_are_those_of_the_sandbox(bubblewrap: Bubblewrap, program: str, why: str) -> None:
    assert bubblewrap.run(JOB._replace(program=program, timeout_seconds=1.0)).why == why


def test_a_script_is_judged_by_its_output(bubblewrap: Bubblewrap) -> None:
    job = Job(program="print(int(input()) + 1)\n", mode="stdio", stdin="1\n", stdout="2\n")
    assert bubblewrap.run(job).passed
    assert bubblewrap.run(job._replace(stdout="3\n")).why == "wrong_output"


def test_neither_the_host_nor_the_package_is_seen(bubblewrap: Bubblewrap) -> None:
    here = Path(__file__).parent
    body = f"import os\nprint(os.path.exists({str(here)!r}), os.path.exists('/proc/1'), sorted(os.environ))\n"
    seen = bubblewrap.run(Job(program=body, mode="stdio")).output.strip()
    assert seen == "False False ['HOME', 'LANG', 'PATH', 'TMPDIR']"


def test_every_run_says_what_confined_it(bubblewrap: Bubblewrap) -> None:
    assert bubblewrap.run(JOB).layers == bubblewrap.layers
    assert "namespaces" in bubblewrap.layers


def test_no_control_group_is_left(bubblewrap: Bubblewrap) -> None:
    def groups() -> set[Path]:
        return {
            each for parent in cgroups.parents(Limits()) or () for each in parent.glob(f"{cgroups.PREFIX}*")
        }

    before = groups()
    bubblewrap.run(JOB._replace(program="def add(a, b):\n    while True: pass\n", timeout_seconds=0.5))
    assert not {each for each in groups() - before if each.name.startswith(f"{cgroups.PREFIX}{os.getpid()}-")}
