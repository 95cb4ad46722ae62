"""The rows of a log as TRL's trainers take them, with what a trainer must know of them beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.export import (
    CriticRow,
    ExportReport,
    Filters,
    PreferenceRow,
    Render,
    Row,
    SftRow,
    UnpairedRow,
    write_export,
)
from agentloop.export.making import Log
from agentloop.export.methods import METHODS
from agentloop.models import renderer
from agentloop.training.conditioning import own_prompts, usual_praise
from agentloop.types import digest

OUT_OF_SCOPE = "an answer out of scope, to which TRL's DPO trainer cannot hold the model fast"


@dataclass(frozen=True)
class Kind:
    """One of TRL's trainers: its name there, the sequences it makes of a row, its fewest rows at once."""

    name: str
    sequences: int = 1
    fewest: int = 1


KINDS: dict[type[Row], Kind] = {
    SftRow: Kind("SFT"),
    CriticRow: Kind("SFT"),
    PreferenceRow: Kind("DPO", sequences=2),
    UnpairedRow: Kind("KTO", fewest=2),
}


class TrlRows:
    """The rows of a log as TRL reads them, exported to ``folder``."""

    def __init__(self, log: Log, method: str, *, base: Path, folder: Path) -> None:
        render, context = _checked_renderer(base), _context(base)
        self.folder = folder
        self.kind = KINDS[METHODS[method].kinds[0]]
        self.report = write_export(
            log,
            method=method,
            format="trl",
            to=folder,
            filters=Filters(max_tokens=context),
            prompts=own_prompts(base),
            render=render,
        )
        self.lines = _lines(self.report)
        self.tasks = frozenset(line.pop("meta")["task_id"] for line in self.lines)
        self.longest = max(len(ids) for line in self.lines for ids in _sequences(line, render))
        self.digest = digest(*map(json.dumps, self.lines))
        self.praise = usual_praise(log() if callable(log) else log)
        fewest = self.kind.fewest
        if len(self.lines) < fewest:
            raise BadInput(f"{method} needs at least {fewest} rows, and the log gives {len(self.lines)}")

    @property
    def left_out(self) -> dict[str, int]:
        """What of the log is not trained on, and why."""
        kept = {OUT_OF_SCOPE: self.report.files["sft.jsonl"]} if "sft.jsonl" in self.report.files else {}
        return {**self.report.left_out, **kept}

    def dataset(self, seed: int) -> Any:
        """The rows as TRL's trainer takes them."""
        import datasets

        rows = datasets.Dataset.from_list(self.lines)
        return rows.shuffle(seed=seed) if self.kind.name == "KTO" else rows


def _lines(report: ExportReport) -> list[dict[str, Any]]:
    path = Path(report.path)
    if "preference.jsonl" not in report.files and "sft.jsonl" in report.files:
        raise BadInput(
            f"no pair to train on for {report.method}: the log's rows are all out of scope; "
            "TRL trains the pairs of tasks in scope"
        )
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _sequences(line: dict[str, Any], render: Render) -> Iterator[Sequence[int]]:
    """The token sequences that a line becomes."""
    if "input_ids" in line:
        yield line["input_ids"]
    elif "messages" in line:
        yield render(line["messages"], False)
    else:
        answers = [line[name] for name in ("completion", "chosen", "rejected") if name in line]
        for answer in answers:
            yield render([*line["prompt"], *answer], False)


def _checked_renderer(base: Path) -> Render:
    from transformers import AutoTokenizer

    if AutoTokenizer.from_pretrained(base, local_files_only=True).chat_template is None:
        raise BadInput(f"the tokenizer in {base} has no chat template; add one to it as chat_template.jinja")
    return renderer(base)


def _context(base: Path) -> int | None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, local_files_only=True)
    return getattr(config, "max_position_embeddings", None)
