"""The rules of two published evaluators, for figures that are to be compared with papers.

Both are looser than ``same_result`` in some points and stricter in others. What is reproduced is
which results count as equal. What is not: here prediction and gold run read-only, on connections of
their own and under a time limit that ends them, so a prediction can neither change a database for
later samples nor forge a match; there a DROP stays dropped, and DELETE or a TEMP VIEW forges one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agentloop.environments.sql.columns import assignments
from agentloop.environments.sql.databases import Database, of_file
from agentloop.environments.sql.grading import GOLD_SECONDS, GRADED_BYTES, GRADED_ROWS, shared_pool
from agentloop.environments.sql.mistakes import TOKEN
from agentloop.environments.sql.pool import Answer
from agentloop.environments.sql.rows import Row
from agentloop.errors import BadInput

BIRD_SECONDS = 30.0
SPIDER_SECONDS = 60.0


class _Pair(NamedTuple):
    query: Answer
    gold: Answer


def spider_compatible(
    database: str | Path,
    query: str,
    gold: str,
    *,
    keep_distinct: bool = False,
    timeout_seconds: float = SPIDER_SECONDS,
) -> bool:
    """Whether ``query`` counts as right by the rules of Spider's test-suite evaluation (Zhong et al. 2020).

    Rows are a multiset; their order counts when the words "order by" stand anywhere in ``gold``, be
    it in a subquery or a string; columns may stand in any order; DISTINCT is taken out of both
    queries unless ``keep_distinct``; values are equal as in Python (1 and 1.0 are, '1' and 1 are not,
    without tolerance); two empty results are equal whatever their columns. When ``database`` is a
    folder, the queries must agree on every ``.sqlite`` file in it.

    Of results that are alike in several columns only some orders of columns are tried: see columns.py.
    """
    if not keep_distinct:
        query, gold = _without_distinct(query), _without_distinct(gold)
    ordered = "order by" in gold.lower()
    pairs = (_pair(each, query, gold, seconds=timeout_seconds) for each in _files(database))
    return all(pair.query.error is None and _spider_equal(pair, ordered) for pair in pairs)


def bird_compatible(
    database: str | Path, query: str, gold: str, *, timeout_seconds: float = BIRD_SECONDS
) -> bool:
    """Whether ``query`` counts as right by the rules of BIRD's execution accuracy (Li et al. 2023).

    The two sets of rows are equal: duplicates and the order of rows never count, the order of columns
    does, and values are equal as in Python, without tolerance.
    """
    pair = _pair(of_file(database), query, gold, seconds=timeout_seconds)
    return pair.query.error is None and not pair.query.more and set(pair.query.rows) == set(pair.gold.rows)


def _files(database: str | Path) -> list[Database]:
    path = Path(database)
    if not path.is_dir():
        return [of_file(path)]
    files = sorted(path.glob("*.sqlite"))
    if not files:
        raise BadInput(f"no .sqlite file in the folder {str(path)!r}; give a file, or a folder of databases")
    return [of_file(each) for each in files]


def _pair(database: Database, query: str, gold: str, *, seconds: float) -> _Pair:
    pool, bounds = shared_pool(), {"rows": GRADED_ROWS, "bytes": GRADED_BYTES}
    wanted = pool.query({**database.request(), "query": gold, **bounds}, seconds=GOLD_SECONDS)
    if wanted.error is not None or wanted.more:
        told = wanted.error["message"] if wanted.error is not None else f"more than {GRADED_ROWS} rows"
        raise BadInput(f"the accepted query fails: {told}\nin: {gold}")
    return _Pair(pool.query({**database.request(), "query": query, **bounds}, seconds=seconds), wanted)


def _without_distinct(query: str) -> str:
    """The query without the word DISTINCT, which is left where it stands in a string or a quoted name."""
    parts, end = [], 0
    for match in TOKEN.finditer(query):
        if match.group().lower() == "distinct":
            parts.append(query[end : match.start()])
            end = match.end()
    return "".join([*parts, query[end:]])


def _spider_equal(pair: _Pair, ordered: bool) -> bool:
    rows, wanted = pair.query.rows, pair.gold.rows
    if not rows and not wanted and not pair.query.more:
        return True
    if pair.query.more or len(rows) != len(wanted) or len(rows[0]) != len(wanted[0]):
        return False
    if _equal(rows, wanted, ordered):
        return True
    orders = assignments(rows, wanted, _exactly)
    return any(
        _equal([tuple(row[index] for index in order) for row in rows], wanted, ordered) for order in orders
    )


def _equal(rows: Sequence[Row], wanted: Sequence[Row], ordered: bool) -> bool:
    return list(rows) == list(wanted) if ordered else Counter(rows) == Counter(wanted)


def _exactly(one: float, other: float) -> bool:
    return one == other
