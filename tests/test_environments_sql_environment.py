"""The environment as an agent's loop uses it: prompt, steps, end state, close."""

import asyncio
import gc
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.environments.sql import result_match, same_result
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Attempt, Task

SHOP = """
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
INSERT INTO users VALUES (1, 'Ann', 'Rome'), (2, 'Bob', 'Oslo');
CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER, total REAL);
INSERT INTO orders VALUES (1, 1, 9.5), (2, 1, NULL);
CREATE VIEW romans AS SELECT name FROM users WHERE city = 'Rome';
"""
COUNT = Task(id="count", prompt="How many users are there?", hidden={"query": "SELECT count(*) FROM users"})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SHOP)
    return path


@pytest.fixture(scope="module")
def environment(shop):
    made = SQLEnvironment(shop, workers=2)
    yield made
    made.close()


def attempt(environment, *actions, task=COUNT):
    """What the agent is shown, the steps and the end's facts of one attempt."""

    async def make():
        session = environment(task)
        try:
            prompt = await session.prompt()
            steps = [await session.step(action) for action in actions]
            return prompt, steps, await session.final()
        finally:
            await session.close()

    return asyncio.run(make())


def test_the_prompt_is_the_schema_a_line_a_table_and_the_task(environment):
    prompt, _, _ = attempt(environment)
    assert prompt == (
        "users(id, name, city)\norders(id, user_id, total)\nromans(name)\nHow many users are there?"
    )


def test_the_prompt_may_show_the_create_statements_or_no_schema(shop):
    full, bare = SQLEnvironment(shop, schema="full"), SQLEnvironment(shop, schema="none")
    try:
        told, _, _ = attempt(full)
        assert told.startswith(
            "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, city TEXT);\nCREATE TABLE"
        )
        assert attempt(bare)[0] == COUNT.prompt
    finally:
        full.close()
        bare.close()


def test_a_result_of_one_cell_is_shown_as_its_value(environment):
    _, (step,), (fact,) = attempt(environment, "SELECT count(*) FROM users")
    assert step.observation == "2"
    assert not step.done
    assert (fact.kind, fact.hidden, fact.data["match"]) == ("result_match", True, True)


def test_rows_are_shown_a_line_each(environment):
    _, steps, _ = attempt(
        environment, "SELECT * FROM orders", "SELECT name FROM users", "SELECT 1 FROM users WHERE 0"
    )
    assert [step.observation for step in steps] == ["1 | 1 | 9.5\n2 | 1 | NULL", "Ann\nBob", "(no rows)"]


def test_the_last_query_is_the_answer(environment):
    assert attempt(environment, "SELECT count(*) FROM users", "SELECT 3")[2][0].data["match"] is False
    assert attempt(environment, "SELECT 3", "SELECT count(*) FROM users")[2][0].data["match"] is True


def test_a_line_final_ends_the_attempt(environment):
    _, steps, _ = attempt(environment, "SELECT 1", "```sql\n-- final\nSELECT count(*) FROM users\n```")
    assert [step.done for step in steps] == [False, True]
    assert steps[1].observation == "2"


def test_a_reply_without_sql_is_an_error_the_agent_can_read(environment):
    _, steps, _ = attempt(environment, "", "```sql\n```", "I do not know.")
    assert [step.observation for step in steps] == [
        "error: there is no SQL statement in this reply",
        "error: there is no SQL statement in this reply",
        'error: near "I": syntax error',
    ]


def test_what_is_shown_is_cut_but_what_is_graded_is_not(shop):
    task = Task(id="all", prompt="All ids.", hidden={"query": "SELECT id FROM users UNION ALL SELECT 3"})
    environment = SQLEnvironment(shop, max_rows=1)
    try:
        _, (step,), (fact,) = attempt(environment, "SELECT id FROM users UNION ALL SELECT 3", task=task)
        assert step.observation == "1\n(2 more rows)"
        assert fact.data["match"] is True
    finally:
        environment.close()


def test_a_database_is_found_in_a_folder_by_the_tasks_name_for_it(shop):
    environment = SQLEnvironment(shop.parent)
    try:
        for name in ("shop.sqlite", "shop", str(shop)):
            task = COUNT.replace(public={"database": name})
            assert attempt(environment, "SELECT count(*) FROM users", task=task)[2][0].data["match"]
    finally:
        environment.close()


