"""``agentloop memory audit``: what is wrong with a memory, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.text import Text

from agentloop.commands.keeping import opened
from agentloop.commands.listing import columns, one_line, print_rows, shorter, write_json
from agentloop.commands.telling import out, tell
from agentloop.commands.why import run_folders
from agentloop.errors import BadInput, JournalError, MemoryLocked
from agentloop.journal import read
from agentloop.memories import CorrectionMemory
from agentloop.memories.auditing import KINDS, REMEDIES, Finding, audit
from agentloop.memories.carrying import merge_one
from agentloop.memories.embedding import Identity
from agentloop.memories.history import History
from agentloop.memories.index_health import index_damage, torn_logs
from agentloop.memories.local import LocalVectors
from agentloop.types import Source

_SHOWN = 10


def examine(folder: Path, *, unused_after: int, runs: Path | None, fix: bool, as_json: bool) -> bool:
    """Tell what is found; with ``fix``, after what can be mended was. False while something must be done."""
    mended: list[Finding] = []
    findings = look(folder, unused_after=unused_after, runs=runs)
    if fix and any(finding.fixable for finding in findings):
        mended = [finding for finding in findings if finding.fixable]
        mend(folder, mended)
        findings = look(folder, unused_after=unused_after, runs=runs)
    due = sum(finding.must for finding in findings)
    if as_json:
        shown = {"findings": findings, "mended": mended}
        write_json({"due": due, **{name: [each.to_dict() for each in some] for name, some in shown.items()}})
    else:
        _tell(findings, mended)
    return due == 0


def look(folder: Path, *, unused_after: int, runs: Path | None) -> Sequence[Finding]:
    """Everything that is found in the folder, the gravest kinds first."""
    torn = [Finding(kind="torn", told=told, must=False) for told in torn_logs(folder)]
    try:
        history = History(folder)
    except BadInput as error:
        if not folder.is_dir():
            raise
        return [Finding(kind="log", told=str(error), must=True)]
    found = _in_runs(runs) if runs is not None else None
    return [*torn, *_index(history), *audit(history, unused_after=unused_after, found_in_runs=found)]


def mend(folder: Path, findings: Sequence[Finding]) -> None:
    """Do what loses nothing: quarantine, put duplicates together, have the index made anew."""
    with opened(folder) as memory:
        for finding in findings:
            _mend(memory, finding)


def _mend(memory: CorrectionMemory, finding: Finding) -> None:
    if finding.kind == "index":
        LocalVectors(memory.keeping.folder, Identity("", "", None), exact_below=0).drop()
    elif finding.kind == "duplicate":
        for other in finding.ids[1:]:
            merge_one(memory, other, into=finding.ids[0])
    else:
        for id in finding.ids:
            memory.edit(id, status="quarantined")


def _index(history: History) -> Sequence[Finding]:
    try:
        damage = index_damage(history.folder, history.ledger)
    except MemoryLocked:
        told = "another process has the memory open for writing; its index was not looked at"
        return [Finding(kind="index", told=told, must=False)]
    return [Finding(kind="index", told=damage, must=True, fixable=True)] if damage else []


def _in_runs(runs: Path) -> Callable[[Source], bool]:
    """Whether a trajectory is finished in a journal under ``runs``; of any run where none is named."""
    if not runs.is_dir():
        raise BadInput(f"--runs: no folder {runs}; give one with folders of runs in it")
    ends = {end for folder in run_folders(runs, "") for end in _ends(folder)}
    return lambda source: (source.run, source.trajectory) in ends


def _ends(folder: Path) -> Iterator[tuple[str, str]]:
    """The finished trajectories of a run, with its name and without."""
    run = ""
    try:
        for entry in read(folder / "journal.jsonl"):
            run = entry["run"] if "journal" in entry else run
            if "end" in entry:
                yield from ((run, entry["end"]), ("", entry["end"]))
    except JournalError as error:
        tell(f"{folder} cannot be read to its end: {error}")


def _tell(findings: Sequence[Finding], mended: Sequence[Finding]) -> None:
    width = shorter([id for finding in findings for id in finding.ids])
    for kind in KINDS:
        some = [finding for finding in findings if finding.kind == kind]
        if not some:
            continue
        note = "" if any(finding.must for finding in some) else " (worth a look)"
        out.print(Text(f"{len(some)} {kind}{note}"), soft_wrap=False)
        out.print(Text(f"  to do: {REMEDIES[kind]}"), soft_wrap=False)
        table = columns("", "", "*")
        for finding in some[:_SHOWN]:
            ids = " ".join(id[:width] for id in finding.ids[:2])
            table.add_row("  ", one_line(ids), one_line(finding.told))
        print_rows(table)
        if len(some) > _SHOWN:
            tell(f"  and {len(some) - _SHOWN} more; all of them with --json")
    for kind in sorted({finding.kind for finding in mended}):
        tell(f"mended: {sum(finding.kind == kind for finding in mended)} {kind}")
    due = sum(finding.must for finding in findings)
    tell(f"{due} to be done, {len(findings) - due} worth a look" if findings else "nothing found")
