"""Opens SQLite databases so that no statement writes, reaches another file or takes more than its share.

Only the worker process opens connections. What cannot be stopped from inside the process (one scalar
call that runs on for minutes is a single step of SQLite's machine) is stopped by killing it: pool.py.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

HEAP_BYTES = 128 * 1024 * 1024
MAGIC = b"SQLite format 3\x00"
STEPS_BETWEEN_CHECKS = 2000
COUNTED_ROWS = 10_000
"""Rows that are counted beyond those sent back; after as many the statement is ended."""

LIMITS = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 20),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)
FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
INNER_TABLES = frozenset({"dbstat", "bytecode", "tables_used", "fsdir", "completion"})
READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
CHANGING = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
SHAPING = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_REINDEX,
        sqlite3.SQLITE_ANALYZE,
    }
)
NAMES = {
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
    sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT",
    sqlite3.SQLITE_CREATE_VTABLE: "a virtual table",
    sqlite3.SQLITE_DROP_VTABLE: "a virtual table",
}


class Guard:
    """SQLite's authorizer: says of every action of a statement whether it may be done.

    A statement may read the tables that are not ``hidden``. A view is read only where the tables
    under it may be read too, since a CTE can take the view's name. With ``write`` the database,
    a private copy then, may be changed; ``wrote`` tells whether a statement asked to.
    """

    def __init__(self, hidden: frozenset[str] = frozenset(), *, write: bool = False) -> None:
        self.hidden = hidden
        self.write = write
        self.wrote = False
        self.refused: str | None = None

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, _inside: str | None
    ) -> int:
        """SQLITE_OK or SQLITE_DENY."""
        if action in READING or self._may(action, first or "", second or "", database or ""):
            return sqlite3.SQLITE_OK
        self.refused = self._words(action, first or "", second or "")
        return sqlite3.SQLITE_DENY

    def _words(self, action: int, first: str, second: str) -> str:
        if action == sqlite3.SQLITE_READ:
            return f"{first} may not be read"
        if action == sqlite3.SQLITE_FUNCTION:
            return f"the function {second} may not be used"
        if action in NAMES:
            return f"{NAMES[action]} may not be used"
        if not self.write:
            return "the database is read-only"
        return f"{first} may not be changed" if action in CHANGING else "the schema may not be changed"

    def _may(self, action: int, first: str, second: str, database: str) -> bool:
        if action == sqlite3.SQLITE_READ:
            return self._may_touch(first)
        if action == sqlite3.SQLITE_FUNCTION:
            return second.lower() not in FORBIDDEN_FUNCTIONS
        if action in CHANGING or action in SHAPING:
            self.wrote = True
            return self.write and database != "temp" and self._may_change(action, first)
        return False

    def _may_change(self, action: int, table: str) -> bool:
        if action in SHAPING:
            return not self.hidden
        return self._may_touch(table)

    def _may_touch(self, table: str) -> bool:
        name = table.lower()
        if name in self.hidden or name in INNER_TABLES or name.startswith("pragma_"):
            return False
        return not name.startswith("sqlite_") or (self.write and not self.hidden)


def authorize_script(
    action: int, first: str | None, _second: str | None, database: str | None, _inside: str | None
) -> int:
    """The authorizer for a script that fills a database in memory: it reaches nothing outside of it.

    Pragmas, which dumps of databases begin with, do nothing.
    """
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_IGNORE
    if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_CREATE_VTABLE):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (_second or "").lower() in FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def open_file(path: str, *, write: bool = False) -> sqlite3.Connection:
    """Open a database file; without ``write`` nothing is ever written to it or beside it."""
    mode = "rw" if write else "ro"
    if not write and _unlogged(path):
        mode = "ro&immutable=1"
    return sqlite3.connect(_uri(path) + mode, uri=True, isolation_level=None, timeout=1.0)


@lru_cache(maxsize=64)
def _uri(path: str) -> str:
    return f"file:{quote(path)}?mode="


def _unlogged(path: str) -> bool:
    """Whether the file is in WAL mode without a log: SQLite would make files beside it just to read it."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        header = os.read(file, 20)
    finally:
        os.close(file)
    if header and not header.startswith(MAGIC):
        # SQLite itself would notice only when it reads a table.
        raise sqlite3.DatabaseError("file is not a database")
    if header[18:20] != b"\x02\x02":
        return False
    log = Path(path + "-wal")
    return not (log.exists() and log.stat().st_size)


def open_script(script: str, *, seconds: float, path: str = ":memory:") -> sqlite3.Connection:
    """Build a database from a script, in memory or in a new file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.set_authorizer(authorize_script)
    set_deadline(connection, seconds)
    connection.executescript(script)
    if connection.in_transaction:
        connection.commit()
    connection.set_authorizer(None)
    return connection


def guard(
    connection: sqlite3.Connection, *, tables: Iterable[str] | None, write: bool, seconds: float
) -> Guard:
    """Put the connection under all guards that work from inside the process."""
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA temp_store=MEMORY")
    hidden = frozenset() if tables is None else _others(connection, tables)
    for limit, value in LIMITS:
        connection.setlimit(limit, value)
    rules = Guard(hidden, write=write)
    connection.set_authorizer(rules)
    set_deadline(connection, seconds)
    return rules


def _others(connection: sqlite3.Connection, tables: Iterable[str]) -> frozenset[str]:
    """The names of all tables and views but those that may be read."""
    names = {row[0].lower() for row in connection.execute("SELECT name FROM sqlite_master")}
    return frozenset(names - {name.lower() for name in tables})


def set_deadline(connection: sqlite3.Connection, seconds: float) -> None:
    """Interrupt whatever the connection runs ``seconds`` from now."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_BETWEEN_CHECKS)
