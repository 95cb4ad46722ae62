"""A sandbox over a long time, at its violent end, and after its orderly one."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from agentloop.environments.code import Job, Limits, Sandbox
from agentloop.environments.code.cgroups import PREFIX, parents
from tests.hostile_judge import below, processes

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at through /proc"),
]
EXECUTIONS, WARM, THREADS = 10_000, 1_000, 2
FEW, FEW_WARM, BATCH = 600, 200, 100
MIB = 1 << 20
TESTS = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 25\n"
PROGRAMS = {
    "passed": "def square(n):\n    return n * n\n",
    "assert": "def square(n):\n    print('wrong', n)\n    return n + n\n",
    "exception": "def square(n):\n    raise ValueError('no ' + 'x' * 3000)\n",
    "load_error": "def square(n:\n",
    "exit": "import os\nos._exit(3)\n",
}


class Held(NamedTuple):
    """What a host and its workers hold."""

    host_bytes: int
    worker_bytes: int
    descriptors: int
    worker_descriptors: int
    zombies: int
    processes: int


def resident(pid: int) -> int:
    """Memory of a process in bytes, with what it shares."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    """Open descriptors of a process; none where only root may count them."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except PermissionError:
        return 0


def held(sandbox: Sandbox) -> Held:
    seen, workers = processes(), sandbox.processes()
    return Held(
        host_bytes=resident(os.getpid()),
        worker_bytes=max(resident(pid) for pid in workers),
        descriptors=open_files(os.getpid()),
        worker_descriptors=max(open_files(pid) for pid in workers),
        zombies=sum(seen[pid].state == "Z" for pid in below(os.getpid(), seen)),
        processes=len(below(os.getpid(), seen)),
    )


def jobs(count: int) -> Iterator[tuple[str, Job]]:
    kinds = list(PROGRAMS)
    for number in range(count):
        why = kinds[number % len(kinds)] if number % 4 == 0 else "passed"
        yield why, Job(program=PROGRAMS[why], tests=TESTS, entry_point="square")


def run_all(sandbox: Sandbox, count: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, count, BATCH):  # not all verdicts at once: they would be what grows
            asked = list(jobs(min(BATCH, count - begin)))
            for why, verdict in pool.map(lambda each: (each[0], sandbox.run(each[1])), asked):
                assert verdict.why == why, verdict


@pytest.fixture
def adopting() -> Iterator[None]:
    """Orphans of our children become our own for a while, so that none is overlooked."""
    library = ctypes.CDLL(None)
    assert library.prctl(36, 1, 0, 0, 0) == 0
    yield
    library.prctl(36, 0, 0, 0, 0)


def alive(before: set[int]) -> list[str]:
    seen = processes()
    return [f"{pid} {seen[pid].name}" for pid in below(os.getpid(), seen) - before if seen[pid].state != "Z"]


def own_groups(owner: int) -> list[Path]:
    folders = parents(Limits())
    return [found for folder in set(folders or ()) for found in folder.glob(f"{PREFIX}{owner}-*")]


@pytest.mark.slow
def test_ten_thousand_executions_leave_no_trace_in_memory_descriptors_or_processes() -> None:
    in_a_process_of_its_own(f"run_and_compare({WARM}, {EXECUTIONS})")


def test_some_hundred_executions_leave_no_trace_either() -> None:
    in_a_process_of_its_own(f"run_and_compare({FEW_WARM}, {FEW})")


def in_a_process_of_its_own(call: str) -> None:
    """What other tests hold, memory above all, is not to be counted."""
    code = f"from tests.test_code_soak import run_and_compare; {call}"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run_and_compare(warm: int, executions: int) -> None:
    sandbox = Sandbox(require="any", workers=THREADS)
    try:
        run_all(sandbox, warm)
        before, workers = held(sandbox), sandbox.processes()
        run_all(sandbox, executions - warm)
        after = held(sandbox)
        assert sandbox.processes() == workers, "workers were replaced"
    finally:
        sandbox.close()
    sys.stdout.write(f"before {before}\nafter  {after}\n")
    assert after.host_bytes - before.host_bytes < 2 * MIB
    assert after.worker_bytes - before.worker_bytes < MIB
    assert after.descriptors <= before.descriptors
    assert after.worker_descriptors <= before.worker_descriptors
    assert after.zombies == 0
    assert after.processes <= before.processes
    assert sandbox.infra_errors == 0


def test_a_host_killed_in_full_load_leaves_nothing_running_after_two_seconds(adopting: None) -> None:
    before = below(os.getpid(), processes())
    with subprocess.Popen([sys.executable, "-m", "tests.code_host", "3"], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"ready\n"
        assert len(alive(before)) >= 1 + 3 + 3, "the host, its workers and a program on each"
        host.kill()
    time.sleep(2)
    left = alive(before)
    for line in left:
        os.kill(int(line.split()[0]), signal.SIGKILL)
    assert left == []
    with_another_start(host.pid)


def with_another_start(dead: int) -> None:
    """Control groups of a dead host are gone once another one has started."""
    sandbox = Sandbox(require="any", workers=1)
    try:
        run_all(sandbox, 1)
        assert own_groups(dead) == []
    finally:
        sandbox.close()


def test_closing_leaves_no_process_descriptor_file_or_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    tmp_path.chmod(0o755)
    with_nothing_open = open_files(os.getpid())
    before, groups = below(os.getpid(), processes()), own_groups(os.getpid())
    for without in ((), ("namespaces",)):
        sandbox = Sandbox(require="any", workers=2, without=without)
        run_all(sandbox, 20)
        assert alive(before) != []
        sandbox.close()
        assert alive(before) == []
        assert list(tmp_path.iterdir()) == []
        assert not set(own_groups(os.getpid())) - set(groups)
        assert open_files(os.getpid()) <= with_nothing_open
