"""The environment of SQL over SQLite databases: one session an attempt, run in guarded worker processes."""

from __future__ import annotations

import tempfile
import uuid
import weakref
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

from agentloop.environments.sql.compare import Columns
from agentloop.environments.sql.databases import Database, Schemas, SchemaStyle, of_task, told
from agentloop.environments.sql.endstate import carry_out, end_state
from agentloop.environments.sql.facts import facts_of, observation
from agentloop.environments.sql.grading import Judge, accepted_queries
from agentloop.environments.sql.pool import Answer, Pool
from agentloop.environments.sql.statement import is_final, statement_in
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Fact, Step, Task

SHOWN_BYTES = 1024 * 1024
COPY_SECONDS = 60.0
STYLES = ("names", "full", "none")


class SQLEnvironment:
    """Lets an agent query SQLite databases, read-only and bounded unless ``writes`` is set.

    ``database`` is a file, or a folder in which tasks name files by ``public.database``; a task can
    also bring a database of its own as ``public.script``. With ``writes=True`` every session works
    on a private copy and is judged by the state it leaves. ``schema`` says what the prompt tells of
    the database: "names", "full" (CREATE statements) or "none". ``tables`` names those that may be
    read; a view needs its tables named too. A statement is ended after ``timeout_seconds``; its
    process is killed if it does not obey. ``max_rows`` bounds what the agent is shown, not what is
    graded. ``columns="any"`` grades without regard to the order of columns. ``workers`` processes
    are shared by all sessions, and end with ``close``, or with this process.
    """

    async_sessions = True

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        writes: bool = False,
        schema: SchemaStyle = "names",
        timeout_seconds: float = 5.0,
        max_rows: int = 50,
        tables: Sequence[str] | None = None,
        columns: Columns = "fixed",
        workers: int = 4,
    ) -> None:
        self.database = _existing(database)
        _check("schema", schema, schema in STYLES, f"one of {', '.join(STYLES)}")
        _check("columns", columns, columns in ("fixed", "any"), "fixed or any")
        _check("timeout_seconds", timeout_seconds, timeout_seconds > 0, "more than 0")
        _check("max_rows", max_rows, max_rows >= 1, "at least 1")
        _check("workers", workers, workers >= 1, "at least 1")
        if isinstance(tables, str):
            raise BadInput(f"tables must be a list of names, got the text {tables!r}; write [{tables!r}]")
        self.writes = writes
        self.schema: SchemaStyle = schema
        self.timeout_seconds = timeout_seconds
        self.max_rows = max_rows
        self.tables = None if tables is None else tuple(tables)
        self.pool = Pool(workers)
        self.schemas = Schemas(self.pool, self.tables)
        self.judge = Judge(self.pool, columns=columns, tables=self.tables)
        self._folder: Path | None = None

    def __call__(self, task: Task) -> SQLSession:
        """Open a session for one attempt; BadInput when the task's database does not exist."""
        return SQLSession(self, task, of_task(task, self.database))

    def folder(self) -> Path:
        """The folder of the private copies, made on first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="agentloop-sql-"))
            self._remove = weakref.finalize(self, rmtree, self._folder, ignore_errors=True)
        return self._folder

    def close(self) -> None:
        """End the worker processes and remove the private copies. Nothing can be opened after that."""
        self.pool.close()
        if self._folder is not None:
            self._remove()


def _existing(database: str | Path | None) -> Path | None:
    if database is None:
        return None
    path = Path(database)
    if not path.exists():
        raise BadInput(
            f"no database at {str(path.resolve())!r}; give an existing SQLite file, or a folder of such files"
        )
    return path.resolve()


def _check(name: str, value: object, right: bool, allowed: str) -> None:
    if not right:
        raise BadInput(f"{name} must be {allowed}, got {value!r}")


class SQLSession:
    """One attempt: statements one after the other, on a private copy when the environment writes."""

    instructions = "sql"

    def __init__(self, environment: SQLEnvironment, task: Task, database: Database) -> None:
        self._environment = environment
        self._task = task
        self._database = database
        self._copy: Database | None = None
        self._query: str | None = None

    async def prompt(self) -> str:
        """The schema, one line a table, and the task."""
        tables = await self._run(self._environment.schemas.of, self._database)
        schema = told(tables, self._environment.schema)
        return f"{schema}\n{self._task.prompt}" if schema else self._task.prompt

    async def step(self, action: str, /) -> Step:
        """Run the statement in ``action``; a line ``-- final`` in it says that it is the answer."""
        query = statement_in(action)
        answer, facts = await self._run(self._answer, query)
        self._query = query
        return Step(action=action, observation=observation(answer), facts=facts, done=is_final(action))

    async def final(self) -> Sequence[Fact]:
        """Whether the last query's result, or the state that is left, is the wanted one: hidden."""
        fact = await self._run(self._judged)
        return () if fact is None else (fact,)

    async def close(self) -> None:
        """Remove the private copy."""
        if self._copy is not None and self._copy.path is not None:
            Path(self._copy.path).unlink(missing_ok=True)
            self._copy = None

    async def _run(self, work: Any, *arguments: Any) -> Any:
        return await self._environment.pool.run(work, *arguments)

    def _answer(self, query: str) -> tuple[Answer, tuple[Fact, ...]]:
        environment = self._environment
        if not query:
            answer = Answer(error={"kind": "empty", "message": "there is no SQL statement in this reply"})
        else:
            database = self._writable() if environment.writes else self._database
            request = {
                **database.request(),
                "query": query,
                "tables": None if environment.tables is None else list(environment.tables),
                "write": environment.writes,
                "rows": environment.max_rows,
                "bytes": SHOWN_BYTES,
            }
            answer = environment.pool.query(request, seconds=environment.timeout_seconds)
        if answer.error is not None and answer.error["kind"] == "timeout":
            answer.error["seconds"] = environment.timeout_seconds
        tables = environment.schemas.of(self._database) if answer.error is not None else ()
        return answer, facts_of(query, answer, tables)

    def _writable(self) -> Database:
        if self._copy is None:
            self._copy = private_copy(self._environment, self._database)
        return self._copy

    def _judged(self) -> Fact | None:
        environment, seconds = self._environment, self._environment.timeout_seconds
        if not environment.writes:
            return environment.judge.fact(self._task, self._database, self._query, seconds=seconds)
        left, statements = self._writable(), accepted_queries(self._task)
        if not statements:
            return environment.judge.fact(self._task, left, self._query, seconds=seconds)
        wanted = private_copy(environment, self._database)
        try:
            wrote = carry_out(environment.pool, statements, wanted)
            fact = end_state(environment.pool, left, wanted)
        finally:
            Path(wanted.path or "").unlink(missing_ok=True)
        if wrote or not fact.data["match"]:
            return fact
        # A question, and nothing was changed: the rows decide.
        return environment.judge.fact(self._task, self._database, self._query, seconds=seconds)


def private_copy(environment: SQLEnvironment, database: Database) -> Database:
    """A new file with all that ``database`` holds."""
    folder = environment.folder()
    target = folder / f"{uuid.uuid4().hex}.sqlite"
    request = {"op": "copy", **database.request(), "target": str(target), "folder": str(folder)}
    answer = environment.pool.ask(request, seconds=COPY_SECONDS)
    if "error" in answer:
        raise EnvironmentFailed(f"the database could not be copied: {answer['error']['message']}")
    return Database(path=str(target))
