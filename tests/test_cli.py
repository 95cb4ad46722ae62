"""The command line as a person and a program use it, over the embedded model."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with sqlite3.connect(folder / "shop.sqlite") as database:
        database.executescript(
            "CREATE TABLE users (name TEXT, city TEXT, age INTEGER);"
            "INSERT INTO users VALUES ('Ann', 'Oslo', 41), ('Bo', 'Bergen', 29), ('Cy', 'Oslo', 33);"
        )
    database.close()
    questions = {
        "names": ("list the name of all users", "SELECT name FROM users"),
        "old": ("list the name of users with age over 30", "SELECT name FROM users WHERE age > 30"),
    }
    tasks = [
        Task(id=f"{name}-{house}", prompt=f"{house}: {question}", hidden={"query": query})
        for name, (question, query) in questions.items()
        for house in ("acme", "delta")
    ]
    (folder / "tasks.jsonl").write_text("".join(task.to_json() + "\n" for task in tasks))
    return folder


def agentloop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentloop.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def told(*arguments: str, cwd: Path) -> Any:
    """What a command prints as JSON; standard output holds nothing else."""
    done = agentloop(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RUN = [
    "run",
    "--environment",
    "sql",
    "--database",
    "shop.sqlite",
    "--tasks",
    "tasks.jsonl",
    "--model",
    "local/tiny",
]


@pytest.fixture(scope="module")
def ran(shop: Path) -> Path:
    for out, attempts in (("runs/x", "3"), ("runs/y", "1")):
        done = agentloop(*RUN, "--attempts", attempts, "--samples", "4", "--out", out, cwd=shop)
        assert done.returncode == 0, done.stderr
        assert "of 16 passed" in done.stdout
        assert "privileged" in done.stdout
    return shop


def test_a_run_started_again_asks_for_nothing(ran: Path) -> None:
    before = (ran / "runs/x/journal.jsonl").read_bytes()
    figures = told(*RUN, "--attempts", "3", "--samples", "4", "--out", "runs/x", cwd=ran)
    assert figures["tasks"] == 16
    assert figures["unfinished"] == 0
    assert (ran / "runs/x/journal.jsonl").read_bytes() == before


def test_compare_speaks_to_people_and_programs(ran: Path) -> None:
    comparison = told("compare", "runs/y", "runs/x", cwd=ran)
    assert {"difference", "low", "high", "p", "needed", "tasks"} <= set(comparison)
    assert comparison["tasks"] == 4
    assert "points" in agentloop("compare", "runs/y", "runs/x", cwd=ran).stdout


@pytest.mark.parametrize(("method", "form"), [("sft", "trl"), ("rltf-sd", "tokens"), ("sft", "verl")])
def test_export_writes_rows_and_a_card(ran: Path, method: str, form: str) -> None:
    out = f"data/{method}-{form}"
    report = told("export", "runs/x", "--method", method, "--format", form, "--out", out, cwd=ran)
    assert report["rows"] > 0
    card = (ran / out / "README.md").read_text()
    assert "agentloop export runs/x" in card
    assert "privileged" in card


def test_a_pair_that_a_trainer_cannot_carry_is_refused_with_the_way_out(ran: Path) -> None:
    done = agentloop(
        "export", "runs/x", "--method", "rltf-sd", "--format", "trl", "--out", "data/no", cwd=ran
    )
    assert done.returncode == 2
    assert done.stderr.startswith("UnsupportedExport:")
    assert "tokens" in done.stderr
    assert not (ran / "data/no").exists()


def test_the_doctor_says_what_holds(shop: Path) -> None:
    found = told("doctor", cwd=shop)
    assert all(found["guards"]["sql"].values())
    assert all(layer["detail"] for layer in found["guards"]["code"].values())
    assert found["models"]["local/tiny"]["answers"] is True
    assert found["packages"]["core"]["pydantic"]
    people = agentloop("doctor", "--model", "openai/none", cwd=shop).stdout
    assert "does not answer" in people


def test_a_dry_run_forecasts_the_most_and_runs_nothing(shop: Path) -> None:
    expected = told(*RUN, "--attempts", "3", "--samples", "2", "--out", "runs/dry", "--dry-run", cwd=shop)
    assert expected["calls"] == 4 * 2 * 3
    assert expected["tokens_out"] == 4 * 2 * 3 * 256
    assert not (shop / "runs/dry").exists()


def test_a_budget_ends_the_run_with_its_own_exit_code(shop: Path) -> None:
    arguments = [*RUN, "--samples", "4", "--out", "runs/budget"]
    done = agentloop(*arguments, "--budget-calls", "3", cwd=shop)
    assert done.returncode == 3
    assert "the budget was spent" in done.stdout
    assert agentloop(*arguments, cwd=shop).returncode == 0


def test_a_memory_is_filled_listed_shown_and_mended(shop: Path) -> None:
    arguments = ["run", "--tasks", "tiny:train", "--count", "20", "--critic", "tiny", "--max-tokens", "48"]
    done = agentloop(*arguments, "--memory", "notes", "--out", "runs/taught", cwd=shop)
    assert done.returncode == 0, done.stderr
    kept = told("memory", "list", "notes", cwd=shop)["corrections"]
    assert kept
    shown = told("memory", "show", "notes", kept[0]["id"][:8], cwd=shop)
    assert shown["source"]["quote"]
    assert agentloop("memory", "forget", "notes", kept[0]["id"], cwd=shop).returncode == 0
    left = told("memory", "list", "notes", cwd=shop)["corrections"]
    assert len(left) == len(kept) - 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--tasks", "none.jsonl", "--out", "r"], "no tasks at none.jsonl"),
        (["run", "--tasks", "bad.jsonl", "--out", "r"], "line 2 of bad.jsonl is no Task"),
        ([*RUN[:-1], "local/nowhere", "--out", "r"], "nowhere"),
        ([*RUN, "--critic", "exat", "--out", "r"], "--critic 'exat' is not known"),
        ([*RUN, "--database", "none.sqlite", "--out", "r"], "none.sqlite"),
        ([*RUN, "--budget-calls", "0", "--out", "r"], "--budget-calls must be greater than 0, got 0"),
        (["compare", "none", "none"], "no run in none"),
        (["memory", "list", "none"], "no memory at none"),
        (["demo", "--tasks", "10"], "at least 200"),
    ],
)
def test_wrong_input_is_told_in_one_line_with_its_own_exit_code(
    shop: Path, arguments: Sequence[str], said: str
) -> None:
    (shop / "bad.jsonl").write_text('{"id": "a", "prompt": "p"}\n{"id": "b", "promt": "p"}\n')
    done = agentloop(*arguments, cwd=shop)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (shop / "r").exists()


def test_ctrl_c_says_how_to_go_on(shop: Path) -> None:
    command = [sys.executable, "-m", "agentloop.cli", "run", "--tasks", "tiny:train", "--count", "3000"]
    command += ["--critic", "tiny", "--out", "runs/stopped"]

    def hear_signals() -> None:
        """A shell starts what it runs in the background deaf to Ctrl-C, and so might these tests be run."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=shop, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    ) as process:
        journal = shop / "runs/stopped/journal.jsonl"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size > 20_000):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on where it stopped" in errors


def test_the_demo_prints_one_object_with_every_condition(tmp_path: Path) -> None:
    found = told("demo", "--tasks", "200", cwd=tmp_path)
    for name in ("first", "blind", "binary", "verbal", "other_task", "best_of_n"):
        assert {"passed", "tasks", "rate", "low", "high", "calls"} <= set(found["conditions"][name])
        assert found["conditions"][name]["tasks"] == 200
        assert found["conditions"][name]["privileged"] is True
    for control in ("first", "blind", "binary", "other_task", "best_of_n"):
        assert found["gains"][control]["low"] > 0, control
    assert found["conditions"]["best_of_n"]["calls"] >= found["conditions"]["verbal"]["calls"]
    assert found["memory"]["with"]["rate"] > found["memory"]["without"]["rate"]
    assert all(
        found["export"][method] > 0 for method in ("sft", "dpo", "rltf-sd", "rltf-fm", "critique-grpo")
    )
