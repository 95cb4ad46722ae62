"""``agentloop memory graduate`` over the embedded model: what it knows is retired, what it lacks stays."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Correction, Task, tiny
from agentloop.memories import CorrectionMemory
from agentloop.tiny.critic import intended
from agentloop.types import Source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KNOWN = Correction(id="known", text="at ember, a few means 3 rows", applies_when="house=ember")
"""As the model reads the word by itself."""
LACKED = Correction(id="lacked", text="at delta, hefty means under 20", applies_when="house=delta")


def asking(house: str, word: str, *, count: int) -> list[Task]:
    """Tasks of a house whose one vague word is this one."""
    drawn = tiny.tasks("dev", 400, seed=5, houses=[house])
    return [task for task in drawn if list(intended(task).words.values()) == [word]][:count]


@pytest.fixture(scope="module")
def held_out() -> list[Task]:
    tasks = [*asking("ember", "a few", count=6), *asking("delta", "hefty", count=6)]
    assert len(tasks) == 12
    return tasks


@pytest.fixture
def shop(tmp_path: Path, held_out: list[Task]) -> Path:
    async def fill() -> None:
        for each in (KNOWN, KNOWN.replace(id="twin"), LACKED):
            await memory.record(each.replace(source=Source(trajectory="taught#0")))

    with CorrectionMemory(tmp_path / "notes") as memory:
        asyncio.run(fill())
    (tmp_path / "tasks.jsonl").write_text("".join(task.to_json() + "\n" for task in held_out))
    (tmp_path / "known.jsonl").write_text(held_out[0].replace(id="taught").to_json() + "\n")
    return tmp_path


def graduate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentloop.cli", "memory", "graduate", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


ASKED = ["notes", "--tasks", "tasks.jsonl", "--critic", "tiny", "--max-tokens", "48", "--out", "out"]


def told(*arguments: str, cwd: Path) -> Any:
    done = graduate(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept(shop: Path) -> dict[str, tuple[str, int]]:
    with CorrectionMemory(shop / "notes", read_only=True) as memory:
        return {each.id: (each.status, each.recalled) for each in memory.list()}


def test_what_the_model_knows_is_retired_after_a_dry_run_said_so(shop: Path) -> None:
    found = told(*ASKED, "--dry-run", cwd=shop)
    assert [each["ids"] for each in found["retired"]] == [["known", "twin"]]
    assert [each["id"] for each in found["kept"]] == ["lacked"]
    assert found["marked"] is False
    assert kept(shop) == {"known": ("active", 0), "twin": ("active", 0), "lacked": ("active", 0)}
    said = graduate(*ASKED, cwd=shop)
    assert said.returncode == 0, said.stderr
    assert "retired 1, kept 1, untested 0" in said.stdout
    assert kept(shop) == {"known": ("retired", 0), "twin": ("retired", 0), "lacked": ("active", 0)}
    assert "at ember, a few means 3 rows" in (shop / "out" / "graduation.md").read_text()


def test_a_budget_ends_it_with_its_own_exit_code_and_nothing_marked(shop: Path) -> None:
    done = graduate(*ASKED, "--budget-calls", "20", cwd=shop)
    assert done.returncode == 3
    assert "Nothing was marked" in done.stderr
    assert {status for status, _ in kept(shop).values()} == {"active"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none", *ASKED[1:]], "no memory in none"),
        (["notes", "--tasks", "known.jsonl", "--out", "out"], "taught the memory (taught)"),
        ([*ASKED, "--minimum", "0"], "minimum must be at least 1 task, got 0"),
    ],
)
def test_wrong_input_is_told_in_one_line(shop: Path, arguments: Sequence[str], said: str) -> None:
    done = graduate(*arguments, cwd=shop)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (shop / "out").exists()
