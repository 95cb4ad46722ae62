"""What other memories wrote down, read as corrections: Mem0, LangMem, and our own exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.memories.carrying import HEADER
from agentloop.memories.namespaces import scope_of, words_of
from agentloop.memories.scope import conditions
from agentloop.types import SCHEMA_VERSION, Correction, Source, correction_id

Item = Mapping[str, Any]
_OWNERS = ("user_id", "agent_id", "app_id")


@dataclass
class Dump:
    """The corrections of a file, and what of it is none: the place in the file with why."""

    form: str
    corrections: list[Correction] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def read_dump(path: str | Path, form: str = "auto") -> Dump:
    """Read a file whole; BadInput when it is damaged, cut off, or of no known form.

    - ``own``: what ``agentloop memory export`` writes.
    - ``mem0``: what ``get_all`` of Mem0 returns, as JSON: a list, or one under ``results`` (or ``memories``);
      or one memory a line; or rows of its vector store with a ``payload``. ``user_id``, ``agent_id`` and
      ``app_id`` become the scope; what has expired is left out.
    - ``langmem``: items of a LangGraph store as LangMem writes them (``item.dict()``), as a list, under
      ``items``, or one a line; the namespace becomes the scope.

    Everything imported names its source: run ``mem0`` or ``langmem``, trajectory the id it had there.
    """
    if form not in ("auto", *_FORMS):
        raise BadInput(f"no form {form!r} of a dump; known: auto, {', '.join(_FORMS)}")
    items = _items(Path(path))
    found = _form(items, path) if form == "auto" else form
    if found == "own":
        return _own(items, Path(path))
    dump = Dump(found)
    for number, item in enumerate(items, start=1):
        try:
            dump.corrections.append(_FORMS[found](item))
        except _LeftOut as error:
            dump.left_out[f"item {number}"] = str(error)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f"item {number} is none of {found}: {type(error).__name__} {error}"
            raise _refusal(path, why) from error
    return dump


class _LeftOut(Exception):
    """An item that is not to be taken over, with why."""


def _items(path: Path) -> list[Any]:
    """The items of a JSON file or of JSON lines."""
    if not path.is_file():
        raise BadInput(f"no file {path}; give a dump: JSON, or JSON Lines")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8: {error}; give JSON or JSON Lines") from error
    try:
        whole = json.loads(text)
    except ValueError:
        return _of_lines(text, path)
    for name in ("results", "memories", "items"):
        if isinstance(whole, dict) and isinstance(whole.get(name), list):
            return list(whole[name])
    return whole if isinstance(whole, list) else [whole]


def _of_lines(text: str, path: Path) -> list[Any]:
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise _refusal(path, f"line {number} is not JSON ({error})") from error
    return found


def _form(items: Sequence[Any], path: str | Path) -> str:
    first = items[0] if items else {}
    if isinstance(first, dict):
        if HEADER in first:
            return "own"
        if {"namespace", "key", "value"} <= first.keys():
            return "langmem"
        if "memory" in first or "payload" in first:
            return "mem0"
    names = ", ".join(first) if isinstance(first, dict) and first else "nothing that is known"
    raise _refusal(path, f"its first item has {names}; name the form by --from own, mem0 or langmem")


def _refusal(path: str | Path, why: str) -> BadInput:
    return BadInput(f"{path} cannot be imported: {why}. Nothing was imported")


def _own(items: Sequence[Any], path: Path) -> Dump:
    header, rest = (items[0] if items else {}), items[1:]
    if not isinstance(header, dict) or header.get(HEADER) != SCHEMA_VERSION:
        raise _refusal(path, f"its first line is not that of an export with version {SCHEMA_VERSION}")
    if header.get("corrections") != len(rest):
        raise _refusal(
            path, f"it was cut off: {header.get('corrections')} corrections announced, {len(rest)} there"
        )
    dump = Dump("own")
    for number, item in enumerate(rest, start=2):
        try:
            dump.corrections.append(Correction.from_dict(item))
        except (ValueError, TypeError) as error:
            why = f"line {number} is no correction ({' '.join(str(error).split())[:200]})"
            raise _refusal(path, why) from error
    return dump


def _mem0(item: Item) -> Correction:
    payload: Item = item.get("payload") or item
    text = payload.get("memory") or payload.get("data") or ""
    ends = payload.get("expiration_date")
    if ends and str(ends)[:10] < datetime.now(UTC).date().isoformat():
        raise _LeftOut(f"it expired on {str(ends)[:10]}")
    owners = {name: str(payload[name]) for name in _OWNERS if payload.get(name)}
    scope = ", ".join(f"{name}={value}" for name, value in owners.items())
    if owners and conditions(scope) != owners:
        raise _LeftOut(f"its owner cannot be a scope: {scope}")
    return _correction("mem0", str(item["id"]), text, scope, payload.get("created_at"))


def _langmem(item: Item) -> Correction:
    value = item["value"]
    namespace = tuple(map(str, item["namespace"]))
    if not isinstance(value, dict):
        raise TypeError("its value is no object")
    name = "/".join((*namespace, str(item["key"])))
    return _correction(
        "langmem", name, words_of(value) if value else "", scope_of(namespace), item.get("created_at")
    )


def _correction(run: str, name: str, text: Any, scope: str, created: Any) -> Correction:
    if not isinstance(text, str) or not text.strip():
        raise _LeftOut("it says nothing")
    return Correction(
        id=correction_id(run, name, text),
        text=text,
        applies_when=scope,
        source=Source(run=run, trajectory=name),
        status="candidate",
        created=created if isinstance(created, str) else "",
    )


_FORMS: Mapping[str, Callable[[Item], Correction]] = {
    "own": lambda item: Correction.from_dict(dict(item)),
    "mem0": _mem0,
    "langmem": _langmem,
}
