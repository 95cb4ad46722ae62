"""Grading by results: labelled pairs for the traps of the published comparators, forgeries, real queries."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentloop.environments.sql import result_match, same_result
from agentloop.environments.sql.databases import Database, of_file
from agentloop.environments.sql.grading import Judge, shared_pool
from agentloop.errors import BadInput
from agentloop.types import Attempt, Fact, Task

PEOPLE = """
CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER, height REAL);
INSERT INTO people VALUES
  (1, 'Ann', 'Rome', 30, 1.71), (2, 'Bob', 'Oslo', 41, 1.8), (3, 'ann', 'Rome', 30, 1.65),
  (4, 'Cid', NULL, NULL, 1.9), (5, 'Dee', 'Bonn', 25, 1.71), (6, 'Eve', 'Oslo', 41, NULL);
CREATE TABLE orders(id INTEGER PRIMARY KEY, person_id INTEGER, amount REAL, note TEXT);
INSERT INTO orders VALUES (1, 1, 0.1, 'first'), (2, 1, 0.2, 'second'), (3, 2, 0.7, 'sort with order by here'),
  (4, 5, 123456.789, 'big'), (5, 6, 1e-3, 'small');
CREATE TABLE blank(x, y);
"""
PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "sql_pairs.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "people.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(PEOPLE)
    return path


def test_there_are_at_least_sixty_pairs_and_every_trap_has_both_kinds():
    assert len(PAIRS) >= 60
    traps = {pair["trap"] for pair in PAIRS}
    assert len(traps) >= 8
    assert {pair["same"] for pair in PAIRS} == {True, False}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["trap"].replace(" ", "_"))
def test_a_labelled_pair_is_told_rightly(pair, people):
    before = people.read_bytes()
    found = same_result(people, pair["query"], pair["gold"], timeout_seconds=0.5)
    assert found is pair["same"], f"{pair['query']!r} against {pair['gold']!r}"
    assert people.read_bytes() == before


@pytest.mark.parametrize(
    ("query", "gold", "same"),
    [
        ("SELECT city, name FROM people", "SELECT name, city FROM people", True),
        (
            "SELECT age, id, name FROM people ORDER BY id",
            "SELECT id, name, age FROM people ORDER BY id",
            True,
        ),
        ("SELECT age, id FROM people ORDER BY id DESC", "SELECT id, age FROM people ORDER BY id", False),
        ("SELECT name, name FROM people", "SELECT name, city FROM people", False),
        ("SELECT name FROM people", "SELECT name, city FROM people", False),
        ("SELECT height * 1.0000000001, id FROM people", "SELECT id, height FROM people", True),
        (
            "SELECT q.city, p.id FROM people p JOIN people q ON q.id = 7 - p.id",
            "SELECT id, city FROM people",
            False,
        ),
        ("SELECT id, id + 0, age FROM people", "SELECT age, id, id FROM people", True),
    ],
)
def test_columns_any_lets_columns_stand_in_another_order_and_nothing_else(query, gold, same, people):
    assert same_result(people, query, gold, columns="any") is same


def test_one_of_several_accepted_queries_is_enough(people):
    golds = ["SELECT name FROM people WHERE id = 1", "SELECT id FROM people WHERE id = 1"]
    assert same_result(people, "SELECT 1", golds)
    assert not same_result(people, "SELECT 2", golds)


@pytest.mark.parametrize("gold", ["SELECT nam FROM people", "DELETE FROM people", "", "SELECT 1; SELECT 2"])
def test_a_bad_accepted_query_is_the_callers_mistake(gold, people):
    with pytest.raises(BadInput, match="accepted query"):
        same_result(people, "SELECT 1", gold)


def test_a_missing_database_is_named(tmp_path):
    with pytest.raises(BadInput, match="nowhere.sqlite"):
        same_result(tmp_path / "nowhere.sqlite", "SELECT 1", "SELECT 1")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "text.sqlite"
    path.write_text("this is not a database at all")
    with pytest.raises(BadInput, match="not an SQLite database"):
        same_result(path, "SELECT 1", "SELECT 1")


def test_a_query_may_be_held_to_some_tables(people):
    query = "SELECT count(*) FROM orders"
    assert same_result(people, query, query)
    assert not same_result(people, query, query, tables=["people"])


def test_a_gold_that_cannot_be_parsed_is_still_graded_in_order(people):
    gold = "SELECT id FROM people NOT INDEXED ORDER BY +id DESC"
    assert same_result(people, "SELECT id FROM people ORDER BY id DESC", gold)
    assert not same_result(people, "SELECT id FROM people ORDER BY id", gold)


def accepted(folder):
    for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        queries = [query for query in question["query"].split(";") if query.strip()]
        yield folder / f"{question['db_name']}.sqlite", queries


@pytest.mark.data
def test_every_accepted_query_of_sql_defog_runs_and_grades_itself_right(data):
    graded = 0
    for path, queries in accepted(data / "sql-defog"):
        for query in queries:
            assert same_result(path, query, queries), query
            assert same_result(path, query, query), query
            assert same_result(path, query, query, columns="any"), query
            graded += 1
    assert graded == 122


def outside_of_brackets(query):
    """The query without anything in brackets, found another way than the grading finds it."""
    shorter = re.sub(r"\([^()]*\)", "", query)
    return query if shorter == query else outside_of_brackets(shorter)


@pytest.mark.data
def test_no_order_of_an_accepted_query_of_sql_defog_rests_on_a_guess(data):
    judge = Judge(shared_pool())
    unsorted = 0
    for path, queries in accepted(data / "sql-defog"):
        for query in queries:
            wanted = judge.wanted(of_file(path), query)
            unsorted += wanted.blocks is None
            assert wanted.blocks is None or sum(wanted.blocks) == len(wanted.rows)
            assert (wanted.blocks is None) == ("order by" not in outside_of_brackets(query).lower())
    assert 0 < unsorted < 122


FORGERIES = [
    "DELETE FROM {table}",
    "CREATE TEMP TABLE {table} AS SELECT * FROM main.{table} WHERE 0",
    "CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} WHERE 0",
    "DROP TABLE {table}",
    "UPDATE {table} SET rowid = rowid RETURNING *",
    "ALTER TABLE {table} RENAME TO gone",
]


@pytest.mark.data
def test_forgeries_grade_wrong_against_every_accepted_query_of_sql_defog(data):
    for path, queries in accepted(data / "sql-defog"):
        before = path.read_bytes()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            names = [
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
        table = next(name for name in names if name.lower() in queries[0].lower())
        for forgery in FORGERIES:
            assert not same_result(path, forgery.format(table=f'"{table}"'), queries), forgery
        assert path.read_bytes() == before


def graded(hidden, query, script=PEOPLE):
    task = Task(id="t", prompt="?", public={"script": script}, hidden=hidden)
    return Judge(shared_pool()).fact(task, Database(script=script), query, seconds=5.0)


def test_a_wrong_result_is_told_in_counts_and_samples():
    fact = graded({"query": "SELECT id FROM people WHERE id < 4"}, "SELECT id FROM people WHERE id > 2")
    assert fact.hidden
    assert fact.data == {
        "match": False,
        "accepted": 0,
        "reason": "rows",
        "rows": 4,
        "wanted_rows": 3,
        "rows_difference": 1,
        "columns": 1,
        "wanted_columns": 1,
        "columns_difference": 0,
        "extra": 3,
        "missing": 2,
        "extra_rows": [[4], [5], [6]],
        "missing_rows": [[1], [2]],
    }


@pytest.mark.parametrize(
    ("query", "gold", "reason"),
    [
        ("SELECT city FROM people", "SELECT DISTINCT city FROM people", "duplicates"),
        ("SELECT id FROM people ORDER BY id DESC", "SELECT id FROM people ORDER BY id", "order"),
        ("SELECT city, id FROM people", "SELECT id, city FROM people", "column order"),
        ("SELECT CAST(id AS TEXT) FROM people", "SELECT id FROM people", "text and number"),
        ("SELECT id, name FROM people", "SELECT id FROM people", "columns"),
        ("SELECT i FROM people", "SELECT id FROM people", "error"),
        ("SELECT id FROM people WHERE id > 1", "SELECT id FROM people", "rows"),
    ],
)
def test_the_reason_for_a_mismatch_is_named(query, gold, reason):
    assert graded({"query": gold}, query).data["reason"] == reason


def test_columns_that_are_not_wanted_are_named():
    data = graded({"query": "SELECT name, city FROM people"}, "SELECT name, age, height FROM people").data
    assert data["extra_columns"] == ["age", "height"]
    assert data["missing_columns"] == 1
    assert data["columns_difference"] == 1


def test_the_nearest_accepted_query_is_the_one_compared_with():
    golds = ["SELECT id, name FROM people", "SELECT id FROM people WHERE id < 4"]
    data = graded({"query": golds}, "SELECT id FROM people WHERE id < 3").data
    assert data["accepted"] == 1
    assert data["missing_rows"] == [[3]]


def test_an_attempt_without_a_query_is_wrong():
    assert graded({"query": "SELECT 1"}, None).data == {"match": False, "reason": "no query"}


def test_a_task_without_an_answer_is_not_graded():
    assert graded({}, "SELECT 1") is None


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("6", True),
        ("5", False),
        ([[6]], True),
        ([6], True),
        ([[6.0]], True),
        ([["6"]], False),
        ([[6], [6]], False),
    ],
)
def test_wanted_rows_may_stand_in_the_task_as_text_or_as_rows(rows, match):
    assert graded({"rows": rows}, "SELECT count(*) FROM people").data["match"] is match


def test_wanted_rows_of_another_kind_are_refused():
    with pytest.raises(BadInput, match="hidden.rows"):
        graded({"rows": 6}, "SELECT count(*) FROM people")


def test_a_query_that_is_right_by_chance_fails_on_another_filling():
    gold = "SELECT count(*) FROM people"
    other = "CREATE TABLE people(id, name, city); INSERT INTO people VALUES (1, 'a', 'b')"
    assert graded({"query": gold, "scripts": [other]}, gold).data["match"]
    data = graded({"query": gold, "scripts": [PEOPLE, other]}, "SELECT 6").data
    assert data["match"] is False
    assert (data["reason"], data["filling"], data["fillings"]) == ("other filling", 1, 2)


def attempt(*facts, error=None):
    task = Task(id="t", prompt="?")
    return Attempt(id="a", trajectory="x", task=task, number=1, facts=facts, error=error)


def test_the_grader_reads_the_hidden_fact():
    assert result_match(attempt(Fact(kind="result_match", data={"match": True}, hidden=True))) == 1.0
    assert result_match(attempt(Fact(kind="result_match", data={"match": False}, hidden=True))) == 0.0


def test_an_attempt_that_broke_off_is_not_passed():
    assert result_match(attempt(error="environment: it broke")) == 0.0


def test_the_grader_refuses_an_attempt_that_has_nothing_to_grade():
    with pytest.raises(BadInput, match="hidden.query"):
        result_match(attempt())
