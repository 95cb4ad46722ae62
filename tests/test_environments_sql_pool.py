"""The worker processes: shared, bounded in number, killed and replaced, gone when nobody needs them."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from agentloop.environments.sql.pool import Pool, WorkerProcess
from agentloop.errors import EnvironmentFailed

ENDLESS_CALL = "SELECT instr(printf('%.990000d', 0), printf('%.490000d1', 0))"
ENDLESS_LOOP = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT max(n) FROM r"


def request(query, **more):
    return {
        "script": "CREATE TABLE t(id); INSERT INTO t VALUES (1), (2);",
        "query": query,
        **_bounds(),
        **more,
    }


def _bounds():
    return {"rows": 10, "bytes": 100_000}


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def gone_within(pids, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(alive, pids)):
        time.sleep(0.02)
    return not any(map(alive, pids))


@pytest.fixture
def pool():
    made = Pool(2)
    yield made
    made.close()


def count(pool, seconds=5.0):
    return pool.query(request("SELECT count(*) FROM t"), seconds=seconds).rows


def test_no_process_starts_before_something_is_asked(pool):
    assert pool.workers() == ()
    assert count(pool) == ((2,),)
    assert len(pool.workers()) == 1


def test_many_askers_share_the_workers(pool):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: count(pool), range(200)))
    assert answers == [((2,),)] * 200
    assert 1 <= len(pool.workers()) <= 2


def test_several_event_loops_share_the_workers(pool):
    async def ask():
        return await asyncio.gather(*(pool.run(count, pool) for _ in range(20)))

    for _ in range(3):
        assert asyncio.run(ask()) == [((2,),)] * 20
    assert len(pool.workers()) <= 2


def test_the_event_loop_goes_on_while_a_statement_runs(pool):
    async def ticks_while_waiting():
        waiting = asyncio.ensure_future(pool.run(pool.query, request(ENDLESS_LOOP), seconds=0.5))
        ticks = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, waiting.result().error["kind"]

    ticks, kind = asyncio.run(ticks_while_waiting())
    assert kind == "timeout"
    assert ticks > 10


def test_a_call_that_cannot_be_interrupted_costs_the_worker_its_life_and_the_next_one_answers(pool):
    assert count(pool) == ((2,),)
    before = pool.workers()
    began = time.monotonic()
    answer = pool.query(request(ENDLESS_CALL), seconds=0.5)
    assert answer.error["kind"] == "timeout"
    assert time.monotonic() - began < 1.5
    assert gone_within(before, 1)
    assert count(pool) == ((2,),)
    assert not set(before) & set(pool.workers())


def test_a_worker_that_was_killed_while_idle_is_replaced_without_a_word(pool):
    assert count(pool) == ((2,),)
    (pid,) = pool.workers()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead for good, and left for the pool to find so
    assert count(pool) == ((2,),)
    assert pid not in pool.workers()


def test_a_worker_that_dies_over_a_statement_is_a_crash_and_is_replaced(pool):
    assert count(pool) == ((2,),)
    (pid,) = pool.workers()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.query, request(ENDLESS_LOOP), seconds=20)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        assert waiting.result(timeout=5).error["kind"] == "crash"
    assert count(pool) == ((2,),)


def test_close_leaves_no_process_and_no_thread_waiting(pool):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: count(pool), range(20)))
        pids = pool.workers()
        waiting = [threads.submit(pool.query, request(ENDLESS_LOOP), seconds=30) for _ in range(2)]
        time.sleep(0.3)
        began = time.monotonic()
        pool.close()
        assert time.monotonic() - began < 5
        assert {future.result(timeout=5).error["kind"] for future in waiting} == {"crash"}
    assert pids and gone_within(pids, 2)
    assert pool.workers() == ()


def test_a_closed_pool_says_so(pool):
    pool.close()
    with pytest.raises(EnvironmentFailed, match="closed"):
        count(pool)


def test_closing_twice_is_allowed(pool):
    count(pool)
    pool.close()
    pool.close()


def test_a_forgotten_pool_takes_its_workers_along():
    pool = Pool(1)
    count(pool)
    pids = pool.workers()
    del pool
    assert gone_within(pids, 2)


PARENT = """
import sys
from agentloop.environments.sql.pool import Pool
pools = [Pool(1), Pool(1)]
ask = {"script": "CREATE TABLE t(id)", "rows": 10, "bytes": 1000}
for pool in pools:
    pool.query({**ask, "query": "SELECT 1"}, seconds=5)
