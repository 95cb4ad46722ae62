"""Queries as data: to SQL, and back from whatever a model writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.tiny.query import FUNCTIONS, Condition, Order, Query, extract, parse

NAMES = st.from_regex(r"z[a-z]{1,8}", fullmatch=True)
CONDITIONS = st.one_of(
    st.builds(Condition, NAMES, st.just("="), NAMES),
    st.builds(Condition, NAMES, st.sampled_from("<>"), st.integers(0, 99)),
)
ORDERS = st.one_of(st.none(), st.builds(Order, NAMES, st.sampled_from(("ASC", "DESC"))))
SUMMARIES = st.one_of(
    st.tuples(st.none(), NAMES),
    st.tuples(st.just("COUNT"), st.none()),
    st.tuples(st.sampled_from(FUNCTIONS), NAMES),
)


@given(
    NAMES,
    SUMMARIES,
    st.lists(CONDITIONS, max_size=3).map(tuple),
    st.one_of(st.none(), NAMES),
    ORDERS,
    st.one_of(st.none(), st.integers(0, 50)),
)
def test_a_query_written_as_sql_is_read_back_as_itself(
    table, summary, conditions, group, order, limit
) -> None:
    function, column = summary
    query = Query(table, column, function, conditions, group if function else None, order, limit)
    assert parse(query.sql()) == query


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "the answer is four",
        "SELECT",
        "SELECT a, b FROM t",
        "SELECT * FROM t",
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t JOIN u",
        "SELECT a FROM t, u",
        "SELECT a FROM (SELECT a FROM t)",
        "SELECT a FROM t WHERE b = 1 OR c = 2",
        "SELECT a FROM t LIMIT 3 OFFSET 1",
        "SELECT a FROM t UNION SELECT a FROM u",
        "SELECT a FROM t; DROP TABLE t",
        "DELETE FROM t",
        "SELECT a FROM t LIMIT 'x'",
        "SELECT COUNT(DISTINCT a) FROM t",
        "(" * 5000,
        "SELECT a FROM t WHERE a = '",
        "\x00",
    ],
)
def test_anything_else_is_no_such_query(sql: str) -> None:
    assert parse(sql) is None


@given(st.text(max_size=60))
def test_reading_never_fails_whatever_stands_there(text: str) -> None:
    parse(extract(text))


def test_case_and_blanks_do_not_matter() -> None:
    assert parse("select  a from t\nwhere b='x' order by c limit 2") == Query(
        "t", "a", None, (Condition("b", "=", "x"),), None, Order("c", "ASC"), 2
    )


def test_sql_is_taken_out_of_a_fence_and_loses_its_semicolon() -> None:
    assert extract("Here:\n```sql\nSELECT a FROM t;\n```\nDone.") == "SELECT a FROM t"
    assert extract("  SELECT a FROM t ; ") == "SELECT a FROM t"
