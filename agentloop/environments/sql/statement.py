"""Finds the SQL statement in what a model replied."""

from __future__ import annotations

import re

FENCE = "```"
OPENING = (
    "SELECT WITH VALUES INSERT UPDATE DELETE REPLACE CREATE DROP ALTER PRAGMA ATTACH DETACH VACUUM BEGIN "
    "COMMIT ROLLBACK SAVEPOINT RELEASE ANALYZE REINDEX EXPLAIN"
)
STATEMENT = re.compile(rf"^[ \t(]*(?:{OPENING.replace(' ', '|')})\b", re.IGNORECASE | re.MULTILINE)
LABELS = ("sql", "sqlite", "sqlite3", "")
FINAL = re.compile(r"^[ \t]*--[ \t]*final\b[^\n]*$", re.IGNORECASE | re.MULTILINE)


def statement_in(reply: str) -> str:
    """The statement: the last fenced block of SQL, else from the first line that begins like SQL.

    Text without either is taken whole, so that SQLite says what is wrong with it.
    """
    text = _spoken(reply)
    blocks = _fenced(text)
    if blocks:
        return blocks[-1].strip()
    begin = STATEMENT.search(text)
    if begin is None:
        return text.strip()
    return re.split(r"\n[ \t]*\n", text[begin.start() :], maxsplit=1)[0].strip()


def _spoken(reply: str) -> str:
    """The reply without what stands between <think> and </think>."""
    parts: list[str] = []
    lower, end = reply.lower(), 0
    while True:
        begin = lower.find("<think>", end)
        close = lower.find("</think>", begin) if begin >= 0 else -1
        if close < 0:
            return "".join([*parts, reply[end:]])
        parts.append(reply[end:begin])
        end = close + len("</think>")


def _fenced(text: str) -> list[str]:
    """The fenced blocks that hold SQL. The last may be left open."""
    blocks = []
    for block in text.split(FENCE)[1::2]:
        label, _, rest = block.partition("\n")
        word, _, same_line = block.partition(" ")
        if label.strip().lower() in LABELS:
            blocks.append(rest)
        elif word.lower() in LABELS and word:
            blocks.append(same_line)
        elif STATEMENT.match(block):
            blocks.append(block)
    return blocks


def is_final(reply: str) -> bool:
    """Whether the reply says by a line ``-- final`` that its statement is the answer."""
    return FINAL.search(reply) is not None
