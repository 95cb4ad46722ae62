"""Tables: what they hold, and that a filled one answers queries and nothing else."""

import random
from contextlib import closing
from pathlib import Path

import pytest

from agentloop.tiny import FAMILIES
from agentloop.tiny.tables import Filled, draw_table, fill
from agentloop.tiny.words import Words


def a_table(seed: int):
    draw = random.Random(seed)
    words = Words(draw)
    table = draw_table(draw, draw.choice(FAMILIES), words)
    return table, fill(draw, table, words)


@pytest.mark.parametrize("seed", range(20))
def test_a_table_has_its_columns_and_numbers_without_ties(seed: int) -> None:
    table, script = a_table(seed)
    assert set(table.columns) == {table.key, *table.categories, *table.numbers}
    assert 3 <= len(table.columns) <= 7
    with closing(Filled(script)) as filled:
        rows = filled.rows(f"SELECT {', '.join(table.columns)} FROM {table.name}") or []
        assert 14 <= len(rows) <= 25
        for column in (*table.numbers, table.key):
            values = filled.rows(f"SELECT {column} FROM {table.name}") or []
            assert len(set(values)) == len(rows)


def test_rows_come_in_the_order_that_was_asked_for_and_else_in_one_of_ours() -> None:
    script = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (2), (3), (1);"
    with closing(Filled(script)) as filled:
        assert filled.rows("SELECT a FROM t ORDER BY a DESC") == [(3,), (2,), (1,)]
        assert filled.rows("SELECT a FROM t") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "CREATE TEMP VIEW t AS SELECT 9 AS a",
        "PRAGMA writable_schema = ON",
        "ATTACH DATABASE 'FOLDER/pwn.sqlite' AS x",
        "VACUUM INTO 'FOLDER/pwn.sqlite'",
        "SELECT load_extension('x')",
        "SELECT count(*) FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k, t l, t m, t n",
        "SELECT length(hex(zeroblob(900000000)))",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
        "SELECT 1; DELETE FROM t",
        "",
    ],
)
def test_a_filled_table_refuses_all_but_bounded_queries_and_answers_the_next(
    sql: str, tmp_path: Path
) -> None:
    with closing(Filled("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (2), (3), (1);")) as filled:
        assert not filled.rows(sql.replace("FOLDER", str(tmp_path)))
        assert filled.rows("SELECT COUNT(*) FROM t") == [(3,)]
    assert not list(tmp_path.iterdir())
