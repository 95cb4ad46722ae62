"""Tries the guards out on this machine, for ``agentloop doctor``."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from agentloop.environments.sql.pool import Pool

PROBES = {
    "writes": "DELETE FROM t",
    "other_files": "ATTACH DATABASE 'FOLDER/new.sqlite' AS x",
    "other_tables": "SELECT k FROM secret",
    "endless_statements": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT max(n) FROM r",
    "endless_calls": "SELECT instr(printf('%.990000d', 0), printf('%.490000d1', 0))",
    "huge_values": "SELECT randomblob(900000000)",
    "huge_memory": (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r LIMIT 1000000) "
        "SELECT count(*) FROM (SELECT hex(randomblob(1000)) AS v FROM r ORDER BY v)"
    ),
}
LIMIT_SECONDS = 1.0


def active_guards() -> dict[str, bool]:
    """For each thing a statement might try, whether it was stopped just now, in a worker on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                "CREATE TABLE t(id); CREATE TABLE secret(k); INSERT INTO secret VALUES ('k')"
            )
        pool = Pool(1)
        try:
            return {name: _stopped(pool, path, query) for name, query in PROBES.items()}
        finally:
            pool.close()


def _stopped(pool: Pool, path: Path, query: str) -> bool:
    request: dict[str, Any] = {"database": str(path), "tables": ["t"], "rows": 10, "bytes": 1000}
    statement = query.replace("FOLDER", str(path.parent))
    answer = pool.query({**request, "query": statement}, seconds=LIMIT_SECONDS)
    return answer.error is not None and len(list(path.parent.iterdir())) == 1
