"""How the children of a worker are confined while a job runs, as the kernel tells it from outside."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentloop.environments.code import Job, Sandbox
from agentloop.environments.code.layers import probe

HAVE = {name for name, layer in probe().items() if layer.available}
ENDLESS = Job(
    program="def f():\n    while True:\n        pass\n",
    tests="assert f() == 1",
    entry_point="f",
    timeout_seconds=2.0,
)


class Seen:
    """A worker and its two children in the midst of a job."""

    def __init__(self, worker: int, children: list[int]) -> None:
        self.worker, self.children = worker, children

    @staticmethod
    def told(process: int, file: str) -> str:
        """What the kernel tells of a process."""
        return Path(f"/proc/{process}/{file}").read_text()

    def status(self, process: int) -> dict[str, str]:
        """The lines of a process's status, by name."""
        lines = self.told(process, "status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """A job that goes on while it is looked at."""
    sandbox = Sandbox(require="any", workers=1)
    sandbox.run(Job(program="def f():\n    return 1\n", tests="assert f() == 1", entry_point="f"))
    thread = threading.Thread(target=sandbox.run, args=(ENDLESS,))
    thread.start()
    (worker,) = sandbox.processes()
    file, children, end = Path(f"/proc/{worker}/task/{worker}/children"), [], time.monotonic() + 1.5
    while time.monotonic() < end:
        children = [int(each) for each in file.read_text().split()]
        if len(children) == 2 and all(spent(each) > 0.05 for each in children[:1]):
            break
        time.sleep(0.01)
    yield Seen(worker, children)
    thread.join()
    sandbox.close()


def spent(process: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_job_runs_in_two_processes_of_its_own(seen: Seen) -> None:
    assert len(seen.children) == 2


def test_no_child_can_gain_privileges_and_none_has_any(seen: Seen) -> None:
    for child in seen.children:
        status = seen.status(child)
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


@pytest.mark.skipif("seccomp" not in HAVE, reason="SKIPPED: no seccomp filters here")
def test_every_child_is_under_a_filter_of_system_calls(seen: Seen) -> None:
    assert [seen.status(child)["Seccomp"] for child in seen.children] == ["2", "2"]


@pytest.mark.skipif("uid" not in HAVE, reason="SKIPPED: only root can give user ids")
def test_candidate_and_checker_have_user_ids_of_their_own_and_no_groups(seen: Seen) -> None:
    found = [seen.status(child) for child in seen.children]
    users = [set(status["Uid"].split()) for status in found]
    assert all(len(each) == 1 for each in users) and users[0] != users[1]
    assert {"0"} not in users
    assert [status["Groups"] for status in found] == ["", ""]


def test_every_child_has_the_limits_of_the_sandbox(seen: Seen) -> None:
    for child in seen.children:
        limits = seen.told(child, "limits").splitlines()
        found = {line[:26].strip(): line[26:].split()[:2] for line in limits[1:]}
        assert found["Max open files"] == ["64", "64"]
        assert found["Max file size"] == [str(16 << 20)] * 2
        assert found["Max address space"] == [str(1 << 30)] * 2
        assert found["Max core file size"] == ["0", "0"]
        assert found["Max cpu time"] == ["4", "4"]


@pytest.mark.skipif("cgroup" not in HAVE, reason="SKIPPED: no control group can be made here")
def test_when_memory_runs_out_the_children_are_to_go_and_not_their_worker(seen: Seen) -> None:
    scores = [seen.told(child, "oom_score_adj").strip() for child in seen.children]
    assert scores == ["1000", "1000"]
    assert seen.told(seen.worker, "oom_score_adj") == Path("/proc/self/oom_score_adj").read_text()


@pytest.mark.skipif("namespaces" not in HAVE, reason="SKIPPED: no namespaces can be had here")
def test_every_child_is_the_first_process_of_a_namespace_and_only_the_candidate_has_own_mounts(
    seen: Seen,
) -> None:
    assert [seen.status(child)["NSpid"].split()[-1] for child in seen.children] == ["1", "1"]
    mounts = [seen.told(child, "mountinfo") for child in (*seen.children, seen.worker)]
    assert [" /box/work " in each for each in mounts] == [True, False, False]
