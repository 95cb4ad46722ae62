"""The data set card: counts, sources, licence, command, and what the labels rest on."""

from pathlib import Path

import pytest

from agentloop.export import write_export
from tests.export_logs import TASK, Tried, log, worked_example


def card_of(folder: Path, *trajectories: object, method: str = "rltf-sd", **options: object) -> str:
    report = write_export(
        list(trajectories or worked_example()), method=method, format="tokens", to=folder, **options
    )
    return Path(report.card_path).read_text()


def test_the_card_tells_counts_sources_and_the_command(tmp_path: Path) -> None:
    text = card_of(tmp_path / "x", command="agentloop export runs/x --method rltf-sd", licence="cc-by-4.0")
    for part in (
        "| rows | 8 (rl: 6, sd: 2) |",
        "| from | 4 trajectories in 1 groups |",
        "| runs (rows) | run-1: 8 |",
        "| models (rows) | m: 8 |",
        "| policies (rows) | p1: 8 |",
        "| splits (rows) | train: 8 |",
        "| privileged | no |",
        "| licence | cc-by-4.0 |",
        "    agentloop export runs/x --method rltf-sd",
        'license: "cc-by-4.0"',
        "the run's grader",
    ):
        assert part in text


def test_a_licence_that_nobody_gave_is_unknown(tmp_path: Path) -> None:
    assert 'license: "unknown"' in card_of(tmp_path / "x")


def test_the_card_says_when_labels_are_the_critics_and_privileged(tmp_path: Path) -> None:
    text = card_of(
        tmp_path / "x",
        log("count/0", Tried("two", told="Right.", verdict="pass", privileged=True)),
        log("count/1", Tried("three", told="No.", verdict="fail", privileged=True)),
    )
    assert "the critic's feedback, since the log holds no grader's score" in text
    assert "| privileged | 2 rows |" in text
    assert "**privileged**" in text


def test_the_card_says_how_many_groups_teach_nothing(tmp_path: Path) -> None:
    alone = log("alone/0", Tried("two", 1.0), group="alone", task=TASK.replace(id="alone"))
    text = card_of(tmp_path / "x", *worked_example(), alone)
    assert "| groups of one | 1, whose" in text
    assert "| groups without a difference | 1, whose" in text


def test_the_card_is_a_header_that_dataset_hubs_read(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = card_of(tmp_path / "x")
    assert text.startswith("---\n")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["configs"] == [{"config_name": "default", "data_files": "rows.jsonl"}]
