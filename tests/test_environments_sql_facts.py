"""What a step tells a critic: the error's place, missing names with the nearest, counts."""

import asyncio

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.environments.sql.databases import Table
from agentloop.environments.sql.facts import nearest
from agentloop.environments.sql.mistakes import line_and_column, position
from agentloop.types import Task

SCRIPT = """
CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, town TEXT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER, total REAL);
INSERT INTO customers VALUES (1, 'Ann', 'Rome'), (2, 'Bob', 'Oslo');
"""
TASK = Task(id="t", prompt="?", public={"script": SCRIPT})


@pytest.fixture(scope="module")
def environment():
    made = SQLEnvironment(workers=1, max_rows=5)
    yield made
    made.close()


@pytest.fixture
def facts(environment):
    def of(query):
        async def make():
            session = environment(TASK)
            step = await session.step(query)
            await session.close()
            return {fact.kind: fact.data for fact in step.facts if not fact.hidden}

        return asyncio.run(make())

    return of


def test_a_result_is_told_by_its_size_and_names(facts):
    assert facts("SELECT id, name AS who FROM customers") == {
        "query": {"sql": "SELECT id, name AS who FROM customers"},
        "rows": {"rows": 2, "columns": 2, "names": ["id", "who"]},
    }


def test_a_cut_result_is_told_with_the_number_of_rows_left_out(facts):
    found = facts("SELECT a.id FROM customers a, customers b, customers c")
    assert (found["rows"]["rows"], found["rows"]["cut"]) == (8, 3)


@pytest.mark.parametrize(
    ("query", "kind", "at", "line", "column"),
    [
        ("SELECT nam FROM customers", "missing_column", "nam", 1, 8),
        ("SELECT id,\n  'nam',\n  nam FROM customers", "missing_column", "nam", 3, 3),
        ("SELECT c.nam FROM customers c", "missing_column", "c.nam", 1, 8),
        ('SELECT "c" . "nam" FROM customers c', "missing_column", '"c" . "nam"', 1, 8),
        ("SELECT * FROM customer", "missing_table", "customer", 1, 15),
        ("SELECT 'customer', * FROM \"customer\"", "missing_table", '"customer"', 1, 27),
        ("SELECT id FROM customers, orders", "ambiguous_column", "id", 1, 8),
        ("SELECT median(total) FROM orders", "missing_function", "median", 1, 8),
        ("SELECT substr(name) FROM customers", "arguments", "substr", 1, 8),
        ("SELECT id FROM customers WHERE count(*) > 1", "aggregate", "count", 1, 32),
        ("SELECT id FROM FROM customers", "syntax", "FROM", 1, 16),
        ("SELECT id FROM customers WHERE id IN (1, 2 AND name = 'x'", "syntax", "", 1, 58),
        ("SELECT name FROM customers WHERE name = 'Ann", "syntax", "'Ann", 1, 41),
        ("SELECT id id id FROM customers", "syntax", "id", 1, 14),
    ],
)
def test_an_error_is_told_with_its_kind_and_place(query, kind, at, line, column, facts):
    error = facts(query)["error"]
    assert error["kind"] == kind
    assert query[error["start"] : error["end"]] == at
    assert (error["line"], error["column"]) == (line, column)


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("SELECT * FROM costumers", {"what": "table", "name": "costumers", "near": ["customers"]}),
        ("SELECT * FROM invoices", {"what": "table", "name": "invoices", "near": []}),
        (
            "SELECT nam FROM customers",
            {"what": "column", "name": "nam", "near": ["name"], "found_in": []},
        ),
        (
            "SELECT c.total FROM customers AS c",
            {"what": "column", "name": "total", "near": [], "found_in": ["orders"], "table": "customers"},
        ),
        (
            "SELECT o.totl FROM orders o JOIN customers c ON c.id = o.customer_id",
            {"what": "column", "name": "totl", "near": ["total"], "found_in": [], "table": "orders"},
        ),
        (
            "SELECT x.name FROM customers c",
            {"what": "column", "name": "name", "near": ["name"], "found_in": ["customers"], "qualifier": "x"},
        ),
    ],
)
def test_a_missing_name_is_told_with_the_nearest_that_is_there(query, missing, facts):
    assert facts(query)["missing_name"] == missing


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("DELETE FROM customers", "not_allowed"),
        ("SELECT name FROM sqlite_master", "not_allowed"),
        ("SELECT 1; SELECT 2", "several_statements"),
        ("SELECT zeroblob(2000000)", "too_large"),
        ("SELECT '" + "x" * 200_000 + "'", "too_large"),
        ("SELECT " + "(" * 1000 + "1" + ")" * 1000, "too_large"),
        ("", "empty"),
    ],
)
def test_a_refusal_is_told_by_its_kind(query, kind, facts):
    assert facts(query)["error"]["kind"] == kind


def test_a_statement_too_long_to_keep_is_not_repeated_in_the_facts(facts):
    assert "query" not in facts("SELECT '" + "x" * 200_000 + "'")


def test_a_message_is_kept_short(facts):
    assert len(facts("SELECT " + "x" * 50_000 + " FROM customers")["error"]["message"]) < 400


@pytest.mark.parametrize(
    ("name", "near"),
    [("NAME", ["name"]), ("nme", ["name"]), ("customer_name", ["name"]), ("zzz", []), ("", [])],
)
def test_the_nearest_name(name, near):
    assert nearest(name, ["id", "name", "town"]) == near


def test_names_are_not_sought_in_strings_and_comments():
    query = "SELECT 'nam' /* nam */ -- nam\n, [nam] FROM t"
    start, end = position(query, "nam")
    assert query[start:end] == "[nam]"
    assert position("SELECT 'nam'", "nam") is None


def test_lines_and_columns_count_from_one():
    assert line_and_column("a\nbc", 0) == (1, 1)
    assert line_and_column("a\nbc", 3) == (2, 2)


def test_a_table_is_a_plain_record_of_its_names():
    assert Table("t", ("a",), "CREATE TABLE t(a)").columns == ("a",)
