"""Whether a query gives what an accepted query gives, and where it does not, how the two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentloop.environments.sql.compare import (
    Columns,
    Result,
    Wanted,
    same,
    same_cell,
    same_multiset,
    unmatched,
)
from agentloop.environments.sql.databases import Database, of_file
from agentloop.environments.sql.ordering import blocks, order_of
from agentloop.environments.sql.pool import Answer, Pool
from agentloop.environments.sql.rows import Row, plain, render
from agentloop.errors import BadInput
from agentloop.types import Attempt, Fact, Task

GRADED_ROWS = 100_000
GRADED_BYTES = 32 * 1024 * 1024
GOLD_SECONDS = 30.0
SAMPLES = 3
SHARED_WORKERS = 2


def result_match(attempt: Attempt) -> float:
    """Grade an attempt in an SQLEnvironment: 1.0 when its result was the wanted one, else 0.0."""
    for fact in attempt.facts:
        if fact.kind == "result_match":
            return 1.0 if fact.data["match"] else 0.0
    if attempt.error is not None:
        return 0.0
    raise BadInput(
        f"attempt {attempt.id!r} has no fact 'result_match'; result_match grades attempts made in an "
        "SQLEnvironment at tasks with hidden.query (an accepted query) or hidden.rows (the wanted rows)"
    )


def same_result(
    database: str | Path,
    query: str,
    gold: str | Sequence[str],
    *,
    columns: Columns = "fixed",
    tables: Sequence[str] | None = None,
    timeout_seconds: float = 5.0,
) -> bool:
    """Whether ``query`` gives the result of ``gold``, or of any of several accepted queries.

    Both are run read-only and on connections of their own, so that ``query`` cannot change what
    ``gold`` finds. Rows count with their duplicates; their order counts where the outermost query of
    ``gold`` sorts, and is free among rows with equal sort keys; names of columns never count.
    Numbers match within a relative 1e-6, NULL matches NULL, text never matches a number.
    ``columns="any"`` lets the columns stand in another order. A query that fails, is refused or is
    not done after ``timeout_seconds`` is False; a ``gold`` that is raises BadInput.
    """
    source, judge = of_file(database), Judge(shared_pool(), columns=columns, tables=tables)
    golds = [gold] if isinstance(gold, str) else list(gold)
    wanted = [judge.wanted(source, each) for each in golds]
    answer = judge.result(source, query, timeout_seconds)
    return any(is_same(answer, each, columns) for each in wanted)


@lru_cache(maxsize=1)
def shared_pool() -> Pool:
    """The workers of the functions that grade outside of any environment; they start on first use."""
    return Pool(SHARED_WORKERS)


def is_same(answer: Answer, wanted: Wanted, columns: Columns) -> bool:
    """Whether a worker's answer is the wanted result; an error or a cut result is not."""
    if answer.error is not None or answer.more:
        return False
    return same(Result(len(answer.columns), answer.rows), wanted, columns=columns)


class Judge:
    """Runs queries for grading, on the workers of one pool. Blocks."""

    def __init__(
        self, pool: Pool, *, columns: Columns = "fixed", tables: Sequence[str] | None = None
    ) -> None:
        self._pool = pool
        self._tables = None if tables is None else list(tables)
        self.columns: Columns = columns
        self.wanted = lru_cache(maxsize=512)(self._wanted)

    def result(self, database: Database, query: str, seconds: float) -> Answer:
        """All rows of ``query``."""
        return self._query(database, query, seconds, tables=self._tables)

    def _wanted(self, database: Database, gold: str) -> Wanted:
        """What the accepted query ``gold`` gives, and which order it asks for."""
        if not isinstance(gold, str) or not gold.strip():
            raise BadInput(f"an accepted query must be SQL text, got {gold!r}")
        answer = self._query(database, gold, GOLD_SECONDS)
        if answer.error is not None:
            raise BadInput(f"the accepted query fails: {answer.error['message']}\nin: {gold}")
        if answer.more:
            raise BadInput(
                f"the accepted query gives more than {GRADED_ROWS} rows or 32 MB; add a LIMIT: {gold}"
            )
        order = order_of(gold)
        if order is None:
            return Wanted(len(answer.columns), answer.rows)
        if not order.added:
            return Wanted(len(answer.columns), answer.rows, blocks(answer.rows, answer.columns, order))
        longer = self._query(database, order.query, GOLD_SECONDS)
        width = len(answer.columns)
        rows = tuple(row[:width] for row in longer.rows)
        # Adding the keys must not have changed the result; else no two rows may change places.
        if longer.error is not None or not same_multiset(rows, answer.rows):
            return Wanted(width, answer.rows, (1,) * len(answer.rows))
        return Wanted(width, rows, blocks(longer.rows, longer.columns, order))

    def _query(
        self, database: Database, query: str, seconds: float, *, tables: list[str] | None = None
    ) -> Answer:
        request = {"query": query, "tables": tables, "rows": GRADED_ROWS, "bytes": GRADED_BYTES}
        return self._pool.query({**database.request(), **request}, seconds=seconds)

    def fact(self, task: Task, database: Database, query: str | None, *, seconds: float) -> Fact | None:
        """The hidden fact ``result_match`` on the last query of an attempt; None without a gold."""
        golds, rows = accepted_queries(task), task.hidden.get("rows")
        if not golds and rows is None:
            return None
        if query is None:
            return _fact({"match": False, "reason": "no query"})
        answer = self.result(database, query, seconds)
        if not golds:
            return _fact(_against_rows(answer, rows))
        data = self._against_queries(database, answer, golds)
        if data["match"]:
            data |= self._on_other_fillings(task, query, golds, seconds)
        return _fact(data)

    def _against_queries(self, database: Database, answer: Answer, golds: Sequence[str]) -> dict[str, Any]:
        found = []
        for index, gold in enumerate(golds):
            wanted = self.wanted(database, gold)
            if is_same(answer, wanted, self.columns):
                return {"match": True, "accepted": index}
            found.append({"match": False, "accepted": index, **differences(answer, wanted)})
        return min(found, key=_distance)

    def _on_other_fillings(
        self, task: Task, query: str, golds: Sequence[str], seconds: float
    ) -> dict[str, Any]:
        """A right answer is right on other fillings of the database too, not only by chance on this one."""
        scripts = task.hidden.get("scripts") or ()
        for index, script in enumerate(scripts):
            filling = Database(script=script)
            answer = self.result(filling, query, seconds)
            if not any(is_same(answer, self.wanted(filling, gold), self.columns) for gold in golds):
                return {"match": False, "reason": "other filling", "filling": index, "fillings": len(scripts)}
        return {"fillings": len(scripts)} if scripts else {}


