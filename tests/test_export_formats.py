"""Every method in every format over one rich log: it works and trains what it should, or says why not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentloop.errors import UnsupportedExport
from agentloop.export import (
    FORMATS,
    METHODS,
    CriticRow,
    ExportReport,
    GroupRow,
    Row,
    SftRow,
    support,
    write_export,
)
from agentloop.export.formats.demands import demands_of
from agentloop.export.making import Making, groups_of, lines_of
from agentloop.types import Trajectory
from tests.export_logs import render
from tests.export_readers import beside, read
from tests.export_rich_log import LEAKED, SENTINEL, rich_log, rows_of

pytest.importorskip("pyarrow", reason="pyarrow is in the extra 'train'")


def grouped(method: str) -> bool:
    """Whether rows of the method hold whole groups of samples."""
    return GroupRow in METHODS[method].kinds


PAIRS = [(method, format) for method, row in support().items() for format in row]
WORKING = [pair for pair in PAIRS if support()[pair[0]][pair[1]] is None]
TEXTS = (SftRow, CriticRow)
WITH_TEXTS = [name for name, found in METHODS.items() if set(found.kinds) & set(TEXTS)]
SUPERVISED = [(name, format) for name, format in WORKING if name in WITH_TEXTS and not grouped(name)]
LOG = rich_log()


def exported(method: str, format: str, folder: Path) -> ExportReport:
    return write_export(LOG, method=method, format=format, to=folder, command="c", render=render)


def trained(row: Row) -> list[str]:
    """The messages of a supervised row that are trained."""
    return [each["content"] for each in row.messages if each["loss"]] if isinstance(row, TEXTS) else []


@pytest.mark.parametrize(("method", "format"), PAIRS)
def test_every_pair_works_over_a_rich_log_or_is_refused_with_the_reason_and_the_way_out(
    method: str, format: str, tmp_path: Path
) -> None:
    reason = support()[method][format]
    if reason is not None:
        with pytest.raises(UnsupportedExport) as caught:
            exported(method, format, tmp_path / "x")
        assert reason in str(caught.value)
        assert "--format" in reason
        assert list(tmp_path.iterdir()) == []
        return
    report = exported(method, format, tmp_path / "x")
    found = read(format, tmp_path / "x", list(report.files))
    beside(format, tmp_path / "x", list(report.files))
    assert report.rows == sum(report.files.values()) == len(found) > 0
    logged = {attempt.id for trajectory in LOG for attempt in trajectory.attempts}
    assert all(set(each.meta["attempts"]) <= logged for each in found)


@pytest.mark.parametrize(("method", "format"), WORKING)
def test_an_export_made_twice_is_the_same_bytes(method: str, format: str, tmp_path: Path) -> None:
    for name in ("a", "b", "a"):
        exported(method, format, tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b")
    )
    assert first == second
    assert "README.md" in first


@pytest.mark.parametrize(("method", "format"), WORKING)
def test_nothing_hidden_stands_in_any_file(method: str, format: str, tmp_path: Path) -> None:
    report = exported(method, format, tmp_path / "x")
    ids = ",".join(map(str, render([{"role": "user", "content": SENTINEL}], False)[2:-1]))
    for path in (tmp_path / "x").iterdir():
        data = path.read_bytes()
        assert SENTINEL.encode() not in data
        assert ids.encode() not in data
        assert b"LOCKED" not in data
    assert report.left_out["its task is in the locked test split"] == 1
    assert LEAKED in report.left_out or METHODS[method].attempts == 1


@pytest.mark.parametrize(("method", "format"), WORKING)
def test_the_rows_of_a_group_can_be_made_again_from_its_trajectories_alone(method: str, format: str) -> None:
    def made(trajectories: list[Trajectory]) -> list[dict[str, Any]]:
        making = Making(method=METHODS[method], format=FORMATS[format], render=render)
        return list(lines_of(trajectories, making))

    alone = [line for members in groups_of(LOG) for line in made(members)]
    assert made(LOG) == alone
    assert alone


@pytest.mark.parametrize(("method", "format"), [pair for pair in SUPERVISED if pair[1] != "tokens"])
def test_a_trainer_reads_as_trained_exactly_the_messages_that_the_method_trains(
    method: str, format: str, tmp_path: Path
) -> None:
    report = exported(method, format, tmp_path / "x")
    found = read(format, tmp_path / "x", list(report.files))
    told = Counter(text for each in found if each.kind in ("sft", "whole") for text in each.trained)
    assert told == Counter(text for row in rows_of(method, LOG) for text in trained(row))


@pytest.mark.parametrize("method", [method for method, format in SUPERVISED if format == "tokens"])
def test_the_labels_of_format_tokens_are_exactly_the_messages_that_the_method_trains(
    method: str, tmp_path: Path
) -> None:
    report = exported(method, "tokens", tmp_path / "x")
    found = read("tokens", tmp_path / "x", list(report.files))
    told = Counter(text for each in found for text in each.trained)
    assert told == Counter("".join(trained(row)) for row in rows_of(method, LOG))


@pytest.mark.parametrize("method", [name for name in METHODS if not grouped(name)])
def test_what_is_said_of_a_methods_demands_is_what_its_rows_demand(method: str) -> None:
    found = {demand for row in rows_of(method, LOG) for demand in demands_of(row)}
    assert found == set(METHODS[method].demands)


def test_a_method_of_several_kinds_gets_a_file_for_each_and_the_card_a_configuration(tmp_path: Path) -> None:
    report = exported("cdf", "trl", tmp_path / "x")
    assert set(report.files) == {"sft.jsonl", "preference.jsonl"}
    head = (tmp_path / "x" / "README.md").read_text().split("---\n")[1]
    configs = json.loads(next(line for line in head.splitlines() if line.startswith("configs"))[9:])
    assert configs == [
        {"config_name": "sft", "data_files": "sft.jsonl"},
        {"config_name": "preference", "data_files": "preference.jsonl"},
    ]


def test_a_method_of_several_kinds_of_which_one_is_missing_writes_no_empty_file(tmp_path: Path) -> None:
    general = [each for each in LOG if each.task.public.get("scope") in ("near", "general")]
    for log in (LOG, general):
        report = write_export(log, method="c3po", format="trl", to=tmp_path / "x")
    assert list(report.files) == ["sft.jsonl"]
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["README.md", "sft.jsonl"]


def test_one_row_of_tokens_is_like_another_so_they_share_a_file() -> None:
    assert FORMATS["tokens"].files(METHODS["rltf-fm"]) == {"rows": "rows.jsonl"}


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "verl"])
@pytest.mark.parametrize("method", ["sft", "cdf", "dpo", "kto", "sdpo", "leti", "grpo", "critic-sft"])
def test_rows_load_with_datasets_by_the_configurations_of_the_card(
    method: str, format: str, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    if support()[method][format] is not None:
        pytest.skip("refused")
    report = exported(method, format, tmp_path / "x")
    single = len(report.files) == 1
    for file, count in report.files.items():
        name = None if single else Path(file).stem
        loaded = datasets.load_dataset(str(tmp_path / "x"), name, cache_dir=str(tmp_path / "cache"))
        assert len(loaded["train"]) == count


def table() -> str:
    """The table of docs/export.md."""
    said = ["| method | " + " | ".join(FORMATS) + " |", "|---|" + "---|" * len(FORMATS)]
    for method, row in support().items():
        cells = ("yes" if reason is None else "" for reason in row.values())
        said.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return "\n".join(said)


def test_the_table_in_the_documents_is_what_the_formats_support() -> None:
    text = (Path(__file__).parent.parent / "docs" / "export.md").read_text()
    assert table() in text, f"put this into docs/export.md:\n\n{table()}"
