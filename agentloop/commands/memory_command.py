"""The commands under ``agentloop memory``; what they do is in the files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentloop.commands.options import Json

memory_app = typer.Typer(help="Look at what a memory keeps, and mend it.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="folder of a memory")]
Id = Annotated[str, typer.Argument(help="id of a correction, or its beginning")]
Runs = Annotated[
    Path | None, typer.Option(help="folder with folders of runs in it, searched for the journals that taught")
]
Status = Annotated[str | None, typer.Option(help="candidate, active, quarantined or retired")]


@memory_app.command("list")
def memory_list(
    folder: Folder,
    *,
    status: Status = None,
    scope: Annotated[
        str | None, typer.Option(help="only those with this in applies_when or not_when")
    ] = None,
    text: Annotated[str | None, typer.Option(help="only those with these words in what they say")] = None,
    json: Json = False,
) -> None:
    """List what the memory keeps, a line each."""
    from agentloop.commands import keeping

    keeping.show_all(folder, keeping.Sought(status=status, scope=scope, text=text), as_json=json)


@memory_app.command("show")
def memory_show(folder: Folder, id: Id, *, json: Json = False) -> None:
    """Show one correction with its scope, where it came from, and how it fared."""
    from agentloop.commands import keeping

    keeping.show(folder, id, as_json=json)


@memory_app.command("edit")
def memory_edit(
    folder: Folder,
    id: Id,
    *,
    text: Annotated[str | None, typer.Option(help="what it says")] = None,
    applies_when: Annotated[str | None, typer.Option(help="exact as house=acme, or in words")] = None,
    not_when: Annotated[str | None, typer.Option(help="tasks it must not reach, in the same form")] = None,
    key: Annotated[str | None, typer.Option(help="the words it is found by")] = None,
    status: Status = None,
    json: Json = False,
) -> None:
    """Change one correction; without options, in your $EDITOR. The earlier version stays in the log."""
    from agentloop.commands import keeping

    changes = {"text": text, "applies_when": applies_when, "not_when": not_when, "key": key, "status": status}
    keeping.edit(folder, id, changes, as_json=json)


@memory_app.command("forget")
def memory_forget(
    folder: Folder,
    id: Id,
    *,
    erase: Annotated[
        bool, typer.Option("--erase", help="take its words out of log and index as well, as of a secret")
    ] = False,
    json: Json = False,
) -> None:
    """Forget one correction. Its words stay in the log unless they are erased."""
    from agentloop.commands import keeping

    keeping.forget(folder, id, erased=erase, as_json=json)


@memory_app.command("why")
def memory_why(folder: Folder, id: Id, *, runs: Runs = None, json: Json = False) -> None:
    """Show the trajectory and the words that taught a correction, and every use of it since."""
    from agentloop.commands import why

    why.why(folder, id, runs=runs, as_json=json)


@memory_app.command("audit")
def memory_audit(
    folder: Folder,
    *,
    runs: Runs = None,
    unused: Annotated[
        int, typer.Option(help="how many recalls one may pass without being recalled itself")
    ] = 200,
    fix: Annotated[
        bool, typer.Option("--fix", help="mend what can be mended without losing anything")
    ] = False,
    json: Json = False,
) -> None:
    """Find duplicates, contradictions, secrets, harm and damage; exit code 1 when something must be done."""
    from agentloop.commands import auditing

    if not auditing.examine(folder, unused_after=unused, runs=runs, fix=fix, as_json=json):
        raise typer.Exit(1)


@memory_app.command("merge")
def memory_merge(
    folder: Folder,
    what: Annotated[list[str], typer.Argument(help="other folders, or ids of corrections with --into")],
    *,
    into: Annotated[str | None, typer.Option(help="the correction that gets the uses of the others")] = None,
    json: Json = False,
) -> None:
    """Take in another memory with its history, or put corrections together into one."""
    from agentloop.commands import carrying

    carrying.merge(folder, what, into=into, as_json=json)


@memory_app.command("import")
def memory_import(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="JSON or JSON Lines: an export of ours, of Mem0 or LangMem")],
    *,
    form: Annotated[str, typer.Option("--from", help="auto, own, mem0 or langmem")] = "auto",
    as_exported: Annotated[
        bool, typer.Option("--as-exported", help="keep status and counts, to restore an export of ours")
    ] = False,
    json: Json = False,
) -> None:
    """Take corrections in from a file, as candidates that name their source; all of them or none."""
    from agentloop.commands import carrying

    carrying.import_file(folder, file, form=form, as_exported=as_exported, as_json=json)


@memory_app.command("export")
def memory_export(
    folder: Folder,
    *,
    out: Annotated[Path | None, typer.Option(help="file to write; standard output without it")] = None,
    status: Status = None,
) -> None:
    """Write the corrections as JSON Lines, which 'agentloop memory import' reads."""
    from agentloop.commands import carrying

    carrying.export(folder, out=out, status=status)


@memory_app.command("rebuild")
def memory_rebuild(
    folder: Folder,
    *,
    embedder: Annotated[
        str, typer.Option(help="hashing, minilm:FOLDER, litellm:NAME, or FILE.py:NAME of your own")
    ] = "hashing",
    json: Json = False,
) -> None:
    """Make every vector anew, by another embedder if one is named."""
    from agentloop.commands import carrying

    carrying.rebuild(folder, embedder=embedder, as_json=json)


@memory_app.command("worth")
def memory_worth(folder: Folder, *, json: Json = False) -> None:
    """Tell what showing each correction changes in the pass rate, with its interval."""
    from agentloop.commands import worth

    worth.tell_worths(folder, as_json=json)


@memory_app.command("refused")
def memory_refused(folder: Folder, *, json: Json = False) -> None:
    """List what the write gate did not let in, and why."""
    from agentloop.commands import worth

    worth.tell_refused(folder, as_json=json)
