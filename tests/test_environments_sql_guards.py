"""The hostile statements, each judged by what is left behind: files, the database, the answer, the time."""

import asyncio
import hashlib
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.environments.sql.guards import HEAP_BYTES, open_file
from agentloop.types import Task

LIMIT_SECONDS = 0.5
SECRET = "hush-4711-sentinel"
MEMORY_BYTES = 4 * HEAP_BYTES
TASK = Task(id="rows", prompt="How many rows has t?", hidden={"query": "SELECT count(*) FROM t"})


def spelled(statement, folder):
    """The statement in full: a part given as [text, times] is repeated."""
    parts = [statement] if isinstance(statement, str) else statement
    text = "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)
    return text.replace("DIR", str(folder))


def hostile_statements():
    lines = (Path(__file__).parent / "data" / "hostile_sql.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["name"]: row["statement"] for row in map(json.loads, lines)}


HOSTILE = hostile_statements()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A database with a table to protect and a secret, and a folder that must stay empty."""
    path = tmp_path_factory.mktemp("hostile") / "t.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(id integer primary key, name text, v real)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?)", [(n, f"name {n}", n / 7) for n in range(2000)]
        )
        connection.execute("CREATE TABLE secret(k text)")
        connection.execute("INSERT INTO secret VALUES (?)", (SECRET,))
        connection.commit()
    return path, tmp_path_factory.mktemp("DIR")


@pytest.fixture(scope="module")
def environment(place):
    made = SQLEnvironment(place[0], timeout_seconds=LIMIT_SECONDS, tables=["t"], workers=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def writing(place):
    made = SQLEnvironment(place[0], writes=True, timeout_seconds=LIMIT_SECONDS, tables=["t"], workers=1)
    yield made
    made.close()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def peak_memory(environment):
    """The most memory that the running workers ever held; the system bounds those that were killed."""
    peaks = [0]
    for pid in environment.pool.workers():
        status = Path(f"/proc/{pid}/status")
        if status.exists():
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            peaks.append(int(lines["VmHWM"].split()[0]) * 1024)
    return max(peaks)


async def answers(environment, statement):
    """The step that the statement brings, the seconds it took, and the steps after it."""
    session = environment(TASK)
    await session.prompt()
    await session.step("SELECT 1")  # a worker that was killed before is started before the clock
    began = time.perf_counter()
    step = await session.step(f"```sql\n{statement}\n```")
    seconds = time.perf_counter() - began
    after = await session.step("SELECT count(*) FROM t")
    facts = await session.final()
    await session.close()
    return step, seconds, after, facts


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_statement_is_stopped_and_the_next_one_is_answered(name, place, environment):
    path, folder = place
    before, beside = digest(path), sorted(path.parent.iterdir())
    step, seconds, after, facts = asyncio.run(answers(environment, spelled(HOSTILE[name], folder)))
    assert list(folder.iterdir()) == []
    assert digest(path) == before
    assert sorted(path.parent.iterdir()) == beside
    told = step.observation + json.dumps([fact.data for fact in step.facts if fact.kind != "query"])
    assert SECRET not in told
    assert str(path) not in told
    assert seconds < LIMIT_SECONDS + 1
    assert peak_memory(environment) < MEMORY_BYTES
    assert after.observation == "2000"
    assert [fact.data["match"] for fact in facts] == [True]


CHANGES = ("drop", "delete", "insert", "update_ret")


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in CHANGES])
def test_a_hostile_statement_is_stopped_on_a_private_copy_too(name, place, writing):
    path, folder = place
    before, beside = digest(path), sorted(path.parent.iterdir())
    step, seconds, after, _ = asyncio.run(answers(writing, spelled(HOSTILE[name], folder)))
    assert list(folder.iterdir()) == []
    assert digest(path) == before
    assert sorted(path.parent.iterdir()) == beside
    assert SECRET not in step.observation
    assert seconds < LIMIT_SECONDS + 1
    assert peak_memory(writing) < MEMORY_BYTES
    assert after.observation == "2000"


REFUSED = [
    name
    for name in HOSTILE
    if name.startswith(
        ("attach", "pragma", "temp_", "load", "edit", "write", "drop", "delete", "insert", "update")
    )
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_allowed_is_an_error_that_says_so(name, place, environment):
    step, *_ = asyncio.run(answers(environment, spelled(HOSTILE[name], place[1])))
    assert step.observation.startswith("error: ")
    assert [fact.data["kind"] for fact in step.facts if fact.kind == "error"][0] in (
        "not_allowed",
        "missing_function",
    )


def test_the_address_space_of_a_worker_is_bounded(environment):
    asyncio.run(answers(environment, "SELECT 1"))
    limits = Path(f"/proc/{environment.pool.workers()[0]}/limits")
    if not limits.exists():
        pytest.skip("the limits of a process can only be read on Linux")
    line = next(line for line in limits.read_text().splitlines() if line.startswith("Max address space"))
    assert int(line.split()[3]) <= 8 * HEAP_BYTES


def test_a_view_over_a_hidden_table_is_hidden_too(tmp_path):
    path = tmp_path / "views.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE secret(k); INSERT INTO secret VALUES ('hush');"
            "CREATE VIEW v AS SELECT k FROM secret; CREATE VIEW one AS SELECT 1 AS n"
        )
    environment = SQLEnvironment(path, tables=["v", "one"])
    task = Task(id="view", prompt="Read the view.")

    async def look():
        session = environment(task)
        return [(await session.step(query)).observation for query in ("SELECT * FROM v", "SELECT n FROM one")]

    try:
        assert asyncio.run(look()) == ["error: not allowed: secret may not be read", "1"]
    finally:
        environment.close()


def test_reading_a_database_in_wal_mode_leaves_no_file_beside_it(tmp_path):
    path = tmp_path / "wal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript("CREATE TABLE t(id); INSERT INTO t VALUES (1)")
    assert list(tmp_path.iterdir()) == [path]
    with closing(open_file(str(path))) as connection:
        assert connection.execute("SELECT id FROM t").fetchall() == [(1,)]
        assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_has_just_written_in_wal_mode_is_read(tmp_path):
    path = tmp_path / "wal.sqlite"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(id)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        with closing(open_file(str(path))) as connection:
            assert connection.execute("SELECT id FROM t").fetchall() == [(1,)]


def test_a_path_with_marks_of_an_address_in_it_is_opened_as_a_path(tmp_path):
    path = tmp_path / "a b?mode=rwc&x#1%20.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t(id); INSERT INTO t VALUES (7)")
    with closing(open_file(str(path))) as connection:
        assert connection.execute("SELECT id FROM t").fetchall() == [(7,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM t")
