"""The sandbox end to end: honest programs pass, faults are told apart, doors are closed until opened."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentloop.environments.code import Allowed, Job, Limits, Sandbox, Verdict, check
from agentloop.environments.code.layers import LAYERS, probe
from agentloop.environments.code.verdict import MIB
from agentloop.errors import BadInput, EnvironmentFailed

ADD = "def add(a, b):\n    return a + b\n"
TESTS = "assert add(1, 2) == 3\nassert add('a', 'b') == 'ab'\n"
HAVE = {name for name, layer in probe().items() if layer.available}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(require="any", workers=2)
    yield made
    made.close()


def judged(
    sandbox: Sandbox, program: str, tests: str = TESTS, *, name: str = "add", seconds: float = 3.0
) -> Verdict:
    return sandbox.run(Job(program=program, tests=tests, entry_point=name, timeout_seconds=seconds))


def data(verdict: Verdict, kind: str) -> dict[str, object]:
    return next(fact.data for fact in verdict.facts if fact.kind == kind)


def said(sandbox: Sandbox, body: str, **allowed: object) -> str:
    """What a script prints."""
    return sandbox.run(Job(program=body, mode="stdio", timeout_seconds=10.0)).output.strip()


def test_a_right_program_passes(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, ADD)
    assert verdict.passed and verdict.why == "passed"
    assert verdict.layers == sandbox.layers
    assert not verdict.forgeable


def test_check_judges_a_program_with_a_sandbox_of_its_own() -> None:
    assert check(ADD, TESTS, entry_point="add").passed
    assert not check(ADD.replace("+", "*"), TESTS, entry_point="add").passed


def test_a_wrong_program_is_told_its_first_failing_assertion(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def add(a, b):\n    return a - b if type(a) is int else a + b\n")
    assert (verdict.passed, verdict.why) == (False, "assert")
    found = data(verdict, "assertion")
    assert (found["call"], found["wanted"], found["got"]) == ("add(1, 2)", "3", "-1")
    assert len(data(verdict, "tests")["passed"]) == 1  # type: ignore[arg-type]


def test_an_exception_is_told_with_the_programs_own_frames(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def inner(a):\n    return a[0]\n\ndef add(a, b):\n    return inner(a)\n")
    assert verdict.why == "exception"
    found = data(verdict, "exception")
    assert found["type"] == "TypeError"
    assert [frame["function"] for frame in found["frames"]] == ["add", "inner"]  # type: ignore[attr-defined]


def test_an_endless_loop_runs_out_of_time_and_says_where(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def add(a, b):\n    while True:\n        pass\n", seconds=1.0)
    assert verdict.why == "timeout"
    assert data(verdict, "timeout")["seconds"] == 1.0
    assert data(verdict, "timeout")["function"] == "add"


def test_too_much_memory_is_told_apart(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def add(a, b):\n    return bytearray(1 << 40)\n")
    assert verdict.why == "memory"


@pytest.mark.skipif("cgroup" not in HAVE, reason="SKIPPED: no control groups here")
def test_memory_that_only_the_control_group_counts_is_told_apart() -> None:
    # Files of the work folder are memory too, and no address space counts them.
    limits = Limits(resident_bytes=64 * MIB, folder_bytes=512 * MIB, file_bytes=256 * MIB)
    made = Sandbox(require="any", workers=1, limits=limits)
    write = "def add(a, b):\n    open('x', 'wb').write(bytes(200_000_000))\n    return a + b\n"
    assert judged(made, write).why == "memory"
    assert judged(made, ADD).passed
    made.close()


def test_output_beyond_the_limit_is_told_apart_and_cut(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def add(a, b):\n    while True:\n        print('x' * 100_000)\n")
    assert verdict.why == "output_limit"
    assert len(verdict.output) < 70_000


def test_of_much_output_the_head_and_the_tail_are_kept(sandbox: Sandbox) -> None:
    program = "print('first')\nprint('x' * 1_000_000)\nprint('last')\n" + ADD
    verdict = judged(sandbox, program)
    assert verdict.passed
    assert verdict.output.startswith("first") and verdict.output.rstrip().endswith("last")
    assert data(verdict, "output")["cut"] > 900_000  # type: ignore[operator]


def test_a_crash_names_the_signal(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "import ctypes\ndef add(a, b):\n    return ctypes.string_at(0)\n")
    assert verdict.why == "killed_by_signal"
    assert data(verdict, "signal")["name"] == "SIGSEGV"


def test_a_program_that_leaves_is_told_apart(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "import os\ndef add(a, b):\n    os._exit(0)\n")
    assert (verdict.passed, verdict.why) == (False, "exit")


def test_a_syntax_error_is_told_with_its_line(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def add(a, b)\n    return a + b\n")
    assert verdict.why == "load_error"
    assert data(verdict, "load_error")["line"] == 1


def test_a_missing_entry_point_is_told_with_what_there_is(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def plus(a, b):\n    return a + b\n")
    assert not verdict.passed
    assert data(verdict, "missing_entry_point")["defined"] == ["plus"]


def test_tests_that_are_broken_are_the_tests_fault(sandbox: Sandbox) -> None:
    assert judged(sandbox, ADD, "assert add(1, 2) == \n").why == "test_error"


def test_tests_that_test_nothing_pass_nothing(sandbox: Sandbox) -> None:
    assert judged(sandbox, ADD, "x = 1\n").why == "test_error"


def test_tests_that_end_their_own_process_pass_nothing(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, ADD, "assert add(1, 2) == 3\nimport os\nos._exit(0)\n")
    assert (verdict.passed, verdict.why) == (False, "test_error")


def test_a_value_that_cannot_cross_is_no_failure_of_an_assertion(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "class Sum:\n    pass\n\ndef add(a, b):\n    return Sum()\n")
    assert verdict.why == "unsupported_value"


def test_a_script_is_given_its_input_and_judged_by_its_output(sandbox: Sandbox) -> None:
    job = Job(program="print(sum(map(int, input().split())))\n", mode="stdio", stdin="1 2 3\n", stdout="6")
    assert sandbox.run(job).passed
    wrong = sandbox.run(job._replace(stdout="7"))
    assert wrong.why == "wrong_output"
    assert data(wrong, "case") == {"stdin": "1 2 3\n", "wanted": "7", "got": "6\n"}


def test_output_is_compared_line_by_line_without_trailing_blanks(sandbox: Sandbox) -> None:
    job = Job(program="print('a  ')\nprint('b')\nprint()\n", mode="stdio", stdout="a\nb")
    assert sandbox.run(job).passed
    assert not sandbox.run(job._replace(stdout="a b")).passed


def test_a_script_that_breaks_is_an_exception_with_its_frames(sandbox: Sandbox) -> None:
    verdict = sandbox.run(Job(program="x = 1\nprint(x / 0)\n", mode="stdio", stdout="1"))
    assert verdict.why == "exception"
    assert data(verdict, "exception")["frames"][0]["line"] == 2  # type: ignore[index]


def test_tests_in_the_programs_own_process_are_marked_forgeable(sandbox: Sandbox) -> None:
    job = Job(program=ADD, mode="script", tests=TESTS, entry_point="add")
    assert sandbox.run(job).passed
    assert sandbox.run(job).forgeable
    assert sandbox.run(job._replace(program=ADD.replace("+", "*"))).why in ("assert", "exception")


def test_a_trace_shows_lines_with_the_values_that_changed(sandbox: Sandbox) -> None:
    program = "def add(a, b):\n    total = a\n    total = total + b\n    return total\n"
    verdict = sandbox.run(Job(program=program, mode="trace", call="add(1, 2)", entry_point="add"))
    lines = data(verdict, "trace")["lines"]
    assert [line["line"] for line in lines] == [1, 2, 3, 4]  # type: ignore[attr-defined]
    assert lines[2]["values"] == {"total": "3"}  # type: ignore[index]
    assert data(verdict, "trace")["result"] == "3"


def test_files_lie_in_the_work_folder(sandbox: Sandbox) -> None:
    program = "from parts.plus import plus\ndef add(a, b):\n    return plus(a, b)\n"
    files = {"parts/__init__.py": "", "parts/plus.py": "def plus(a, b):\n    return a + b\n"}
    job = Job(program=program, tests=TESTS, entry_point="add", files=files)
    assert sandbox.run(job).passed


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_file_outside_the_work_folder_is_refused(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(BadInput, match="work folder"):
        sandbox.run(Job(program="", mode="stdio", files={name: ""}))


def test_nothing_of_a_job_is_left_for_the_next(sandbox: Sandbox) -> None:
    leave = "open('left', 'w').write('x')\nimport builtins\nbuiltins.left = 1\n" + ADD
    look = (
        "import os, builtins\nassert not hasattr(builtins, 'left')\nassert not os.path.exists('left')\n" + ADD
    )
    made = Sandbox(require="any", workers=1)
    assert judged(made, leave).passed and judged(made, look).passed
    made.close()


def test_no_process_can_be_started_unless_that_is_allowed(sandbox: Sandbox) -> None:
    body = (
        "import subprocess\n"
        "try:\n    print(subprocess.run(['/bin/echo', 'ran'], capture_output=True, text=True).stdout)\n"
        "except OSError:\n    print('refused')\n"
    )
    opened = Sandbox(require="any", workers=1, allow=Allowed(subprocess=True))
    assert said(opened, body) == "ran"
    opened.close()
    if "seccomp" in sandbox.layers:
        assert said(sandbox, body) == "refused"


def test_the_network_is_closed_unless_it_is_allowed(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = (
            "import socket\n"
            f"try:\n    socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)\n"
            "    print('reached')\n"
            "except OSError:\n    print('refused')\n"
        )
        opened = Sandbox(require="any", workers=1, allow=Allowed(network=True))
        assert said(opened, body) == "reached"
        opened.close()
        if {"seccomp", "namespaces"} & set(sandbox.layers):
            assert said(sandbox, body) == "refused"


def test_a_folder_of_the_host_is_closed_unless_it_is_allowed(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("said")
    os.chmod(tmp_path, 0o755)  # noqa: PTH101 - another user reads it
    path = str(tmp_path / "words.txt")
    body = f"try:\n    print(open({path!r}).read())\nexcept OSError:\n    print('refused')\n"
    opened = Sandbox(require="any", workers=1, allow=Allowed(folders=(tmp_path,)))
    assert said(opened, body) == "said"
    opened.close()
    if {"landlock", "namespaces"} & set(sandbox.layers):
        assert said(sandbox, body) == "refused"


def test_installed_packages_are_closed_unless_they_are_allowed(sandbox: Sandbox) -> None:
    body = "try:\n    import numpy; print(numpy.arange(3).sum())\nexcept ImportError:\n    print('refused')\n"
    opened = Sandbox(require="any", workers=1, allow=Allowed(packages=True, preload=("numpy",)))
    assert said(opened, body) == "3"
    assert said(sandbox, body) == "refused"
    opened.close()


def test_bundled_tests_are_hidden_even_where_packages_are_seen() -> None:
    import agentloop

    if not {"namespaces"} & HAVE:
        pytest.skip("SKIPPED: no namespaces here, so the package's own files can be read")
    opened = Sandbox(
        require="any", workers=1, allow=Allowed(packages=True, folders=(Path(agentloop.__file__).parents[1],))
    )
    body = f"import os\nprint(os.listdir({str(Path(agentloop.__file__).parent)!r}))\n"
    assert said(opened, body) == "[]"
    opened.close()


def test_the_environment_of_the_host_is_not_seen(sandbox: Sandbox) -> None:
    os.environ["AGENTLOOP_PLANTED"] = "planted-secret"
    fresh = Sandbox(require="any", workers=1)
    del os.environ["AGENTLOOP_PLANTED"]
    assert said(fresh, "import os\nprint(sorted(os.environ))\n") == "['HOME', 'LANG', 'PATH', 'TMPDIR']"
    fresh.close()


def test_another_interpreter_can_be_chosen() -> None:
    found = next((path for path in ("/usr/bin/python3",) if Path(path).exists()), None)
    if (
        found is None
        or subprocess.run([found, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode
    ):
        pytest.skip("SKIPPED: no second Python of version 3.11 or later here")
    other = Sandbox(require="any", workers=1, python=found)
    assert said(other, "import sys\nprint(sys.base_prefix)\n") == "/usr"
    other.close()


def test_many_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(
            threads.map(
                lambda number: judged(sandbox, ADD, f"assert add({number}, 1) == {number + 1}"), range(40)
            )
        )
    assert all(verdict.passed for verdict in verdicts)
    assert len(sandbox.processes()) <= 2


def test_an_event_loop_is_not_blocked(sandbox: Sandbox) -> None:
    async def both() -> tuple[Verdict, float]:
        job = Job(
            program="def add(a, b):\n    while True: pass\n",
            tests=TESTS,
            entry_point="add",
            timeout_seconds=0.5,
        )
        running = asyncio.ensure_future(sandbox.arun(job))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        waited = time.monotonic() - began
        return await running, waited

    verdict, waited = asyncio.run(both())
    assert verdict.why == "timeout"
    assert waited < 0.4


def test_a_worker_that_dies_is_replaced_and_the_job_done_again() -> None:
    made = Sandbox(require="any", workers=1)
    assert judged(made, ADD).passed
    job = Job(
        program="import time\ndef add(a, b):\n    time.sleep(0.5)\n    return a + b\n",
        tests=TESTS,
        entry_point="add",
    )
    (worker,) = made.processes()
    threading.Timer(0.2, os.kill, (worker, signal.SIGKILL)).start()
    assert made.run(job).passed
    assert made.infra_errors == 1
    made.close()


def test_an_infrastructure_error_is_no_failure_of_the_program() -> None:
    made = Sandbox(
        require="any",
        workers=1,
        limits=Limits(folder_bytes=-1) if "namespaces" in HAVE else Limits(open_files=-5),
    )
    verdict = judged(made, ADD)
    assert verdict.why == "infra_error" and verdict.broken
    assert made.infra_errors == 3
    assert data(verdict, "infra_error")["message"]
    made.close()


def test_nothing_runs_after_close() -> None:
    made = Sandbox(require="any", workers=2)
    assert judged(made, ADD).passed
    processes = made.processes()
    made.close()
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    with pytest.raises(EnvironmentFailed, match="closed"):
        judged(made, ADD)


def test_a_sandbox_that_is_forgotten_ends_its_workers() -> None:
    made = Sandbox(require="any", workers=1)
    assert judged(made, ADD).passed
    processes = made.processes()
    del made
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_a_fork_of_the_host_does_not_use_its_parents_workers() -> None:
    made = Sandbox(require="any", workers=1)
    assert judged(made, ADD).passed
    child = os.fork()
    if not child:
        try:
            judged(made, ADD)
        except EnvironmentFailed:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert judged(made, ADD).passed
    made.close()


def test_without_any_layer_the_program_is_still_judged() -> None:
    made = Sandbox(require="any", workers=1, without=LAYERS)
    assert made.layers == ()
    assert judged(made, ADD).passed
    assert not judged(made, "import os\nos._exit(0)\n").passed
    made.close()


NO_ROOM = ("namespaces", "uid", "cgroup")
"""What a machine lacks that allows neither namespaces nor control groups."""


def test_files_too_deep_to_be_named_are_gone_before_the_next_job() -> None:
    made = Sandbox(require="any", workers=1, without=NO_ROOM)
    deep = "import os\nfor _ in range(100):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    assert judged(made, deep + ADD).why in ("passed", "output_limit")  # seen in time, or not
    assert said(made, "import os\nprint(os.listdir('.'))\n") == "[]"
    made.close()


def test_threads_are_bounded_where_the_kernel_counts_none() -> None:
    made = Sandbox(require="any", workers=1, without=NO_ROOM)
    flood = (
        "import threading, time\nthreading.stack_size(65536)\n"
        "def add(a, b):\n    while True:\n        threading.Thread(target=time.sleep, args=(60,)).start()\n"
    )
    verdict = judged(made, flood)
    assert verdict.why in ("process_limit", "exception")
    assert verdict.seconds < 2.0
    made.close()


def test_files_are_bounded_where_no_mount_bounds_them() -> None:
    made = Sandbox(require="any", workers=1, without=NO_ROOM)
    flood = "def add(a, b):\n    n = 0\n    while True:\n        n += 1\n        open(f'f{n}', 'w').close()\n"
    assert judged(made, flood).why == "output_limit"
    made.close()


def test_limits_of_other_processes_cannot_be_set(sandbox: Sandbox) -> None:
    if "seccomp" not in sandbox.layers:
        pytest.skip("SKIPPED: no seccomp here")
    made = Sandbox(require="any", workers=1, without=NO_ROOM)
    body = (
        "import os, resource\n"
        "try:\n    print(resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE))\n"
        "except OSError:\n    print('refused')\n"
    )
    assert said(made, body) == "refused"
    made.close()


@pytest.mark.parametrize("seconds", [0, -1, 1e9])
def test_a_time_that_makes_no_sense_is_refused(sandbox: Sandbox, seconds: float) -> None:
    with pytest.raises(BadInput, match="timeout_seconds"):
        judged(sandbox, ADD, seconds=seconds)


def test_an_entry_point_that_is_no_name_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match="entry_point must be the name"):
        judged(sandbox, ADD, name="add(1)")


def test_at_least_one_worker_is_asked_for() -> None:
    with pytest.raises(BadInput, match="workers must be at least 1, got 0"):
        Sandbox(workers=0)


def test_a_host_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time\n"
        "from agentloop.environments.code import Sandbox, Job\n"
        "made = Sandbox(require='any', workers=1)\n"
        "program = 'def f():\\n    while True: pass\\n'\n"
        "job = Job(program=program, tests='assert f()', entry_point='f', timeout_seconds=60)\n"
        "threading.Thread(target=made.run, args=(job,)).start()\n"
        "while not made.processes(): time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print(made.processes()[0], flush=True)\n"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    worker = int(host.stdout.readline())
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    assert children
    host.kill()
    host.wait()
    host.stdout.close()
    end = time.monotonic() + 2.0
    while time.monotonic() < end and any(Path(f"/proc/{each}").exists() for each in [worker, *children]):
        time.sleep(0.02)
    assert not any(Path(f"/proc/{each}").exists() for each in [worker, *children])


def test_sets_have_the_same_order_in_every_worker() -> None:
    orders = set()
    for _ in range(3):
        made = Sandbox(require="any", workers=1)
        orders.add(said(made, "print(list({'a', 'b', 'c', 'd', 'e'}))\n"))
        made.close()
    assert len(orders) == 1


def test_a_script_may_end_itself_as_at_the_prompt(sandbox: Sandbox) -> None:
    job = Job(program="print('said')\nexit()\nprint('not said')\n", mode="stdio", stdout="said")
    assert sandbox.run(job).passed
