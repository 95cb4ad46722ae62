"""Which order an accepted query asks for, and between which rows it leaves the order free."""

import pytest

from agentloop.environments.sql.databases import Database
from agentloop.environments.sql.grading import Judge, shared_pool
from agentloop.environments.sql.ordering import order_of

SCRIPT = """
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, v REAL);
INSERT INTO t VALUES (1, 'a', 1.0), (2, 'B', 1.0), (3, 'A', 2.0), (4, 'b', NULL), (5, 'c', NULL);
"""


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM t",
        "SELECT id FROM (SELECT id FROM t ORDER BY id)",
        "WITH s AS (SELECT id FROM t ORDER BY id) SELECT id FROM s",
        "SELECT id, row_number() OVER (ORDER BY v) FROM t",
        "SELECT group_concat(name, 'order by') FROM t",
        'SELECT id AS "order by" FROM t',
        "SELECT id FROM t /* order by id */",
        "SELECT id FROM t ORDER BY random()",
        "SELECT id FROM t NOT INDEXED WHERE id IN (SELECT id FROM t ORDER BY 1)",
        "VALUES (1), (2)",
    ],
)
def test_a_query_that_asks_for_no_order(query):
    assert order_of(query) is None


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("SELECT id FROM t ORDER BY id", (1, 1, 1, 1, 1)),
        ("SELECT id FROM t ORDER BY 1", (1, 1, 1, 1, 1)),
        ("SELECT id FROM t ORDER BY v", (2, 2, 1)),
        ("SELECT id FROM t ORDER BY v DESC", (1, 2, 2)),
        ("SELECT id FROM t ORDER BY v IS NULL, v, id", (1, 1, 1, 1, 1)),
        ("SELECT * FROM t ORDER BY v", (2, 2, 1)),
        ("SELECT *, v * 2 AS w FROM t ORDER BY w", (2, 2, 1)),
        ("SELECT t.id, t.name FROM t ORDER BY t.v", (2, 2, 1)),
        ("SELECT id, v AS w FROM t ORDER BY w", (2, 2, 1)),
        ("SELECT id, v AS w FROM t ORDER BY w + 1", (2, 2, 1)),
        ("SELECT id FROM t ORDER BY name COLLATE NOCASE", (2, 2, 1)),
        ("SELECT id FROM t ORDER BY lower(name)", (2, 2, 1)),
        ("SELECT name, count(*) FROM t GROUP BY v ORDER BY count(*)", (1, 2)),
        ("SELECT name FROM t GROUP BY v ORDER BY count(*) DESC", (2, 1)),
        ("SELECT name FROM t GROUP BY v HAVING count(*) > 1 ORDER BY sum(id)", (1, 1)),
        ("SELECT v FROM t UNION ALL SELECT v FROM t ORDER BY v", (4, 4, 2)),
        ("SELECT v FROM t UNION ALL SELECT v FROM t ORDER BY 1 DESC", (2, 4, 4)),
        ("SELECT DISTINCT v FROM t ORDER BY v", (1, 1, 1)),
        ("SELECT DISTINCT v FROM t ORDER BY id", (1, 1, 1)),
        ("SELECT id FROM t ORDER BY v LIMIT 3", (2, 1)),
        ("SELECT id FROM t WHERE 0 ORDER BY v", ()),
        ("WITH s AS (SELECT * FROM t) SELECT id FROM s ORDER BY v", (2, 2, 1)),
        ("SELECT id FROM t ORDER BY (SELECT max(v) FROM t AS u WHERE u.v = t.v)", (2, 2, 1)),
        ("SELECT id FROM t NOT INDEXED ORDER BY +id", (1, 1, 1, 1, 1)),
    ],
)
def test_rows_with_equal_sort_keys_may_change_places(query, blocks):
    wanted = Judge(shared_pool()).wanted(Database(script=SCRIPT), query)
    assert wanted.blocks == blocks
    assert sum(blocks) == len(wanted.rows)


def test_the_keys_that_were_added_do_not_stand_in_the_result():
    wanted = Judge(shared_pool()).wanted(Database(script=SCRIPT), "SELECT id FROM t ORDER BY v, id DESC")
    assert (wanted.width, wanted.rows) == (1, ((5,), (4,), (2,), (1,), (3,)))


def test_a_query_nested_beyond_reason_is_no_crash():
    assert order_of("SELECT " + "(" * 5000 + "1" + ")" * 5000 + " ORDER BY 1") is not None
