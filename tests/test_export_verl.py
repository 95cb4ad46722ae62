"""Format verl: exactly its five columns, and grader data only when asked for."""

import json
from pathlib import Path

import pytest

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export import write_export
from agentloop.export.formats.verl import COLUMNS, open_parquet
from agentloop.types import Task
from tests.export_logs import TASK, Tried, log, worked_example

pytest.importorskip("pyarrow", reason="pyarrow is in the extra 'train'")
SECRET = Task(id="count", prompt="How many users?", hidden={"query": "SELECT XYZZY_7741"}, split="train")


def table(folder: Path, *trajectories: object, **options: object) -> list[dict[str, object]]:
    import pyarrow.parquet

    report = write_export(
        list(trajectories or worked_example()), method="sft", format="verl", to=folder, **options
    )
    read = pyarrow.parquet.read_table(report.path)
    assert tuple(read.column_names) == COLUMNS
    return read.to_pylist()


def test_the_file_has_exactly_the_columns_of_verl(tmp_path: Path) -> None:
    import pyarrow.parquet

    report = write_export(worked_example(), method="sft", format="verl", to=tmp_path / "x")
    schema = pyarrow.parquet.read_schema(report.path)
    assert schema.names == ["data_source", "prompt", "ability", "reward_model", "extra_info"]
    assert [field.name for field in schema.field("reward_model").type] == ["style", "ground_truth"]
    assert [field.name for field in schema.field("prompt").type.value_type] == ["role", "content"]


def test_the_question_and_the_answer_are_where_verls_sft_reads_them(tmp_path: Path) -> None:
    rows = table(tmp_path / "x")
    assert [row["extra_info"]["answer"] for row in rows] == ["two", "two!", "2"]
    assert {row["extra_info"]["question"] for row in rows} == {TASK.prompt}
    assert rows[0]["prompt"] == [{"role": "user", "content": TASK.prompt}]


def test_a_prompt_of_several_messages_has_no_question_to_train_under_by_mistake(tmp_path: Path) -> None:
    (row,) = table(tmp_path / "x", log("count/0", Tried("two", 1.0), system="You write SQL."))
    assert row["extra_info"]["question"] is None
    assert [message["role"] for message in row["prompt"]] == ["system", "user"]


def test_each_turn_of_a_many_step_attempt_is_a_row(tmp_path: Path) -> None:
    rows = table(tmp_path / "x", log("count/0", Tried(["look", "two"], 1.0)))
    assert [(row["extra_info"]["index"], row["extra_info"]["answer"]) for row in rows] == [
        (0, "look"),
        (1, "two"),
    ]


def test_ground_truth_is_empty_unless_it_is_asked_for(tmp_path: Path) -> None:
    trajectory = log("count/0", Tried("two", 1.0), task=SECRET)
    (row,) = table(tmp_path / "x", trajectory)
    assert row["reward_model"] == {"style": "rule", "ground_truth": ""}
    assert b"XYZZY" not in (tmp_path / "x" / "rows.parquet").read_bytes()
    (row,) = table(tmp_path / "y", trajectory, with_grader_data=True)
    assert json.loads(row["reward_model"]["ground_truth"]) == SECRET.hidden
    card = (tmp_path / "y" / "README.md").read_text()
    assert "grader data" in card
    assert "XYZZY" not in card


@pytest.mark.parametrize("method", ["dpo", "rltf-sd", "rltf-fm", "critique-grpo"])
def test_what_verl_cannot_carry_is_refused_with_the_way_out(method: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedExport, match="use --format (tokens|trl)"):
        write_export(worked_example(), method=method, format="verl", to=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_grader_data_in_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column for grader data"):
        write_export(worked_example(), method="sft", format="trl", to=tmp_path / "x", with_grader_data=True)


def test_rows_beyond_one_batch_are_all_written(tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    with open_parquet(path) as write:
        for n in range(2500):
            write({"data_source": str(n)})
    read = pyarrow.parquet.read_table(path).column("data_source").to_pylist()
    assert read == [str(n) for n in range(2500)]


def test_rows_load_with_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    table(tmp_path / "x")
    loaded = datasets.load_dataset(str(tmp_path / "x"), cache_dir=str(tmp_path / "cache"))["train"]
    assert tuple(loaded.column_names) == COLUMNS
    assert len(loaded) == 3