def test_a_task_may_bring_its_database_as_a_script():
    task = COUNT.replace(public={"script": "CREATE TABLE users(id); INSERT INTO users VALUES (1), (2), (3)"})
    environment = SQLEnvironment()
    try:
        prompt, (step,), (fact,) = attempt(environment, "SELECT count(*) FROM users", task=task)
        assert prompt.startswith("users(id)\n")
        assert step.observation == "3"
        assert fact.data["match"]
    finally:
        environment.close()


def test_a_missing_database_is_named(tmp_path):
    with pytest.raises(BadInput, match="nowhere.sqlite"):
        SQLEnvironment(tmp_path / "nowhere.sqlite")


@pytest.mark.parametrize(
    ("public", "message"),
    [
        ({}, "names no database"),
        ({"database": "nowhere.sqlite"}, "nowhere.sqlite"),
        ({"database": "../shop.sqlite"}, "leads out"),
        ({"script": 5}, "public.script"),
    ],
)
def test_a_task_whose_database_cannot_be_found_is_the_callers_mistake(public, message, shop):
    environment = SQLEnvironment(shop.parent)
    with pytest.raises(BadInput, match=message):
        environment(COUNT.replace(public=public))


def test_a_script_that_fails_is_the_callers_mistake():
    environment = SQLEnvironment()
    try:
        with pytest.raises(BadInput, match="no such table: b"):
            attempt(
                environment,
                task=COUNT.replace(public={"script": "CREATE TABLE a(x); INSERT INTO b VALUES (1)"}),
            )
    finally:
        environment.close()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"schema": "all"}, "schema must be one of names, full, none"),
        ({"columns": "some"}, "columns must be"),
        ({"timeout_seconds": 0}, "timeout_seconds must be more than 0"),
        ({"max_rows": 0}, "max_rows must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"tables": "users"}, "list of names"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(setting, message):
    with pytest.raises(BadInput, match=message):
        SQLEnvironment(**setting)


def test_a_table_that_does_not_exist_cannot_be_allowed(shop):
    environment = SQLEnvironment(shop, tables=["users", "user"])
    try:
        with pytest.raises(BadInput, match="no table .'user'. in the database"):
            attempt(environment)
    finally:
        environment.close()


def test_only_allowed_tables_are_told_and_read(shop):
    environment = SQLEnvironment(shop, tables=["Users"])
    try:
        prompt, steps, _ = attempt(environment, "SELECT count(*) FROM orders", "SELECT count(*) FROM users")
        assert prompt == "users(id, name, city)\nHow many users are there?"
        assert [step.observation for step in steps] == ["error: not allowed: orders may not be read", "2"]
    finally:
        environment.close()


def test_a_statement_that_takes_too_long_is_ended_and_told(shop):
    environment = SQLEnvironment(shop, timeout_seconds=0.3)
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT max(n) FROM r"
    try:
        began = time.monotonic()
        _, (step,), (fact,) = attempt(environment, endless)
        assert step.observation == "error: stopped after 0.3 seconds"
        assert {fact.kind for fact in step.facts} == {"query", "error", "timeout"}
        assert fact.data["match"] is False
        assert time.monotonic() - began < 10
    finally:
        environment.close()


def test_an_accepted_query_that_fails_is_the_callers_mistake(environment):
    with pytest.raises(BadInput, match="no such column: nam"):
        attempt(environment, "SELECT 1", task=COUNT.replace(hidden={"query": "SELECT nam FROM users"}))


def test_the_grader_reads_what_final_left(environment):
    _, steps, facts = attempt(environment, "SELECT count(*) FROM users")
    made = Attempt(id="a", trajectory="t", task=COUNT, number=1, steps=tuple(steps), facts=tuple(facts))
    assert result_match(made) == 1.0


def test_hundreds_of_attempts_share_a_few_workers(shop):
    environment = SQLEnvironment(shop, workers=2)

    async def one(number):
        session = environment(COUNT)
        await session.prompt()
        step = await session.step(f"SELECT {number}, count(*) FROM users")
        await session.final()
        await session.close()
        return step.observation

    async def all_of_them():
        return await asyncio.gather(*(one(number) for number in range(300)))

    try:
        assert asyncio.run(all_of_them()) == [f"{number} | 2" for number in range(300)]
        assert len(environment.pool.workers()) <= 2
    finally:
        environment.close()


def test_a_closed_environment_has_no_workers_and_says_that_it_is_closed(shop):
    environment = SQLEnvironment(shop)
    attempt(environment, "SELECT 1")
    assert environment.pool.workers()
    environment.close()
    assert environment.pool.workers() == ()
    with pytest.raises(EnvironmentFailed, match="closed"):
        attempt(environment, "SELECT 1")


def test_a_locked_database_is_no_fault_of_the_attempt_and_the_lock_is_kept(tmp_path):
    path = tmp_path / "locked.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.executescript(SHOP)
        environment = SQLEnvironment(path)
        try:
            holder.execute("BEGIN EXCLUSIVE")
            with pytest.raises(EnvironmentFailed, match="locked"):
                attempt_without_schema(environment)
            holder.execute("COMMIT")
            assert attempt_without_schema(environment).observation == "2"
            assert same_result(path, "SELECT 2", "SELECT count(*) FROM users")
        finally:
            environment.close()


def attempt_without_schema(environment):
    async def make():
        return await environment(COUNT).step("SELECT count(*) FROM users")

    return asyncio.run(make())


def test_the_same_statement_is_shown_the_same_each_time(environment):
    seen = {attempt(environment, "SELECT * FROM users")[1][0].observation for _ in range(3)}
    assert len(seen) == 1


WRITE = Task(
    id="write",
    prompt="Move Bob to Rome.",
    hidden={"query": "UPDATE users SET city = 'Rome' WHERE name = 'Bob'"},
)


@pytest.fixture
def writing(shop):
    made = SQLEnvironment(shop, writes=True, workers=2)
    yield made
    made.close()


def test_a_session_that_writes_works_on_a_copy_and_is_judged_by_the_state_it_leaves(writing, shop):
    before = shop.read_bytes()
    _, (step, look), (fact,) = attempt(
        writing, "UPDATE users SET city = 'Rome' WHERE id = 2", "SELECT city FROM users", task=WRITE
    )
    assert step.observation == "(1 row changed)"
    assert look.observation == "Rome\nRome"
    assert fact.data == {"match": True}
    assert shop.read_bytes() == before


def test_sessions_that_write_do_not_see_each_other(writing):
    async def side_by_side():
        one, other = writing(WRITE), writing(WRITE)
        await one.step("DELETE FROM users")
        seen = [(await each.step("SELECT count(*) FROM users")).observation for each in (one, other)]
        await one.close()
        await other.close()
        return seen

    assert asyncio.run(side_by_side()) == ["0", "2"]


def test_a_copy_outlives_a_worker_that_had_to_be_killed(shop):
    environment = SQLEnvironment(shop, writes=True, timeout_seconds=0.3, workers=1)
    try:
        _, steps, (fact,) = attempt(
            environment,
            "UPDATE users SET city = 'Rome' WHERE id = 2",
            "UPDATE users SET city = instr(printf('%.990000d', 0), printf('%.490000d1', 0))",
            "SELECT city FROM users",
            task=WRITE,
        )
        assert steps[1].observation == "error: stopped after 0.3 seconds"
        assert steps[2].observation == "Rome\nRome"
        assert fact.data["match"] is True
    finally:
        environment.close()


def test_copies_are_gone_with_their_session_and_the_folder_with_the_environment(writing):
    async def leave():
        session = writing(WRITE)
        await session.step("DELETE FROM users")
        folder = writing.folder()
        held = list(folder.iterdir())
        await session.final()
        await session.close()
        return folder, held

    folder, held = asyncio.run(leave())
    assert len(held) == 1
    assert list(folder.iterdir()) == []
    writing.close()
    assert not folder.exists()


def test_a_forgotten_environment_takes_its_workers_and_copies_along(shop):
    environment = SQLEnvironment(shop, writes=True)
    attempt(environment, "DELETE FROM users", task=WRITE)
    folder, pids = environment.folder(), environment.pool.workers()
    del environment
    gc.collect()
    assert not folder.exists()
    deadline = time.monotonic() + 3
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_an_environment_works_from_another_folder_than_it_was_made_in(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(shop.parent)
    environment = SQLEnvironment("shop.sqlite")
    monkeypatch.chdir(tmp_path)
    try:
        assert attempt(environment, "SELECT count(*) FROM users")[1][0].observation == "2"
        assert list(tmp_path.iterdir()) == []
    finally:
        environment.close()
