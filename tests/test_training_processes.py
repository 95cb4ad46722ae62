"""Two processes on one CPU: the losses of one, one writer, and one that evaluates."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentloop import Run
from agentloop.training import train
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import equal_weights, quick
from tests.training_process import STEPS, settings_and_source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


def launch(base: Path, to: Path, *, online: bool, resume: bool = False, dies: int = 0) -> int:
    """Train in two processes; the exit code."""
    (to / "reports").mkdir(parents=True, exist_ok=True)
    asked = {
        "base": str(base),
        "out": str(to / "out"),
        "reports": str(to / "reports"),
        "online": online,
        "resume": resume,
        "dies": dies,
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "tests.training_process", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if not dies:
        assert done.returncode == 0, done.stderr[-4000:]
    return done.returncode


def reports(to: Path) -> list[dict[str, Any]]:
    return [json.loads((to / "reports" / f"{rank}.json").read_text()) for rank in (0, 1)]


def alone(base: Path, out: Path, *, online: bool) -> Any:
    return train(quick("rltf-sd"), model=base, out=out, **settings_and_source(online=online))


@pytest.fixture(scope="module")
def on_a_log(base: Path, tmp_path_factory: Any) -> Path:
    to = tmp_path_factory.mktemp("two")
    launch(base, to, online=False)
    return to


def test_two_processes_learn_from_a_log_what_one_does(base: Path, on_a_log: Path, tmp_path: Path) -> None:
    one = alone(base, tmp_path, online=False)
    for report in reports(on_a_log):
        assert report["processes"] == 2
        assert report["losses"] == pytest.approx([step["loss"] for step in one.steps], rel=1e-4)
    assert equal_weights(on_a_log / "out" / "checkpoint", one.checkpoint, within=1e-4)


def test_the_first_process_alone_writes_and_evaluates(on_a_log: Path) -> None:
    first, second = reports(on_a_log)
    assert first["told"] == list(range(1, STEPS + 1))
    assert first["gain"]
    assert sorted(first["judged"]) == sorted(["held0", "held1", "held2"] * 2)
    assert (second["told"], second["gain"], second["judged"]) == ([], False, [])
    assert "training.json" in first["changed"]
    assert all(name.startswith("state/step-") for name in second["changed"]), "its random numbers"


def test_what_is_refused_is_refused_by_all(on_a_log: Path) -> None:
    assert all("holds no training" in report["refused"] for report in reports(on_a_log))


def test_two_processes_practise_like_one_and_go_on_after_one_has_died(base: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    assert launch(base, two, online=True, dies=2) != 0
    launch(base, two, online=True, resume=True)
    one = alone(base, tmp_path / "one", online=True)
    for report in reports(two):
        assert report["losses"] == pytest.approx([step["loss"] for step in one.steps], rel=5e-3)
        assert report["completions"] == one.completions
    assert equal_weights(two / "out" / "checkpoint", one.checkpoint, within=5e-3)
    shares = [
        {each.task.id for each in Run(two / "out" / "rollouts" / f"step-00001-process-{rank}").trajectories()}
        for rank in (0, 1)
    ]
    assert [len(share) for share in shares] == [2, 2]
    assert not shares[0] & shares[1]
    written = [json.loads(line)["step"] for line in (two / "out" / "training.jsonl").read_text().splitlines()]
    assert written == list(range(1, STEPS + 1))
    (second,) = (report for report in reports(two) if not report["gain"])
    assert all("process-1" in name or name.startswith("state/step-") for name in second["changed"])
