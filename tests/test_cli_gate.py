"""``--gate`` and ``agentloop memory replay``: what is learnt is a candidate until it is shown to help."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def agentloop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentloop.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def done(*arguments: str, cwd: Path) -> dict[str, Any]:
    ended = agentloop(*arguments, "--json", cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


TINY = ("--critic", "tiny", "--temperature", "0", "--max-tokens", "48")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a gated memory has met 40 tasks of one house."""
    folder = tmp_path_factory.mktemp("gated")
    learn = ("--tasks", "tiny:train:acme", "--count", "40", "--out", "learn", "--memory", "notes", "--gate")
    done("run", *learn, *TINY, cwd=folder)
    return folder


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in done("memory", "list", "notes", cwd=folder)["corrections"]}


def test_what_a_gated_run_learns_waits_as_a_candidate_and_a_replay_decides(taught: Path) -> None:
    before = kept(taught)
    assert len(before) >= 3
    assert {each["status"] for each in before.values()} == {"candidate"}
    texts = [each["text"] for each in before.values()]
    assert len(texts) == len(set(texts)), "what was said again strengthens what is kept"
    wanted = next(id for id, each in before.items() if "hefty" in each["text"])
    ask = ("--tasks", "tiny:dev:acme", "--count", "300", "--id", wanted[:8], "--out", "replays")
    (found,) = done("memory", "replay", "notes", *ask, *TINY, cwd=taught)["replays"]
    assert found["id"] == wanted
    assert found["better"] + found["worse"] + found["same"] > 0
    expected = {"helps": "active", "harms": "quarantined"}.get(found["verdict"], "candidate")
    assert found["status"] == kept(taught)[wanted].get("status", "active") == expected
    assert found["verdict"] == "helps"


def test_a_replay_with_too_few_tasks_or_without_a_memory_is_refused_in_one_line(taught: Path) -> None:
    ended = agentloop(
        "memory", "replay", "notes", "--tasks", "tiny:dev:acme", "--count", "3", "--out", "few", cwd=taught
    )
    assert ended.returncode == 2
    assert "needs at least 9 tasks" in ended.stderr
    ended = agentloop("memory", "replay", "none", "--tasks", "tiny:dev", "--out", "few", cwd=taught)
    assert ended.returncode == 2
    assert "no memory at none" in ended.stderr


def test_a_gate_without_a_memory_of_corrections_is_refused(tmp_path: Path) -> None:
    for more in ([], ["--memory", "notes", "--policy", "preferences"]):
        ended = agentloop("run", "--tasks", "tiny:dev", "--out", "out", "--gate", *more, cwd=tmp_path)
        assert ended.returncode == 2
        assert "--gate is for a memory of corrections" in ended.stderr
