"""Attempts that write: judged by the tables they leave, on the tasks of AgentBench and on forgeries."""

import asyncio
import json

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.errors import BadInput
from agentloop.types import Task

STOCK = """
CREATE TABLE stock(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, amount REAL);
INSERT INTO stock(name, amount) VALUES ('nail', 10), ('screw', 20), ('screw', 20);
CREATE TABLE log(line TEXT);
"""
GOLD = "UPDATE stock SET amount = amount * 1.1 WHERE name = 'screw'"


@pytest.fixture(scope="module")
def environment():
    made = SQLEnvironment(writes=True, workers=2)
    yield made
    made.close()


def judged(environment, *actions, hidden=None, script=STOCK):
    task = Task(id="w", prompt="Write.", public={"script": script}, hidden=hidden or {"query": GOLD})

    async def make():
        session = environment(task)
        try:
            for action in actions:
                await session.step(action)
            facts = await session.final()
            return facts[0].data if facts else None
        finally:
            await session.close()

    return asyncio.run(make())


@pytest.mark.parametrize(
    "action",
    [
        GOLD,
        "UPDATE stock SET amount = 22 WHERE name = 'screw'",
        "UPDATE stock SET amount = amount + 2 WHERE id > 1",
        "REPLACE INTO stock VALUES (3, 'screw', 22.0), (2, 'screw', 22.0)",
    ],
)
def test_another_way_to_the_same_state_is_right(action, environment):
    assert judged(environment, action) == {"match": True}


@pytest.mark.parametrize(
    "action",
    [
        "SELECT 1",
        "UPDATE stock SET amount = 22 WHERE id = 2",
        "UPDATE stock SET amount = 22",
        "UPDATE stock SET amount = '22' WHERE name = 'screw'; DELETE FROM log",
        "DELETE FROM stock",
        "DROP TABLE stock",
        "ALTER TABLE stock RENAME TO goods",
        "CREATE TEMP TABLE stock AS SELECT * FROM main.stock",
        "ATTACH DATABASE ':memory:' AS x",
        "BEGIN",
    ],
)
def test_another_state_is_wrong(action, environment):
    assert judged(environment, action)["match"] is False


@pytest.mark.parametrize("action", ["CREATE TABLE more(x)", "DROP TABLE log", "ALTER TABLE log ADD COLUMN x"])
def test_the_right_rows_beside_another_table_are_wrong(action, environment):
    data = judged(environment, GOLD, action)
    assert data["match"] is False
    assert data["reason"] == "end state"


def test_what_differs_is_told_a_table(environment):
    data = judged(environment, "UPDATE stock SET amount = 22 WHERE id = 2", "INSERT INTO log VALUES ('done')")
    assert data["tables"] == [
        {
            "table": "log",
            "reason": "rows",
            "extra": 1,
            "missing": 0,
            "extra_rows": [["done"]],
            "missing_rows": [],
        },
        {
            "table": "stock",
            "reason": "rows",
            "extra": 1,
            "missing": 1,
            "extra_rows": [[3, "screw", 20.0]],
            "missing_rows": [[3, "screw", 22.0]],
        },
    ]


def test_several_accepted_statements_are_run_in_turn(environment):
    golds = ["DELETE FROM stock", "INSERT INTO log VALUES ('empty')"]
    assert judged(environment, *reversed(golds), hidden={"query": golds})["match"] is True
    assert judged(environment, golds[0], hidden={"query": golds})["match"] is False


def test_a_question_is_judged_by_its_rows_and_nothing_may_be_changed(environment):
    question = {"query": "SELECT count(*) FROM stock"}
    assert judged(environment, "SELECT 3", hidden=question)["match"] is True
    assert judged(environment, "SELECT 4", hidden=question)["match"] is False
    assert judged(environment, hidden=question)["match"] is False
    assert judged(environment, "DELETE FROM log WHERE 0", hidden=question)["match"] is False
    assert judged(environment, "INSERT INTO log VALUES ('x')", "SELECT 3", hidden=question)["match"] is False
    assert judged(environment, "SELECT count(*) FROM stock", hidden={"rows": "3"})["match"] is True


def test_a_task_without_accepted_statements_is_not_judged(environment):
    assert judged(environment, GOLD, hidden={"note": "none"}) is None


def test_an_accepted_statement_that_fails_is_the_callers_mistake(environment):
    with pytest.raises(BadInput, match="no such table: gone"):
        judged(environment, GOLD, hidden={"query": "DELETE FROM gone"})


def dbbench(folder):
    for line in (folder / "dev-dml.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(value):
    return "'" + str(value).replace("'", "''") + "'"


def script_of(row):
    """The table that a row of dbbench brings, as a script; all columns hold text."""
    table, info = quoted(row["table"]["table_name"]), row["table"]["table_info"]
    columns = ", ".join(f"{quoted(column['name'])} TEXT" for column in info["columns"])
    rows = ", ".join("(" + ", ".join(map(literal, each)) + ")" for each in info["rows"])
    return f"CREATE TABLE {table}({columns}); INSERT INTO {table} VALUES {rows};"


@pytest.mark.data
def test_the_reference_statements_of_dbbench_are_right_and_doing_nothing_or_too_much_is_wrong(
    data, environment
):
    count = 0
    for row in dbbench(data / "dbbench"):
        gold, script = row["label"][0], script_of(row)
        table = quoted(row["table"]["table_name"])
        hidden = {"query": gold}
        assert judged(environment, gold, hidden=hidden, script=script)["match"] is True, gold
        assert judged(environment, hidden=hidden, script=script)["match"] is False, gold
        assert (
            judged(environment, gold, f"DELETE FROM {table}", hidden=hidden, script=script)["match"] is False
        )
        if row["type"] == ["INSERT"]:
            assert judged(environment, gold, gold, hidden=hidden, script=script)["match"] is False, gold
        count += 1
    assert count == 20