pids = [pid for pool in pools for pid in pool.workers()]
import threading
for pool in pools:
    threading.Thread(target=pool.query, args=({**ask, "query": sys.argv[1]},), kwargs={"seconds": 60}).start()
print(*pids, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("busy", [ENDLESS_LOOP, ENDLESS_CALL, "SELECT 1"], ids=["loop", "call", "idle"])
def test_workers_end_when_their_parent_is_killed(busy):
    root = str(Path(__file__).resolve().parents[1])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, busy], stdout=subprocess.PIPE, text=True, cwd=root
    )
    try:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        time.sleep(0.2)
        assert len(pids) == 2 and all(map(alive, pids))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert gone_within(pids, 3)


def test_a_program_that_just_ends_leaves_no_workers():
    program = PARENT.split("import threading")[0] + "print(*pids, flush=True)"
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, cwd=root
    )
    assert done.returncode == 0 and done.stderr == ""
    assert gone_within([int(pid) for pid in done.stdout.split()], 2)


def in_fork(pool, results):
    results.put((count(pool), pool.workers()))


def test_a_forked_process_starts_workers_of_its_own(pool):
    assert count(pool) == ((2,),)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    child = fork.Process(target=in_fork, args=(pool, results))
    child.start()
    rows, pids = results.get(timeout=20)
    child.join(10)
    assert rows == ((2,),) and not set(pids) & set(pool.workers())
    assert count(pool) == ((2,),)


def test_a_worker_loads_no_package_from_outside_the_standard_library():
    program = (
        "import sys; before = set(sys.modules); import agentloop.environments.sql.worker; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True
    )
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) == {"agentloop"}


def test_a_worker_knows_no_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sentinel-4711")
    worker = WorkerProcess()
    try:
        environ = Path(f"/proc/{worker.process.pid}/environ")
        if not environ.exists():
            pytest.skip("the environment of a process can only be read on Linux")
        assert b"sentinel" not in environ.read_bytes()
    finally:
        worker.end()


def test_a_worker_that_cannot_start_says_why():
    with pytest.raises(EnvironmentFailed, match="no_such_module"):
        WorkerProcess("no_such_module:main")


def test_blobs_and_text_that_is_not_unicode_come_through(tmp_path, pool):
    path = tmp_path / "odd.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a, b)")
        connection.execute("INSERT INTO t VALUES (x'00ff', CAST(x'61ff62' AS TEXT))")
        connection.commit()
    answer = pool.query({"database": str(path), "query": "SELECT a, b FROM t", **_bounds()}, seconds=5)
    assert answer.rows == ((b"\x00\xff", "a\\xffb"),)


def test_whole_numbers_and_fractions_come_through_exactly(pool):
    query = "SELECT 9223372036854775807, -9223372036854775808, 0.1, 1e308 * 10, NULL, 'a\u00e9\u4e2d'"
    assert pool.query(request(query), seconds=5).rows == (
        (2**63 - 1, -(2**63), 0.1, float("inf"), None, "a\u00e9\u4e2d"),
    )


def test_a_result_of_many_bytes_is_cut_and_counted(pool):
    rows = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r LIMIT 50)"
    query = f"{rows} SELECT printf('%.90000d', n) FROM r"
    answer = pool.query(request(query), seconds=5)
    assert len(answer.rows) == 1
    assert answer.more == 49


def test_what_a_script_builds_cannot_be_changed_by_a_query(pool):
    assert pool.query(request("DELETE FROM t"), seconds=5).error["kind"] == "not_allowed"
    assert count(pool) == ((2,),)


@pytest.mark.parametrize(
    "script",
    ["ATTACH DATABASE '{}/x.sqlite' AS x", "VACUUM INTO '{}/x.sqlite'", "SELECT load_extension('x')"],
)
def test_a_script_reaches_no_file(script, tmp_path, pool):
    answer = pool.query({"script": script.format(tmp_path), "query": "SELECT 1", **_bounds()}, seconds=5)
    assert answer.error is not None
    assert list(tmp_path.iterdir()) == []


def test_a_dump_with_pragmas_and_a_transaction_builds_a_database(pool):
    script = (
        "PRAGMA foreign_keys=OFF; BEGIN TRANSACTION; CREATE TABLE t(id); INSERT INTO t VALUES (1); COMMIT;"
    )
    answer = pool.query({"script": script, "query": "SELECT count(*) FROM t", **_bounds()}, seconds=5)
    assert answer.rows == ((1,),)
