"""Programming tasks on the command line, offline, with a scripted model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

MODEL = """
from agentloop.environments.code import small_tasks
from agentloop.models.programmer import programmer

model = programmer({task.prompt: task.hidden["solution"] for task in small_tasks()})
"""


def agentloop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    (cwd / "mine.py").write_text(MODEL)
    command = [sys.executable, "-m", "agentloop.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


RUN = ("run", "--environment", "code", "--model", "mine.py:model", "--critic", "execution", "--json")


@pytest.mark.slow
def test_the_tasks_of_the_package_are_solved_after_words_that_locate_the_bug(tmp_path: Path) -> None:
    told = {}
    for level in ("explained", "binary"):
        options = ("--tasks", "code:small", "--level", level, "--attempts", "2", "--out", level)
        done = agentloop(*RUN, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told[level] = json.loads(done.stdout)
    assert {level: figures["passed"] for level, figures in told.items()} == {"explained": 24, "binary": 0}
    assert told["explained"]["attempts"] == 48
    assert told["explained"]["signals"] == {"public": 24}


def test_tasks_of_another_form_are_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "prompt": "?", "hidden": {"tests": "assert f()"}}\n')
    done = agentloop(*RUN, "--tasks", "code:bad.jsonl", "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "line 1 of bad.jsonl" in done.stderr
    assert "no public.entry_point" in done.stderr


def test_an_unknown_isolation_says_which_there_are(tmp_path: Path) -> None:
    arguments = [word if word != "code" else "code:weak" for word in RUN]
    done = agentloop(*arguments, "--tasks", "code:small", "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "code, code:full, code:strong or code:any" in done.stderr
