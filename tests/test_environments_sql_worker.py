"""The worker's program spoken to directly, without its pipes."""

import sqlite3
from contextlib import closing

import pytest

from agentloop.environments.sql.worker import KEPT_SCRIPTS, Worker, open_script

BOUNDS = {"rows": 10, "bytes": 10_000, "seconds": 5.0}


@pytest.fixture
def files(tmp_path):
    def make(name, script):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(script)
        return str(tmp_path / name)

    return make


def test_a_query_is_answered_with_columns_and_rows(files):
    path = files("a.sqlite", "CREATE TABLE t(id); INSERT INTO t VALUES (1)")
    answer = Worker().answer({"op": "query", "database": path, "query": "SELECT id FROM t", **BOUNDS})
    assert (answer["columns"], answer["rows"], answer["more"]) == (["id"], [(1,)], 0)


def test_a_file_that_is_gone_is_an_error_of_the_answer(tmp_path):
    answer = Worker().answer(
        {"op": "query", "database": str(tmp_path / "gone.sqlite"), "query": "SELECT 1", **BOUNDS}
    )
    assert answer["error"]["kind"] == "unreadable"
    assert "gone.sqlite" in answer["error"]["message"]


@pytest.mark.parametrize("query", ["SELECT '\x00'", "SELECT '\ud800'"], ids=["nul", "surrogate"])
def test_characters_that_sql_cannot_hold_are_an_error_of_the_answer(query, files):
    path = files("a.sqlite", "CREATE TABLE t(id)")
    answer = Worker().answer({"op": "query", "database": path, "query": query, **BOUNDS})
    assert answer.get("error") or answer["rows"]


def test_a_script_is_built_once_and_only_the_latest_are_kept():
    worker = Worker()
    scripts = [f"CREATE TABLE t{number}(id)" for number in range(KEPT_SCRIPTS + 5)]
    first = worker.built(scripts[0], 5.0)
    assert worker.built(scripts[0], 5.0) is first
    for script in scripts[1:]:
        worker.built(script, 5.0)
    assert worker.built(scripts[0], 5.0) is not first


def test_a_script_without_end_is_interrupted():
    endless = (
        "CREATE TABLE t AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT max(n) FROM r"
    )
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        open_script(endless, seconds=0.2)


def test_the_schema_lists_tables_and_views_with_their_columns(files):
    path = files("a.sqlite", 'CREATE TABLE "a b"(x, "y z"); CREATE VIEW v AS SELECT x AS w FROM "a b"')
    answer = Worker().answer({"op": "schema", "database": path, "seconds": 5.0})
    assert [table[:2] for table in answer["tables"]] == [["a b", ["x", "y z"]], ["v", ["w"]]]


def test_a_view_over_a_table_that_is_gone_does_not_hide_the_others(files):
    path = files(
        "a.sqlite", "CREATE TABLE a(x); CREATE TABLE b(y); CREATE VIEW v AS SELECT x FROM a; DROP TABLE a"
    )
    answer = Worker().answer({"op": "schema", "database": path, "seconds": 5.0})
    assert [table[0] for table in answer["tables"]] == ["b", "v"]


def test_the_difference_of_two_files_holds_only_tables_that_differ(files):
    here = files(
        "here.sqlite", "CREATE TABLE a(x, y); INSERT INTO a VALUES (1, 2), (1, 2); CREATE TABLE b(z)"
    )
    there = files(
        "there.sqlite",
        "CREATE TABLE a(y, x); INSERT INTO a VALUES (2, 1); CREATE TABLE b(z); CREATE TABLE c(w)",
    )
    answer = Worker().answer({"op": "difference", "database": here, "wanted": there})
    assert answer["tables"] == [["a", [[1, 2]], []], ["c", None, [["w"]]]]


def test_a_copy_holds_what_the_file_holds(files, tmp_path):
    path = files("a.sqlite", "CREATE TABLE t(id); INSERT INTO t VALUES (1)")
    copy = str(tmp_path / "copy.sqlite")
    request = {"op": "copy", "database": path, "target": copy, "folder": str(tmp_path), "seconds": 5.0}
    assert Worker().answer(request) == {}
    assert Worker().answer({"op": "difference", "database": path, "wanted": copy}) == {"tables": []}
