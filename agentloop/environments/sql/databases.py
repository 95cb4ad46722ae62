"""Which database a task means, and what is told of it in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.environments.sql.pool import Pool
from agentloop.errors import BadInput
from agentloop.types import Task

SchemaStyle: TypeAlias = Literal["names", "full", "none"]
SCHEMA_SECONDS = 30.0
SUFFIXES = ("", ".sqlite", ".sqlite3", ".db")


class Database(NamedTuple):
    """A database file, or a script that builds one in memory; ``changed`` tells a file's versions apart."""

    path: str | None = None
    script: str | None = None
    changed: int = 0

    def request(self) -> dict[str, Any]:
        """The database as a worker is told of it."""
        return {"script": self.script} if self.script is not None else {"database": self.path}


class Table(NamedTuple):
    """A table or view: its name, its columns in order, its CREATE statement."""

    name: str
    columns: tuple[str, ...]
    create: str


def of_task(task: Task, given: Path | None) -> Database:
    """The database of ``task``: its own script or file, or else the one the environment was given.

    A file named in a task is looked for in the environment's folder, or beside its file.
    """
    script, name = task.public.get("script"), task.public.get("database")
    if script is not None:
        if not isinstance(script, str):
            raise BadInput(f"task {task.id!r}: public.script must be SQL text, got {type(script).__name__}")
        return Database(script=script)
    if name is not None:
        return of_file(_named(task, str(name), given))
    if given is None:
        raise BadInput(
            f"task {task.id!r} names no database and SQLEnvironment() was given none; set public.database "
            "(a file) or public.script (SQL text) in the task, or use SQLEnvironment('path.sqlite')"
        )
    if given.is_dir():
        raise BadInput(
            f"task {task.id!r} names no database, and {str(given)!r} is a folder; set public.database to the "
            "name of a file in it"
        )
    return of_file(given)


def of_file(path: str | Path) -> Database:
    """A database file, which must exist."""
    path = Path(path).resolve()
    if not path.is_file():
        raise BadInput(f"no database file at {str(path)!r}; give the path of an existing SQLite file")
    # The file is not opened here: closing it would drop the locks this process may hold on it.
    return Database(path=str(path), changed=path.stat().st_mtime_ns)


def _named(task: Task, name: str, given: Path | None) -> Path:
    folder = Path.cwd() if given is None else given if given.is_dir() else given.parent
    if Path(name).is_absolute():
        return Path(name)
    for suffix in SUFFIXES:
        path = (folder / (name + suffix)).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise BadInput(
                f"task {task.id!r}: database {name!r} leads out of {str(folder)!r}; name a file inside"
            )
        if path.is_file():
            return path
    raise BadInput(f"task {task.id!r}: no database file {name!r} in {str(folder)!r}")


class Schemas:
    """The tables of databases, asked for once each."""

    def __init__(self, pool: Pool, tables: Sequence[str] | None) -> None:
        self._pool = pool
        self._tables = None if tables is None else {name.lower() for name in tables}
        self.of = lru_cache(maxsize=512)(self._ask)

    def _ask(self, database: Database) -> tuple[Table, ...]:
        answer = self._pool.ask({"op": "schema", **database.request()}, seconds=SCHEMA_SECONDS)
        if "error" in answer:
            raise BadInput(f"the {_what(database)} cannot be read: {answer['error']['message']}")
        found = [Table(name, tuple(columns), create) for name, columns, create in answer["tables"]]
        if self._tables is None:
            return tuple(found)
        unknown = self._tables - {table.name.lower() for table in found}
        if unknown:
            known = ", ".join(table.name for table in found)
            raise BadInput(f"no table {sorted(unknown)} in the {_what(database)}; it has: {known}")
        return tuple(table for table in found if table.name.lower() in self._tables)


def _what(database: Database) -> str:
    return "task's script" if database.path is None else f"database {database.path!r}"


def told(tables: Sequence[Table], style: SchemaStyle) -> str:
    """The schema as text: names of tables and columns, the CREATE statements, or nothing."""
    if style == "none":
        return ""
    if style == "full":
        return "\n".join(table.create.strip() + ";" for table in tables)
    return "\n".join(f"{table.name}({', '.join(table.columns)})" for table in tables)
