"""The process in which statements run: requests come in by stdin, answers go out by stdout.

Each is four bytes of length and that much JSON. The process ends when its parent does, also when
the parent was killed and a statement is running. It imports the standard library only, and starts
in some 30 ms.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentloop.environments.sql.guards import COUNTED_ROWS, HEAP_BYTES, Guard, guard, open_file, open_script
from agentloop.environments.sql.mistakes import describe

ADDRESS_BYTES = 1024 * 1024 * 1024
KEPT_SCRIPTS = 64
PARENT_CHECK_SECONDS = 0.25
MISTAKES = (sqlite3.Error, sqlite3.Warning, MemoryError, OSError, ValueError, OverflowError)
"""What a statement or a database can raise; ValueError is a character that SQL cannot hold."""

Request = dict[str, Any]
Opener = Callable[["Worker", Request], tuple[sqlite3.Connection, Guard, bool]]


def open_guarded(worker: Worker, request: Request) -> tuple[sqlite3.Connection, Guard, bool]:
    """The connection for a request, its rules, and whether it is closed afterwards."""
    write, seconds = bool(request.get("write")), request["seconds"]
    if request.get("script") is not None:
        connection, close = worker.built(request["script"], seconds), False
    else:
        connection, close = open_file(request["database"], write=write), True
    try:
        rules = guard(connection, tables=request.get("tables"), write=write, seconds=seconds)
    except BaseException:
        if close:
            connection.close()
        raise
    return connection, rules, close


class Worker:
    """Answers requests, one after the other."""

    def __init__(self, opener: Opener = open_guarded) -> None:
        self._open = opener
        self._built: OrderedDict[str, sqlite3.Connection] = OrderedDict()
        self.folders: set[str] = set()

    def answer(self, request: Request) -> dict[str, Any]:
        """Do what ``request["op"]`` names; a mistake in a statement is part of the answer."""
        try:
            operation: Callable[[Request], dict[str, Any]] = getattr(self, "do_" + request["op"])
            return operation(request)
        except MISTAKES as error:
            return {"error": describe(error, request.get("query", ""))}

    def built(self, script: str, seconds: float) -> sqlite3.Connection:
        """The database that ``script`` builds; the last few are kept, since nothing can change them."""
        connection = self._built.pop(script, None) or open_script(script, seconds=seconds)
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)  # that of the last request has run out
        self._built[script] = connection
        if len(self._built) > KEPT_SCRIPTS:
            self._built.popitem(last=False)[1].close()
        return connection

    def do_query(self, request: Request) -> dict[str, Any]:
        """Run one statement; ``rows`` and ``bytes`` bound what is sent back."""
        connection, rules, close = self._open(self, request)
        try:
            return _run(connection, rules, request)
        finally:
            if close:
                connection.close()

    def do_schema(self, request: Request) -> dict[str, Any]:
        """Tables and views in the order they were made, with their columns and CREATE statements."""
        connection = self._trusted(request)
        try:
            found = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
            ).fetchall()
            return {"tables": [[name, _columns(connection, name), sql or ""] for name, sql in found]}
        finally:
            if request.get("script") is None:
                connection.close()

    def do_copy(self, request: Request) -> dict[str, Any]:
        """Make a private copy of a database as a new file."""
        self.folders.add(request["folder"])
        if request.get("script") is not None:
            open_script(request["script"], seconds=request["seconds"], path=request["target"]).close()
            return {}
        source, target = open_file(request["database"]), sqlite3.connect(request["target"])
        with contextlib.closing(source), contextlib.closing(target):
            source.backup(target)
        return {}

    def do_difference(self, request: Request) -> dict[str, Any]:
        """What two files' tables hold that the other's do not, as [table, here, wanted]."""
        here, wanted = open_file(request["database"]), open_file(request["wanted"])
        with contextlib.closing(here), contextlib.closing(wanted):
            ours, theirs = _tables(here), _tables(wanted)
            changed = []
            for name in sorted({*ours, *theirs}):
                names = _common(ours.get(name), theirs.get(name))
                mine, other = _content(here, name, names[0]), _content(wanted, name, names[1])
                if mine != other:
                    changed.append([name, _left(mine, other), _left(other, mine)])
            return {"tables": changed}

    def _trusted(self, request: Request) -> sqlite3.Connection:
        if request.get("script") is None:
            return open_file(request["database"])
        return self.built(request["script"], request["seconds"])


def _run(connection: sqlite3.Connection, rules: Guard, request: Request) -> dict[str, Any]:
    # Text that is not UTF-8 is rare, and reading all text through a function slow. A statement that
    # writes is not run twice.
    answer: dict[str, Any] = {}
    for factory in (_text,) if request.get("write") else (str, _text):
        connection.text_factory = factory
        try:
            return _fetch(connection, rules, request)
        except MISTAKES as error:
            answer = {
                "error": describe(error, request["query"], connection=connection, refused=rules.refused)
            }
            if not str(error).startswith("Could not decode to UTF-8"):
                break
    return answer


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _fetch(connection: sqlite3.Connection, rules: Guard, request: Request) -> dict[str, Any]:
    before = connection.total_changes
    cursor = connection.execute(request["query"])
    rows: list[tuple[Any, ...]] = []
    space, limit, more, blobs = request["bytes"], request["rows"], 0, False
    for row in cursor:
        for cell in row:
            kind = type(cell)
            if kind is str or kind is bytes:
                space -= len(cell)
                blobs = blobs or kind is bytes
        if len(rows) < limit and space >= 0:
            rows.append(row)
        else:
            more += 1
            if more >= COUNTED_ROWS:
                break
    columns = [each[0] for each in cursor.description or ()]
    cursor.close()
    changed = connection.total_changes - before
    return {
        "columns": columns,
        "rows": rows,
        "more": more,
        "blobs": blobs,
        "changed": changed,
        "wrote": rules.wrote,
    }


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    try:
        return [row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    except sqlite3.OperationalError:
        return []  # a view over a table that is gone: nobody can read it


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    return {name: _columns(connection, name) for (name,) in found}


def _common(ours: list[str] | None, theirs: list[str] | None) -> tuple[list[str] | None, list[str] | None]:
    """The columns in one order for both: columns go by name, so their order does not matter."""
    if ours and theirs and sorted(ours) == sorted(theirs):
        return ours, ours
    return ours, theirs


def _content(
    connection: sqlite3.Connection, table: str, columns: list[str] | None
) -> Counter[tuple[Any, ...]] | None:
    """The rows with how often each stands there; None when there is no such table."""
    if columns is None:
        return None
    listed = ", ".join(map(_quoted, columns))
    counted = Counter(connection.execute(f"SELECT {listed} FROM {_quoted(table)}"))
    # The names are counted as a row, so that two empty tables of other columns differ.
    counted[tuple(columns)] += 1
    return counted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _left(mine: Counter[tuple[Any, ...]] | None, other: Counter[tuple[Any, ...]] | None) -> list[Any] | None:
    if mine is None:
        return None
    return [list(row) for row in (mine - (other or Counter())).elements()]


def serve(worker: Worker) -> None:
    """Answer requests until there are no more."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, {"ready": os.getpid(), "sqlite": sqlite3.sqlite_version})
    while True:
        head = source.read(4)
        if len(head) < 4:
            return
        request = json.loads(source.read(int.from_bytes(head, "big")))
        _send(sink, worker.answer(request))


def _send(sink: Any, answer: dict[str, Any]) -> None:
    data = json.dumps(answer, default=lambda blob: {"blob": blob.hex()}).encode()
    sink.write(len(data).to_bytes(4, "big") + data)
    sink.flush()


def _end_with_parent(parent: int, worker: Worker) -> None:
    """Watch for the parent's death, which a running statement would otherwise outlive."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    _leave(worker)


def _leave(worker: Worker) -> None:
    for folder in worker.folders:
        shutil.rmtree(Path(folder), ignore_errors=True)
    os._exit(0)


def bound_process() -> None:
    """Bound the memory of the whole process, core files and what Ctrl-C does to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA hard_heap_limit={HEAP_BYTES}")
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))


def run(worker: Worker, parent: int) -> None:
    """Serve until the requests end or the process ``parent`` does."""
    threading.Thread(target=_end_with_parent, args=(parent, worker), daemon=True).start()
    # When the pipe breaks in mid-answer, there is nobody left to tell.
    with contextlib.suppress(BrokenPipeError):
        serve(worker)
    _leave(worker)


def main(parent: int) -> None:
    """Run as a guarded worker of the process ``parent``."""
    bound_process()
    run(Worker(), parent)
