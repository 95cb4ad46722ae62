"""``agentloop doctor``: what is installed, which guards are active, which models answer."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentloop.errors import AgentloopError
from agentloop.types import Task
from agentloop.version import __version__

EXTRAS = {
    "core": ("pydantic", "langgraph", "litellm", "typer", "rich", "numpy", "sqlglot"),
    "memory": ("chromadb",),
    "local": ("torch", "transformers"),
    "train": ("trl", "peft", "accelerate", "datasets", "pyarrow"),
    "web": ("playwright",),
}
HOSTILE = {
    "writes are refused": "DELETE FROM t",
    "no file can be attached": "ATTACH DATABASE 'other.sqlite' AS other",
    "no temporary view can shadow a table": "CREATE TEMP VIEW t AS SELECT 1",
    "no extension can be loaded": "SELECT load_extension('x')",
    "an endless query is ended": (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"
    ),
}


def examine(models: Sequence[str]) -> dict[str, Any]:
    """Everything as one object for programs."""
    return {
        "agentloop": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "guards": {"sql": sql_guards()},
        "models": {name: _answers(name) for name in models},
        "keys": sorted(name for name in os.environ if name.endswith("_API_KEY")),
    }


def sql_guards() -> dict[str, bool]:
    """Each guard of the SQL environment, tried out: True when it holds."""
    from agentloop.environments import SQLEnvironment

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.sqlite"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE t(a)")
            database.execute("INSERT INTO t VALUES (7)")
        database.close()
        environment = SQLEnvironment(path, timeout_seconds=0.5)
        try:
            return asyncio.run(_try_guards(environment))
        finally:
            environment.close()


async def _try_guards(environment: Any) -> dict[str, bool]:
    held = {}
    for name, statement in HOSTILE.items():
        session = environment(Task(id="doctor", prompt=""))
        stopped = await session.step(statement)
        after = await session.step("SELECT a FROM t")
        held[name] = stopped.observation.startswith("error") and after.observation == "7"
        await session.close()
    return held


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _answers(name: str) -> dict[str, Any]:
    """Ask a model for a few tokens; what went wrong, if anything, in its own words."""
    from agentloop.models import ChatModel

    try:
        model = ChatModel(name, max_tokens=8, temperature=0.0)
        replies = asyncio.run(model.complete([{"role": "user", "content": "Say hello."}]))
    except AgentloopError as error:
        return {"answers": False, "why": f"{type(error).__name__}: {error}"}
    return {"answers": True, "reply": replies[0].text}


def lines(found: dict[str, Any]) -> list[str]:
    """The findings for a person."""
    said = [f"agentloop {found['agentloop']}, Python {found['python']}, SQLite {found['sqlite']}"]
    for extra, packages in found["packages"].items():
        missing = [name for name, version in packages.items() if version is None]
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        fix = f"; missing {', '.join(missing)}: pip install 'agentloop-toolkit[{extra}]'" if missing else ""
        said.append(f"{extra:>8}: {have or 'nothing'}{fix}")
    for guard, held in found["guards"]["sql"].items():
        said.append(f"     sql: {'holds' if held else 'DOES NOT HOLD'}: {guard}")
    for name, answer in found["models"].items():
        said.append(
            f"   model: {name} {'answers' if answer['answers'] else 'does not answer: ' + answer['why']}"
        )
    said.append(f"    keys: {', '.join(found['keys']) or 'none in the environment'}")
    return said
