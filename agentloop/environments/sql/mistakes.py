"""Says what kind of mistake SQLite found in a statement, and at which character."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

LONGEST_MESSAGE = 300
TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|\w+|\S""",
    re.DOTALL,
)
KINDS = (
    ("missing_table", re.compile(r"no such table: (?P<name>.+)", re.DOTALL)),
    ("missing_column", re.compile(r"no such column: (?P<name>.+)", re.DOTALL)),
    ("missing_column", re.compile(r"table .+ has no column named (?P<name>.+)", re.DOTALL)),
    ("ambiguous_column", re.compile(r"ambiguous column name: (?P<name>.+)", re.DOTALL)),
    ("missing_function", re.compile(r"no such function: (?P<name>.+)", re.DOTALL)),
    ("arguments", re.compile(r"wrong number of arguments to function (?P<name>[^(]+)\(")),
    ("aggregate", re.compile(r"misuse of (?:aliased )?(?:aggregate|window)(?: function)?:? (?P<name>[^(]+)")),
    ("syntax", re.compile(r'near "(?P<name>.*)": syntax error', re.DOTALL)),
    ("syntax", re.compile(r'unrecognized token: "(?P<name>.*)"', re.DOTALL)),
    ("syntax", re.compile(r"incomplete input")),
    ("not_allowed", re.compile(r"not authorized|is prohibited|readonly database")),
    ("several_statements", re.compile(r"one statement at a time")),
    ("timeout", re.compile(r"^interrupted$")),
    (
        "too_large",
        re.compile(r"out of memory|too big|too large|too many|too complex|stack overflow|disk is full"),
    ),
    (
        "unreadable",
        re.compile(
            r"database is locked|unable to open database|disk I/O error|not a database|"
            r"disk image is malformed|malformed database schema"
        ),
    ),
    ("constraint", re.compile(r"constraint failed")),
)


def describe(
    error: BaseException,
    query: str,
    *,
    connection: sqlite3.Connection | None = None,
    refused: str | None = None,
) -> dict[str, Any]:
    """The mistake as ``kind``, ``message``, and where they are known ``name``, ``start`` and ``end``."""
    message = "out of memory" if isinstance(error, MemoryError) else str(error)
    if isinstance(error, (sqlite3.DataError, OverflowError)) and "large" in message:
        message = "the statement is too large"
    kind, name = ("unreadable", None) if isinstance(error, OSError) else _kind(message)
    if kind == "not_allowed" and refused:
        message = f"not allowed: {refused}"
    found: dict[str, Any] = {"kind": kind, "message": _short(message)}
    place = None
    if name is not None:
        found["name"] = _short(name)
        place = _syntax_at(query, name, connection) if kind == "syntax" else position(query, name)
    elif message == "incomplete input":
        place = (len(query.rstrip()),) * 2
    return found if place is None else {**found, "start": place[0], "end": place[1]}


def _kind(message: str) -> tuple[str, str | None]:
    for kind, pattern in KINDS:
        match = pattern.search(message)
        if match:
            return kind, match.groupdict().get("name")
    return "other", None


def position(query: str, name: str) -> tuple[int, int] | None:
    """Where the identifier ``name``, maybe qualified as in ``t.id``, first stands outside of strings."""
    wanted = [part.lower() for part in name.split(".")]
    tokens = [
        (match.start(), match.end(), _bare(match.group()))
        for match in TOKEN.finditer(query)
        if not match.group().startswith(("--", "/*", "'"))
    ]
    for index, (start, _, _) in enumerate(tokens):
        following = tokens[index : index + 2 * len(wanted) - 1 : 2]
        if [text for _, _, text in following] == wanted:
            return start, following[-1][1]
    return None


def _syntax_at(query: str, token: str, connection: sqlite3.Connection | None) -> tuple[int, int] | None:
    """The occurrence of ``token`` that SQLite stumbles over: the query up to it fails alike.

    EXPLAIN keeps a beginning of the query that is itself right from being run.
    """
    places = [match for match in TOKEN.finditer(query) if match.group().startswith(token[:1]) or not token]
    places = [place for place in places if query.startswith(token, place.start())]
    if len(places) <= 1 or connection is None:
        return (places[0].start(), places[0].start() + len(token)) if places else None
    for place in places[:50]:
        try:
            connection.execute("EXPLAIN " + query[: place.start() + len(token)]).close()
        except (sqlite3.Error, sqlite3.Warning) as error:
            if f'"{token}"' in str(error):
                return place.start(), place.start() + len(token)
    return None


def line_and_column(query: str, at: int) -> tuple[int, int]:
    """Line and column of the character ``at``, both counted from 1."""
    before = query[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def _bare(token: str) -> str:
    if token[0] in '"`[':
        token = token[1:-1]
    return token.lower()


def _short(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "..."