def accepted_queries(task: Task) -> tuple[str, ...]:
    """The accepted queries of a task: hidden.query, one or a list."""
    found = task.hidden.get("query") or ()
    return (found,) if isinstance(found, str) else tuple(found)


def differences(answer: Answer, wanted: Wanted) -> dict[str, Any]:
    """How a result differs from the wanted one, in counts and samples."""
    if answer.error is not None:
        return {"reason": "error", "wanted_rows": len(wanted.rows), "wanted_columns": wanted.width}
    width, rows = len(answer.columns), answer.rows
    found: dict[str, Any] = {
        "reason": "rows",
        "rows": len(rows) + answer.more,
        "wanted_rows": len(wanted.rows),
        "rows_difference": len(rows) + answer.more - len(wanted.rows),
        "columns": width,
        "wanted_columns": wanted.width,
        "columns_difference": width - wanted.width,
    }
    if width != wanted.width:
        return {**found, "reason": "columns", **_column_matches(answer, wanted)}
    extra, missing = unmatched(rows, wanted.rows)
    found |= {"extra": len(extra), "missing": len(missing)}
    found |= {"extra_rows": _samples(extra), "missing_rows": _samples(missing)}
    return {**found, "reason": _reason(rows, wanted, extra, missing)}


def _reason(rows: Sequence[Row], wanted: Wanted, extra: Sequence[Row], missing: Sequence[Row]) -> str:
    if not extra and not missing:
        return "order"
    if set(rows) == set(wanted.rows):
        return "duplicates"
    free = Wanted(wanted.width, wanted.rows)
    if same(Result(wanted.width, rows), free, columns="any"):
        return "column order"
    if same_multiset(_as_text(rows), _as_text(wanted.rows)):
        return "text and number"
    return "rows"


def _as_text(rows: Sequence[Row]) -> list[Row]:
    return [tuple(str(cell) for cell in row) for row in rows]


def _column_matches(answer: Answer, wanted: Wanted) -> dict[str, Any]:
    """Which columns hold what no wanted column holds, and how many wanted ones are not there."""
    ours = [_held(answer.rows, index) for index in range(len(answer.columns))]
    theirs = [_held(wanted.rows, index) for index in range(wanted.width)]
    extra = []
    for name, held in zip(answer.columns, ours, strict=True):
        match = next((other for other in theirs if _alike(held, other)), None)
        if match is None:
            extra.append(name)
        else:
            theirs.remove(match)
    return {"extra_columns": extra, "missing_columns": len(theirs)}


def _held(rows: Sequence[Row], index: int) -> Counter[Any]:
    return Counter(row[index] for row in rows)


def _alike(one: Counter[Any], other: Counter[Any]) -> bool:
    if one == other:
        return True
    left, right = (
        sorted((one - other).elements(), key=_sortable),
        sorted((other - one).elements(), key=_sortable),
    )
    return len(left) == len(right) and all(map(same_cell, left, right))


def _sortable(value: Any) -> tuple[str, Any]:
    return ("number", value) if isinstance(value, (int, float)) else (type(value).__name__, value or 0)


def _distance(found: dict[str, Any]) -> tuple[int, int, int]:
    return (
        abs(found.get("columns_difference", 0)),
        found.get("missing", 0) + found.get("extra", 0),
        abs(found.get("rows_difference", 0)),
    )


def _against_rows(answer: Answer, rows: Any) -> dict[str, Any]:
    """Compare with wanted rows that stand in the task, as rows or as text as the agent is shown it."""
    if answer.error is not None:
        return {"match": False, "reason": "error"}
    if isinstance(rows, str):
        match = not answer.more and render(answer.rows).strip() == rows.strip()
        return {"match": match} if match else {"match": False, "reason": "rows", "rows": len(answer.rows)}
    if not isinstance(rows, (list, tuple)):
        raise BadInput(f"hidden.rows must be text or a list of rows, got {type(rows).__name__}")
    listed = tuple(tuple(row) if isinstance(row, (list, tuple)) else (row,) for row in rows)
    wanted = Wanted(len(listed[0]) if listed else len(answer.columns), listed)
    if is_same(answer, wanted, "fixed"):
        return {"match": True}
    return {"match": False, **differences(answer, wanted)}


def _samples(rows: Sequence[Row]) -> list[list[Any]]:
    return [plain(row) for row in rows[:SAMPLES]]


def _fact(data: dict[str, Any]) -> Fact:
    return Fact(kind="result_match", data=data, hidden=True)
