"""Rows as text."""

import pytest

from agentloop.environments.sql.guards import COUNTED_ROWS
from agentloop.environments.sql.rows import LONGEST_TEXT, cell, plain, render


@pytest.mark.parametrize(
    ("rows", "more", "text"),
    [
        ([(2,)], 0, "2"),
        ([("Ann", 3), ("Bob", None)], 0, "Ann | 3\nBob | NULL"),
        ([], 0, "(no rows)"),
        ([(1,), (2,)], 1, "1\n2\n(1 more row)"),
        ([(1,)], 7, "1\n(7 more rows)"),
        ([(1,)], COUNTED_ROWS, f"1\n(more than {COUNTED_ROWS} more rows)"),
        ([(0.5,), (2.0,)], 0, "0.5\n2.0"),
        ([(b"\x00\xff",)], 0, "X'00ff'"),
        ([("a\nb\r",)], 0, "a\\nb\\r"),
        ([("",)], 0, ""),
    ],
)
def test_rows_are_rendered(rows, more, text):
    assert render(rows, more) == text


def test_a_long_value_is_cut():
    assert len(cell("x" * 100_000)) < 300
    assert len(cell(b"x" * 100_000)) < 300


def test_a_long_result_is_cut_and_counted():
    text = render([("x" * 150,)] * 500)
    assert len(text) < LONGEST_TEXT + 100
    shown = text.count("x" * 150)
    assert text.endswith(f"({500 - shown} more rows)")


def test_a_row_for_a_fact_holds_json_values():
    assert plain((1, 0.5, None, "a", b"\x01")) == [1, 0.5, None, "a", "X'01'"]
