"""``agentloop memory list | show | edit | forget``: what a memory keeps, seen and changed by a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from agentloop.commands import editor
from agentloop.commands.listing import columns, one_line, print_rows, shortened, shorter, told, write_json
from agentloop.commands.telling import tell
from agentloop.errors import BadInput, MemoryLocked
from agentloop.memories import CorrectionMemory
from agentloop.memories.caretaking import look_after
from agentloop.memories.erasing import erase
from agentloop.memories.history import History
from agentloop.memories.secrets import secret_in
from agentloop.types import Correction


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Which corrections are listed: by status, by a part of the scope, by words of the text; None for all."""

    status: str | None = None
    scope: str | None = None
    text: str | None = None

    def __call__(self, correction: Correction) -> bool:
        """Whether a correction is among them; letters' case does not count."""
        scope = f"{correction.applies_when} {correction.not_when}"
        return (
            self.status in (None, correction.status)
            and _within(self.scope, scope)
            and _within(self.text, f"{correction.text} {correction.key}")
        )


def _within(asked: str | None, text: str) -> bool:
    return asked is None or asked.lower() in text.lower()


def show_all(folder: Path, sought: Sought, *, as_json: bool) -> None:
    """The corrections that are sought, a line each."""
    kept = tuple(History(folder).ledger.corrections.values())
    found = [each for each in kept if sought(each)]
    if as_json:
        write_json({"corrections": [correction.to_dict() for correction in found]})
        return
    print_rows(_table(found, kept))
    of = f"{len(found)} of {len(kept)}" if len(found) < len(kept) else f"{len(kept)}"
    counts = {status: sum(each.status == status for each in found) for status in _STATUSES}
    told_counts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    tell(f"{of} corrections" + (f": {told_counts}" if told_counts else ""))


_STATUSES = ("active", "candidate", "quarantined", "retired")


def _table(found: Sequence[Correction], kept: Sequence[Correction]) -> Table:
    """A row for each; the text takes what is left of the line, and its scope stands before it."""
    width = shorter([each.id for each in kept])
    table = columns("id", "status", "+recalled", "+helped", "+hurt", "*what it says")
    for each in found:
        scope = f"[{shortened(each.applies_when, 18)}] " if each.applies_when else ""
        counts = (str(each.recalled), str(each.helped), str(each.hurt))
        table.add_row(*map(one_line, (each.id[:width], each.status, *counts, scope + each.text)))
    return table


def show(folder: Path, id: str, *, as_json: bool) -> None:
    """One correction in full."""
    found = find(History(folder).ledger.corrections, id)
    if as_json:
        write_json(found.to_dict())
        return
    told(_fields(found))


def _fields(found: Correction) -> dict[str, str]:
    source = found.source
    origin = ", ".join(
        f"{name} {value}"
        for name, value in (
            ("run", source.run),
            ("trajectory", source.trajectory),
            ("attempt", source.attempt or ""),
        )
        if value
    )
    return {
        "id": found.id,
        "says": found.text,
        "applies when": found.applies_when or "always",
        "not when": found.not_when,
        "found by": found.key,
        "status": found.status,
        "uses": f"recalled {found.recalled}, helped {found.helped}, hurt {found.hurt}",
        "kind": f"{found.kind}, {found.level} level",
        "taught by": origin or "nothing says by whom",
        "in the words": source.quote,
        "created": found.created,
    }


def edit(folder: Path, id: str, changes: Mapping[str, str | None], *, as_json: bool) -> None:
    """Change one correction: by what is given, or else in the editor."""
    held = find(History(folder).ledger.corrections, id)
    given = {name: value for name, value in changes.items() if value is not None}
    if given:
        changed = _changed(folder, held, given)
    else:
        with editor.asked(held) as wanted:
            changed = _changed(folder, held, wanted)
    if as_json:
        write_json(changed.to_dict())
    elif changed == held:
        tell(f"nothing changed: {one_line(held.text)}")
    else:
        told({name: value for name, value in _fields(changed).items() if value != _fields(held)[name]})
        tell("changed; the earlier version stays in the log (agentloop memory why)")


def _changed(folder: Path, held: Correction, wanted: Mapping[str, str]) -> Correction:
    """Write the change, unless a secret is in it or the correction was changed meanwhile."""
    if not wanted:
        return held
    for name, value in wanted.items():
        secret = secret_in(value, personal=False)
        if secret and value != getattr(held, name, None):
            raise BadInput(f"the new {name} holds {secret}; leave it out, a memory is shown to models")
    with opened(folder) as memory:
        now = memory.get(held.id)
        if any(getattr(now, name) != getattr(held, name) for name in wanted):
            raise BadInput(f"{held.id} was changed meanwhile; look at it again and repeat the edit")
        return memory.edit(held.id, **wanted)


def forget(folder: Path, id: str, *, erased: bool, as_json: bool) -> None:
    """Forget one correction; with ``erased``, take its words out of the log as well."""
    found = find(History(folder).ledger.corrections, id, erasing=folder if erased else None)
    if erased:
        with who_holds(folder):
            lines = erase(folder, found.id)
    else:
        lines = 0
        with opened(folder) as memory:
            memory.forget(found.id)
    if as_json:
        write_json({"forgotten": found.id, "lines_erased": lines})
    elif erased:
        tell(f"forgotten and erased from {lines} lines of the log; the index is made anew: {found.id}")
    else:
        tell(f"forgotten: {one_line(found.text)}")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[CorrectionMemory]:
    """The memory open for writing, whatever embedder it has."""
    with who_holds(folder), look_after(folder) as memory:
        yield memory


@contextlib.contextmanager
def who_holds(folder: Path) -> Iterator[None]:
    """Tell a person at the command line what to do where another process writes."""
    try:
        yield
    except MemoryLocked as error:
        raise MemoryLocked(
            f"{_holder(folder)} has the memory in {folder} open for writing. Wait until it has ended, or "
            "stop it; list, show, why, audit and export work meanwhile"
        ) from error


def _holder(folder: Path) -> str:
    """Which process holds the folder, with the command that it runs where that can be seen."""
    try:
        number = (folder / "lock").read_text().strip()
        command = (Path("/proc") / number / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return "another process"
    if not number:
        return "a writer with url="
    said = one_line(" ".join(command.split("\0"))).plain.strip()
    return f"process {number} ({said[:100]})" if said else f"process {number}"


def find(kept: Mapping[str, Correction], id: str, *, erasing: Path | None = None) -> Correction:
    """The one correction whose id is ``id`` or begins so; what is erased may be forgotten already."""
    among = dict(kept)
    if erasing is not None:
        among = {each.id: each for each in _ever(erasing)}
    if id in among:
        return among[id]
    found = [each for each in among.values() if each.id.startswith(id)]
    if len(found) == 1:
        return found[0]
    said = f"{len(found)} corrections begin so" if found else f"none of {len(among)} begins so"
    raise BadInput(f"no single correction with id {id!r}: {said}; see 'agentloop memory list'")


def _ever(folder: Path) -> Iterator[Correction]:
    for event in History(folder).events:
        if event["event"] == "recorded":
            yield Correction.from_dict(event["correction"])
