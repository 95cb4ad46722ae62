"""``agentloop export`` as it is called: lists, refusals, broken logs, and a push that must be meant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from agentloop import Feedback, ScriptedModel, Task, cli, improve, reflect_and_retry
from agentloop.commands import exporting
from agentloop.errors import BadInput, JournalCorrupt
from agentloop.export import FORMATS, METHODS, Filters
from agentloop.types import Attempt
from tests.export_logs import lines
from tests.hub import Hub

PUSH = ["--push", "me/rows", "--yes-push"]
TASKS = [Task(id=f"t{i}", prompt=f"Task {i}", split="train") for i in range(3)]


def says_good(attempt: Attempt) -> Feedback:
    if "good" in attempt.text:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text="Say good.", verdict="fail", score=0.0)


def improves(messages: object, sampling: object) -> str:
    return "good" if "Say good." in str(messages) else "bad"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "r"
    improve(
        reflect_and_retry(model=ScriptedModel(improves), critic=says_good, attempts=2), TASKS, folder=folder
    )
    return folder


def wanted(out: Path, **changes: object) -> exporting.Wanted:
    return exporting.Wanted(**{"method": "sft", "format": "trl", "out": out, **changes})


def agentloop(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentloop.cli", "export", *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


def test_without_anything_every_method_is_told_in_one_line(tmp_path: Path) -> None:
    told = agentloop(cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in told[: len(METHODS)]] == list(METHODS)
    assert told[len(METHODS) + 1].endswith("agentloop export --method NAME")
    assert json.loads(agentloop("--json", cwd=tmp_path).stdout).keys() == METHODS.keys()


def test_the_help_names_every_format() -> None:
    hints = get_type_hints(cli.export, include_extras=True)
    assert hints["format"].__metadata__[0].help.split(", ") == list(FORMATS)


def test_a_method_without_a_run_is_told_with_its_needs_and_formats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exporting.export(None, exporting.Wanted(method="rltf-fm"))
    told = capsys.readouterr().out
    assert "replies[].logprobs" in told
    assert "  tokens: yes, with --tokenizer\n" in told
    assert "  trl: no: " in told
    assert all(f"  {format}: " in told for format in FORMATS)


def test_a_run_without_a_method_is_told_what_is_lacking(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give --method and --format and --out as well"):
        exporting.export(ran, exporting.Wanted())
    with pytest.raises(BadInput, match="give RUN as well"):
        exporting.export(None, wanted(tmp_path / "x"))


def test_rows_are_written_with_the_filters_that_were_asked_for(ran: Path, tmp_path: Path) -> None:
    arguments = [
        "--method",
        "fcp",
        "--format",
        "trl",
        "--out",
        "x",
        "--min-score",
        "1",
        "--distinct",
        "--json",
    ]
    done = agentloop(str(ran), *arguments, "--split", "train", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert report["rows"] == 3
    assert report["left_out"] == {"no attempt of the row has a score of 1 or more": 3}
    card = (tmp_path / "x" / "README.md").read_text()
    assert "| filters | split train, min_score 1.0, distinct True |" in card
    assert "--min-score 1" in card


def test_a_run_that_was_cut_off_in_its_last_line_is_exported_without_it(ran: Path, tmp_path: Path) -> None:
    whole = (ran / "journal.jsonl").read_bytes()
    cut = copied(ran, tmp_path / "r", whole[:-20])
    exporting.export(cut, wanted(tmp_path / "x"))
    assert len(lines(tmp_path / "x" / "rows.jsonl")) == len(TASKS) - 1


@pytest.mark.parametrize("kept", ["nothing", "no end"])
def test_a_run_with_no_finished_trajectory_is_an_error_and_writes_nothing(
    kept: str, ran: Path, tmp_path: Path
) -> None:
    entries = (ran / "journal.jsonl").read_bytes().splitlines(keepends=True)
    unfinished = b"".join(entry for entry in entries if b'"end"' not in entry)
    empty = copied(ran, tmp_path / "r", b"" if kept == "nothing" else unfinished)
    with pytest.raises(BadInput, match="holds no finished trajectory; run the agent first"):
        exporting.export(empty, wanted(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_broken_line_in_the_middle_is_an_error_and_writes_nothing(ran: Path, tmp_path: Path) -> None:
    entries = (ran / "journal.jsonl").read_bytes().splitlines(keepends=True)
    broken = copied(ran, tmp_path / "r", b"".join([*entries[:-1], b'{"place": \n', entries[-1]]))
    with pytest.raises(JournalCorrupt, match=f"line {len(entries)} of .* is not JSON"):
        exporting.export(broken, wanted(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def copied(run: Path, folder: Path, journal: bytes) -> Path:
    shutil.copytree(run, folder)
    (folder / "journal.jsonl").write_bytes(journal)
    return folder


def test_a_push_that_is_not_confirmed_is_refused_before_anything_is_done(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="say --yes-push as well"):
        exporting.export(ran, wanted(tmp_path / "x", push="me/rows"))
    with pytest.raises(BadInput, match="say where to with --push NAME"):
        exporting.export(ran, wanted(tmp_path / "x", yes_push=True))
    assert list(tmp_path.iterdir()) == []


def test_without_a_push_the_hub_is_never_touched(ran: Path, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from agentloop.commands import exporting\n"
        "wanted = exporting.Wanted(method='sft', format='trl', out=pathlib.Path('x'))\n"
        "exporting.export(pathlib.Path(sys.argv[1]), wanted)\n"
        "assert 'huggingface_hub' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(ran)], cwd=tmp_path, check=True)


def test_a_confirmed_push_uploads_what_was_written_to_a_private_data_set(ran: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="it is in the extra 'train'")
    arguments = ["--method", "sft", "--format", "llama-factory", "--out", "x"]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("not for others")
    with Hub() as hub:
        done = agentloop(
            str(ran),
            *arguments,
            *PUSH,
            cwd=tmp_path,
            HF_ENDPOINT=hub.address,
            HF_TOKEN="hf_none",
            HF_HUB_OFFLINE="0",
        )
    assert done.returncode == 0, done.stderr
    assert (hub.made["organization"], hub.made["name"], hub.made["type"]) == ("me", "rows", "dataset")
    assert hub.private
    written = ("README.md", "dataset_info.json", "rows.jsonl")
    assert hub.files == {name: (tmp_path / "x" / name).read_bytes() for name in written}


def test_a_push_that_fails_says_that_the_export_is_whole(ran: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="it is in the extra 'train'")
    arguments = ["--method", "sft", "--format", "trl", "--out", "x"]
    done = agentloop(str(ran), *arguments, *PUSH, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "the export is whole in x, but it could not be pushed to me/rows" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "x" / "rows.jsonl").is_file()


def test_a_split_that_does_not_exist_is_refused(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no split named 'tset'"):
        exporting.export(ran, wanted(tmp_path / "x", filters=Filters(split="tset")))
