"""The rules of the published evaluators, each where it departs from same_result."""

import sqlite3
import time
from contextlib import closing

import pytest

from agentloop.environments.sql import bird_compatible, same_result, spider_compatible
from agentloop.environments.sql.published import _without_distinct
from agentloop.errors import BadInput

SCRIPT = """
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, v REAL);
INSERT INTO t VALUES (1, 'a', 1.0), (2, 'b', 1.0), (3, 'a', 2.5);
"""
RULES = [
    # what the rule is about, query, gold, ours, Spider's, BIRD's
    ("duplicates", "SELECT DISTINCT name FROM t", "SELECT name FROM t", False, True, True),
    ("duplicates", "SELECT name FROM t GROUP BY name", "SELECT name FROM t", False, False, True),
    ("order", "SELECT id FROM t ORDER BY id DESC", "SELECT id FROM t ORDER BY id", False, False, True),
    (
        "inner order",
        "SELECT id FROM t ORDER BY id DESC",
        "SELECT id FROM (SELECT id FROM t ORDER BY id)",
        True,
        False,
        True,
    ),
    (
        "order in a string",
        "SELECT id FROM t ORDER BY id DESC",
        "SELECT id FROM t WHERE name <> 'order by'",
        True,
        False,
        True,
    ),
    ("ties", "SELECT id FROM t ORDER BY v, id DESC", "SELECT id FROM t ORDER BY v, id", False, False, True),
    ("free ties", "SELECT id FROM t ORDER BY v, id DESC", "SELECT id FROM t ORDER BY v", True, False, True),
    ("columns", "SELECT name, id FROM t", "SELECT id, name FROM t", False, True, False),
    ("pairing", "SELECT 4 - id, name FROM t", "SELECT id, v FROM t", False, False, False),
    ("distinct", "SELECT count(DISTINCT name) FROM t", "SELECT count(name) FROM t", False, True, False),
    ("noise", "SELECT 0.1 + 0.2", "SELECT 0.3", True, False, False),
    ("types", "SELECT '1'", "SELECT 1", False, False, False),
    ("whole", "SELECT 1.0", "SELECT 1", True, True, True),
    ("empty", "SELECT id, name FROM t WHERE 0", "SELECT id FROM t WHERE 0", False, True, True),
    ("forged", "DELETE FROM t", "SELECT id FROM t WHERE 0", False, False, False),
    ("forged", "CREATE TEMP VIEW t AS SELECT 1 AS id", "SELECT id FROM t", False, False, False),
    ("error", "SELECT nothing_there FROM t", "SELECT id FROM t WHERE 0", False, False, False),
    ("right", "SELECT id FROM t", "SELECT id FROM t", True, True, True),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "t.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    return path


@pytest.mark.parametrize(("rule", "query", "gold", "ours", "spider", "bird"), RULES)
def test_each_evaluator_keeps_its_rule(rule, query, gold, ours, spider, bird, database):
    assert same_result(database, query, gold) is ours, rule
    assert spider_compatible(database, query, gold) is spider, rule
    assert bird_compatible(database, query, gold) is bird, rule


def test_spider_keeps_distinct_where_it_is_told_to(database):
    query, gold = "SELECT DISTINCT name FROM t", "SELECT name FROM t"
    assert not spider_compatible(database, query, gold, keep_distinct=True)


def test_distinct_is_left_in_strings_and_names():
    query = "SELECT distinct 'distinct' AS \"distinct\", COUNT(DISTINCT a) FROM t -- distinct"
    assert _without_distinct(query) == "SELECT  'distinct' AS \"distinct\", COUNT( a) FROM t -- distinct"


def test_spider_asks_every_database_of_a_folder(tmp_path):
    for name, rows in (("one", "(1), (2)"), ("two", "(1), (2), (3)")):
        with closing(sqlite3.connect(tmp_path / f"{name}.sqlite")) as connection:
            connection.executescript(f"CREATE TABLE t(id); INSERT INTO t VALUES {rows}")
    assert spider_compatible(tmp_path / "one.sqlite", "SELECT 2", "SELECT count(*) FROM t")
    assert not spider_compatible(tmp_path, "SELECT 2", "SELECT count(*) FROM t")
    assert spider_compatible(tmp_path, "SELECT max(id) FROM t", "SELECT count(*) FROM t")


def test_a_folder_without_databases_is_the_callers_mistake(tmp_path):
    with pytest.raises(BadInput, match="no .sqlite file"):
        spider_compatible(tmp_path, "SELECT 1", "SELECT 1")


@pytest.mark.parametrize("evaluate", [spider_compatible, bird_compatible])
def test_a_bad_gold_is_the_callers_mistake(evaluate, database):
    with pytest.raises(BadInput, match="accepted query fails"):
        evaluate(database, "SELECT 1", "SELECT x FROM t")


@pytest.mark.parametrize("evaluate", [spider_compatible, bird_compatible])
def test_the_time_limit_fires(evaluate, database):
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT max(n) FROM r"
    evaluate(database, "SELECT 1", "SELECT 1")
    began = time.monotonic()
    assert not evaluate(database, endless, "SELECT 1", timeout_seconds=0.3)
    assert time.monotonic() - began < 1.5


def test_a_drop_does_not_stay_for_later_samples(database):
    assert not bird_compatible(database, "DROP TABLE t", "SELECT id FROM t")
    assert bird_compatible(database, "SELECT id FROM t", "SELECT id FROM t")
