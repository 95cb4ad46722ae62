"""The words for the facts of an SQL environment. They hold neither the accepted query nor a wanted row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.critics.words import Finding, counted, listed

Data = Mapping[str, Any]

ADVICE = {
    "aggregate": "An aggregate stands where only single values may; conditions on it belong in HAVING.",
    "ambiguous_column": "Several of the tables have a column of that name; put the table's name before it.",
    "arguments": "The function takes another number of arguments.",
    "missing_function": "SQLite has no function of that name.",
    "several_statements": "Give one statement only.",
    "too_large": "The statement, or a value in it, is larger than what is allowed.",
}
TIMEOUT_ADVICE = (
    "It does too much work; look for tables joined without a condition and for a recursion without end."
)
EMPTY_ADVICE = (
    "Look at the conditions: a value may be written otherwise in the database, or a join finds no partner."
)
MISSING = ("missing_table", "missing_column")


def of_error(data: Data) -> Finding | None:
    """An error of SQLite, or a refusal. A missing name is told by its own fact."""
    if data["kind"] in MISSING or data["kind"] == "timeout":
        return None
    place = f" at line {data['line']}, column {data['column']}" if "line" in data else ""
    near = f", at `{data['name']}`" if place and data.get("name") else ""
    what = "was refused" if data["kind"] == "not_allowed" else "fails"
    how = f"SQLite says: {data['message']}."
    return Finding(
        "fail", f"The statement {what}{place}{near}.", f"{how} {ADVICE.get(data['kind'], '')}".strip()
    )


def of_missing_name(data: Data) -> Finding:
    """A table or column that is not there, with the nearest that is."""
    what, name = data["what"], data["name"]
    place = f" in table `{data['table']}`" if "table" in data else ""
    hints = []
    if data.get("qualifier"):
        hints.append(f"Nothing in the query is called `{data['qualifier']}`.")
    if data["near"]:
        hints.append(f"Did you mean {listed(data['near'], 'or')}?")
    if data.get("found_in"):
        tables = "The table" if len(data["found_in"]) == 1 else "The tables"
        has = "has" if len(data["found_in"]) == 1 else "have"
        hints.append(f"{tables} {listed(data['found_in'])} {has} a column of that name.")
    return Finding("fail", f"There is no {what} `{name}`{place}.", " ".join(hints))


def of_timeout(data: Data) -> Finding:
    """A statement that ran too long."""
    return Finding("fail", f"The statement was stopped after {data['seconds']:g} seconds.", TIMEOUT_ADVICE)


def of_rows(data: Data) -> Finding | None:
    """A result, of which without hidden data only its emptiness can be told."""
    if data["rows"] == 0:
        return Finding("unsure", "The query returned no rows.", EMPTY_ADVICE)
    size = f"{counted(data['rows'], 'row')} of {counted(data['columns'], 'column')}"
    return Finding("unsure", f"The query ran and returned {size}; whether they are right was not checked.")


def of_changed(data: Data) -> Finding | None:
    """What a statement that writes has changed."""
    if data["rows"] == 0:
        return Finding("unsure", "The statement changed no row.", "Look at its conditions.")
    changed = counted(data["rows"], "row")
    return Finding("unsure", f"The statement changed {changed}; whether they are right was not checked.")


def of_result_match(data: Data) -> Finding | None:
    """How the result compares with the wanted one."""
    if data["match"]:
        return Finding("pass", "The result is the wanted one.", share=1.0)
    reason = data.get("reason", "rows")
    if reason == "error":
        return None  # the error tells it better
    return MISMATCHES[reason](data)


def _no_query(_data: Data) -> Finding:
    return Finding("fail", "No query was given.")


def _columns(data: Data) -> Finding:
    how = f"The result has {counted(data['columns'], 'column')}; {data['wanted_columns']} are wanted."
    if data["wanted_columns"] == 1:
        how = how.replace("are wanted", "is wanted")
    if data.get("extra_columns"):
        how += f" Not wanted, or with other values: {listed(data['extra_columns'])}."
    if data.get("missing_columns"):
        how += f" Not in it: {counted(data['missing_columns'], 'wanted column')}."
    return Finding("fail", "The columns of the result are wrong.", how)


def _rows(data: Data) -> Finding:
    if "wanted_rows" not in data:
        return Finding("fail", "The rows of the result are wrong.")
    said = []
    if data["rows_difference"]:
        wanted = data["wanted_rows"]
        said.append(
            f"It has {counted(data['rows'], 'row')}; {wanted} {'is' if wanted == 1 else 'are'} wanted."
        )
    if data.get("extra"):
        rows = counted(data["extra"], "row does", "rows do")
        said.append(f"{rows} not belong in it, for example {_example(data['extra_rows'])}.")
    if data.get("missing"):
        said.append(f"{counted(data['missing'], 'wanted row is', 'wanted rows are')} not in it.")
    return Finding("fail", "The rows of the result are wrong.", " ".join(said), _share(data))


def _duplicates(data: Data) -> Finding:
    many = data["rows_difference"] > 0
    how = f"It has {counted(data['rows'], 'row')}; {data['wanted_rows']} are wanted, among which "
    how += "none stands there so often." if many else "some stand there more often."
    where = "Rows are repeated that should not be." if many else "Rows are missing that should be repeated."
    return Finding("fail", where, how, _share(data))


def _order(_data: Data) -> Finding:
    return Finding("fail", "The rows are right, but their order is wrong.", "Look at ORDER BY.", 1.0)


def _column_order(_data: Data) -> Finding:
    where = "The columns are right, but their order is wrong."
    return Finding("fail", where, "Return them in the order in which the task names them.", 1.0)


def _types(_data: Data) -> Finding:
    where = "The values are right, but of the wrong type."
    return Finding("fail", where, "Text stands where a number is wanted, or a number where text is.", 1.0)


def _other_filling(_data: Data) -> Finding:
    where = "The result is right on this database only by chance."
    return Finding("fail", where, "With other rows in the same tables the query gives a wrong result.", 0.5)


def _end_state(data: Data) -> Finding:
    names = [table["table"] for table in data["tables"]]
    where = f"The end state of {'table' if len(names) == 1 else 'tables'} {listed(names)} is wrong."
    return Finding("fail", where, " ".join(_table(table) for table in data["tables"][:3]))


def _table(table: Data) -> str:
    name = f"`{table['table']}`"
    if table["reason"] == "missing table":
        return f"{name} is not there."
    if table["reason"] == "extra table":
        return f"{name} should not be there."
    said = []
    if table["extra"]:
        rows = counted(table["extra"], "row stands", "rows stand")
        said.append(f"{rows} in {name} that should not, for example {_example(table['extra_rows'])}.")
    if table["missing"]:
        said.append(f"{counted(table['missing'], 'wanted row is', 'wanted rows are')} not in {name}.")
    return " ".join(said)


def _example(rows: Sequence[Sequence[Any]]) -> str:
    return "(" + ", ".join("NULL" if value is None else str(value) for value in rows[0]) + ")"


def _share(data: Data) -> float:
    """The rows that match, out of all rows on either side: the F1 of the rows."""
    total = data["rows"] + data["wanted_rows"]
    return 1 - (data.get("extra", 0) + data.get("missing", 0)) / total if total else 0.0


MISMATCHES: Mapping[str, Callable[[Data], Finding]] = {
    "no query": _no_query,
    "columns": _columns,
    "rows": _rows,
    "duplicates": _duplicates,
    "order": _order,
    "column order": _column_order,
    "text and number": _types,
    "other filling": _other_filling,
    "end state": _end_state,
}
SQL_WORDS: Mapping[str, Callable[[Data], Finding | None]] = {
    "error": of_error,
    "missing_name": of_missing_name,
    "timeout": of_timeout,
    "rows": of_rows,
    "changed": of_changed,
    "result_match": of_result_match,
}
