"""Judges an attempt that writes by the tables it leaves, against those that accepted statements leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentloop.environments.sql.compare import unmatched
from agentloop.environments.sql.databases import Database
from agentloop.environments.sql.grading import GOLD_SECONDS, GRADED_BYTES, GRADED_ROWS
from agentloop.environments.sql.pool import Pool
from agentloop.environments.sql.rows import Row, plain
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Fact

SAMPLES = 3


def carry_out(pool: Pool, statements: Sequence[str], database: Database) -> bool:
    """Run the accepted statements in turn on a copy of the database; whether any of them writes."""
    wrote = False
    for statement in statements:
        request = {"query": statement, "write": True, "rows": GRADED_ROWS, "bytes": GRADED_BYTES}
        answer = pool.query({**database.request(), **request}, seconds=GOLD_SECONDS)
        if answer.error is not None:
            raise BadInput(f"the accepted statement fails: {answer.error['message']}\nin: {statement}")
        wrote = wrote or answer.wrote
    return wrote


def end_state(pool: Pool, left: Database, wanted: Database) -> Fact:
    """The hidden fact ``result_match``: whether every table of ``left`` holds what it does in ``wanted``."""
    answer = pool.ask(
        {"op": "difference", "database": left.path, "wanted": wanted.path}, seconds=GOLD_SECONDS
    )
    if "error" in answer:
        raise EnvironmentFailed(f"the end state could not be read: {answer['error']['message']}")
    tables = [found for each in answer["tables"] if (found := _differs(each))]
    data: dict[str, Any] = {"match": not tables}
    if tables:
        data |= {"reason": "end state", "tables": tables}
    return Fact(kind="result_match", data=data, hidden=True)


def _differs(change: Sequence[Any]) -> dict[str, Any] | None:
    name, here, there = change
    if here is None or there is None:
        return {"table": name, "reason": "missing table" if here is None else "extra table"}
    extra, missing = unmatched(_rows(here), _rows(there))
    if not extra and not missing:
        return None
    return {
        "table": name,
        "reason": "rows",
        "extra": len(extra),
        "missing": len(missing),
        "extra_rows": [plain(row) for row in extra[:SAMPLES]],
        "missing_rows": [plain(row) for row in missing[:SAMPLES]],
    }


def _rows(listed: Sequence[Sequence[Any]]) -> list[Row]:
    return [
        tuple(bytes.fromhex(cell["blob"]) if isinstance(cell, dict) else cell for cell in row)
        for row in listed
    ]
