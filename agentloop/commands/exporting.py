"""``export``: lists the training methods, says what one needs of a log, or writes its rows to a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentloop.commands.building import write_json
from agentloop.commands.telling import tell
from agentloop.errors import AgentloopError, BadInput, MissingExtra
from agentloop.export import FORMATS, METHODS, CriticRow, ExportReport, Filters, Format, Method, SftRow
from agentloop.export.methods import method_named
from agentloop.models import renderer
from agentloop.run import Run


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    method: str | None = None
    format: str | None = None
    out: Path | None = None
    filters: Filters = Filters()
    with_grader_data: bool = False
    tokenizer: str | None = None
    licence: str = "unknown"
    command: str = ""
    push: str | None = None
    """A name on the Hugging Face hub to upload the folder to."""
    yes_push: bool = False

    def check(self, folder: Path | None) -> tuple[Path, str, str, Path]:
        """The run, the method, the format and the folder to write to, when all are there."""
        given = {"RUN": folder, "--method": self.method, "--format": self.format, "--out": self.out}
        lacking = [name for name, value in given.items() if value is None]
        if folder is None or self.method is None or self.format is None or self.out is None:
            raise BadInput(
                f"an export needs RUN --method M --format F --out FOLDER; give {' and '.join(lacking)} as "
                "well ('agentloop export' alone lists the methods)"
            )
        if self.push is not None and not self.yes_push:
            raise BadInput(
                f"--push {self.push} would upload the rows to the Hugging Face hub; say --yes-push as well "
                "if they may leave this machine, or leave --push out"
            )
        if self.yes_push and self.push is None:
            raise BadInput("--yes-push says that a push is meant; say where to with --push NAME")
        return folder, self.method, self.format, self.out


def export(folder: Path | None, wanted: Wanted, *, as_json: bool = False) -> None:
    """Write an export; without a run, tell what could be written."""
    if folder is None and wanted.format is None and wanted.out is None and wanted.push is None:
        _tell_methods(as_json) if wanted.method is None else _tell_method(wanted.method, as_json)
        return
    run, method, format, out = wanted.check(folder)
    report = Run(run).export(
        method,
        format=format,
        to=out,
        filters=wanted.filters,
        with_grader_data=wanted.with_grader_data,
        command=wanted.command,
        licence=wanted.licence,
        render=renderer(wanted.tokenizer) if wanted.tokenizer else None,
    )
    if as_json:
        write_json(report.to_dict())
    else:
        tell(report.summary())
    if wanted.push is not None:
        push(report, wanted.push)


def push(report: ExportReport, name: str) -> None:
    """Upload the export, and nothing else that may lie in its folder, to a data set of the Hugging Face hub.

    A data set that is new there is made private.
    """
    try:
        import httpx
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtra("--push", "huggingface_hub", "train") from error
    folder = Path(report.card_path).parent
    try:
        hub = HfApi()
        hub.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(
            folder_path=folder,
            repo_id=name,
            repo_type="dataset",
            allow_patterns=[*report.files, *report.beside, Path(report.card_path).name],
            commit_message=f"Rows for {report.method}",
        )
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise AgentloopError(
            f"the export is whole in {folder}, but it could not be pushed to {name}: {error}"
        ) from error


def _tell_methods(as_json: bool) -> None:
    if as_json:
        write_json({method.name: _described(method) for method in METHODS.values()})
        return
    width = max(map(len, METHODS))
    for method in METHODS.values():
        tell(f"{method.name:<{width}}  {method.about}")
    tell("\nWhat one needs of a log, and the formats it goes into: agentloop export --method NAME")


def _tell_method(name: str, as_json: bool) -> None:
    method = method_named(name)
    if as_json:
        write_json({method.name: _described(method)})
        return
    tell(method.describe())
    tell("formats:")
    for format in FORMATS.values():
        reason = format.refusal(method)
        tell(f"  {format.name}: {f'no: {reason}' if reason else f'yes{_with_tokenizer(format, method)}'}")


def _described(method: Method) -> dict[str, object]:
    return {
        "about": method.about,
        "source": method.source,
        "needs": [need.field for need in (*method.needs, *method.token_needs)],
        "formats": {format.name: format.refusal(method) for format in FORMATS.values()},
    }


def _with_tokenizer(format: Format, method: Method) -> str:
    texts = {SftRow, CriticRow} & set(format.kinds(method))
    return ", with --tokenizer" if format.wants_tokens and texts else ""
