"""What a statement's answer tells a critic, as facts, and what it tells the agent, as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from agentloop.environments.sql.databases import Table
from agentloop.environments.sql.mistakes import line_and_column
from agentloop.environments.sql.pool import Answer
from agentloop.environments.sql.rows import render
from agentloop.types import Fact

LONGEST_KEPT = 100_000
LONGEST_SEARCHED = 20_000
NEAR = 0.6


def observation(answer: Answer) -> str:
    """What the agent is shown."""
    if answer.error is not None:
        return f"error: {told(answer.error)}"
    if answer.wrote and not answer.columns:
        return f"({answer.changed} {'row' if answer.changed == 1 else 'rows'} changed)"
    return render(answer.rows, answer.more)


def told(error: dict[str, Any]) -> str:
    """An error's message in words that name the limit where one was met."""
    if error["kind"] == "timeout":
        return f"stopped after {error['seconds']:g} seconds"
    if error["kind"] == "several_statements":
        return "only one statement at a time can be run"
    return str(error["message"])


def facts_of(query: str, answer: Answer, tables: Sequence[Table]) -> tuple[Fact, ...]:
    """The public facts of one step."""
    kept = [Fact(kind="query", data={"sql": query})] if len(query) <= LONGEST_KEPT else []
    if answer.error is not None:
        return (*kept, *_of_error(query, answer.error, tables))
    if answer.wrote and not answer.columns:
        return (*kept, Fact(kind="changed", data={"rows": answer.changed}))
    data = {
        "rows": len(answer.rows) + answer.more,
        "columns": len(answer.columns),
        "names": list(answer.columns),
    }
    if answer.more:
        data["cut"] = answer.more
    return (*kept, Fact(kind="rows", data=data))


def _of_error(query: str, error: dict[str, Any], tables: Sequence[Table]) -> Iterator[Fact]:
    data = {"kind": error["kind"], "message": told(error)}
    if error["kind"] == "timeout":
        yield Fact(kind="timeout", data={"seconds": error["seconds"]})
    name = error.get("name")
    if "start" in error:
        line, column = line_and_column(query, error["start"])
        data |= {"start": error["start"], "end": error["end"], "line": line, "column": column}
    if name is not None:
        data["name"] = name
    yield Fact(kind="error", data=data)
    if name is None:
        return
    if error["kind"] == "missing_table":
        yield Fact(kind="missing_name", data=_missing_table(name, tables))
    elif error["kind"] == "missing_column":
        yield Fact(kind="missing_name", data=_missing_column(name, query[:LONGEST_SEARCHED], tables))


def _missing_table(name: str, tables: Sequence[Table]) -> dict[str, Any]:
    return {"what": "table", "name": name, "near": nearest(name, [table.name for table in tables])}


def _missing_column(name: str, query: str, tables: Sequence[Table]) -> dict[str, Any]:
    qualifier, _, column = name.rpartition(".")
    own = _table_called(qualifier, query, tables) if qualifier else None
    used = [own] if own else _tables_in(query, tables)
    near = nearest(column, [each for table in used for each in table.columns])
    lower = column.lower()
    found_in = [table.name for table in tables if lower in (each.lower() for each in table.columns)]
    data: dict[str, Any] = {"what": "column", "name": column, "near": near, "found_in": found_in}
    if own:
        data["table"] = own.name
    elif qualifier:
        data["qualifier"] = qualifier
    return data


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """The known names most like ``name``, best first: by their letters, or one standing in the other."""
    by_lower = {each.lower(): each for each in known}
    lower = name.lower()
    close = get_close_matches(lower, by_lower, n=3, cutoff=NEAR)
    within = (
        [each for each in by_lower if len(each) > 2 and (each in lower or lower in each)] if lower else []
    )
    return [by_lower[each] for each in dict.fromkeys([*close, *within])][:3]


def _table_called(qualifier: str, query: str, tables: Sequence[Table]) -> Table | None:
    """The table that ``qualifier`` names in the query, itself or as its alias."""
    lower = qualifier.lower()
    for table in tables:
        alias = rf"\b{re.escape(table.name)}[\"`\]]?\s+(?:as\s+)?{re.escape(qualifier)}\b"
        if table.name.lower() == lower or re.search(alias, query, re.IGNORECASE):
            return table
    return None


def _tables_in(query: str, tables: Sequence[Table]) -> list[Table]:
    """The tables whose names stand in the query; all of them when none does."""
    words = set(re.findall(r"\w+", query.lower()))
    return [table for table in tables if table.name.lower() in words] or list(tables)
