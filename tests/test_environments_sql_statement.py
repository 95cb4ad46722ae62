"""Finding the statement in what a model replied."""

import time

import pytest

from agentloop.environments.sql.statement import is_final, statement_in


@pytest.mark.parametrize(
    ("reply", "statement"),
    [
        ("SELECT 1", "SELECT 1"),
        ("  select 1;\n", "select 1;"),
        ("```sql\nSELECT 1\n```", "SELECT 1"),
        ("```\nSELECT 1\n```", "SELECT 1"),
        ("```SQLite\nSELECT 1\n```", "SELECT 1"),
        ("```sql\nSELECT 1", "SELECT 1"),
        ("First:\n```sql\nSELECT 1\n```\nBetter:\n```sql\nSELECT 2\n```\nDone.", "SELECT 2"),
        ("```python\nprint(1)\n```\nSELECT 1", "SELECT 1"),
        ("The answer is\n\nSELECT a\nFROM t\n\nI hope it helps.", "SELECT a\nFROM t"),
        ("We select rows.\nWITH s AS (SELECT 1) SELECT * FROM s", "WITH s AS (SELECT 1) SELECT * FROM s"),
        ("<think>\n```sql\nSELECT 1\n```\n</think>\nSELECT 2", "SELECT 2"),
        ("```sql SELECT 1```", "SELECT 1"),
        ("```SELECT 1```", "SELECT 1"),
        ("```sql\nSELECT 1;```", "SELECT 1;"),
        ("Use ```sql\nSELECT 1\n``` or ```sh\nls\n```", "SELECT 1"),
        ("-- final\nSELECT 1", "SELECT 1"),
        ("update t set a = 1", "update t set a = 1"),
        ("I do not know", "I do not know"),
        ("", ""),
        ("```sql\n```", ""),
    ],
)
def test_the_statement_is_found(reply, statement):
    assert statement_in(reply) == statement


@pytest.mark.parametrize("reply", ["-- final\nSELECT 1", "```sql\nSELECT 1\n  --FINAL answer\n```"])
def test_a_line_final_is_seen(reply):
    assert is_final(reply)


@pytest.mark.parametrize("reply", ["SELECT 1", "SELECT '-- final'", "my final answer", "-- finally"])
def test_other_words_are_not_final(reply):
    assert not is_final(reply)


@pytest.mark.parametrize("reply", ["```" * 100_000, "<think>" * 100_000, "-- " * 300_000, "\n" * 1_000_000])
def test_a_reply_of_marks_alone_takes_no_long_time(reply):
    began = time.process_time()
    statement_in(reply)
    is_final(reply)
    assert time.process_time() - began < 2
