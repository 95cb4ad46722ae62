"""The GPU benchmark runs on a CPU at its smallest, and says what it measured."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
)
for package in ("trl", "datasets", "accelerate"):
    pytest.importorskip(package, reason=f"{package} is in the extra 'train'")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("train_gpu")


def test_the_share_of_the_peak_is_six_operations_a_parameter_and_token(benchmark: ModuleType) -> None:
    assert benchmark.SMOKE.peak == 989.0
    assert benchmark.share_of_peak(100_000_000, 989e12 / 6e8, benchmark.SMOKE) == 1.0
    assert benchmark.share_of_peak(50_000_000, 989e12 / 6e8, benchmark.SMOKE) == 0.5


def test_the_sizes_are_as_large_as_they_are_called(benchmark: ModuleType) -> None:
    for millions, size in benchmark.SIZES.items():
        layer = 4 * size.width**2 + 3 * size.width * size.inner
        assert size.width % size.heads == 0
        assert not millions or size.layers * layer / 1e6 == pytest.approx(millions, rel=0.05)


@pytest.mark.slow
def test_the_smoke_run_trains_by_every_method_and_beside_trl(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / "train_gpu.py"), "--out", str(tmp_path), "--smoke"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "train_gpu.json").read_text())
    assert set(found["methods"]) == {"grpo", "rltf-sd", "rltf-sd-fm", "raft", "critique-grpo"}
    for method, figures in found["methods"].items():
        assert figures["rows"] > 0, f"{method} learnt from nothing"
        assert figures["learnt_tokens_per_second"] > 0
        assert figures["step_seconds"] >= figures["learning_seconds"] > 0
    assert found["trl"]["ours"]["step_seconds"] > 0
    assert found["trl"]["trl"]["step_seconds"] > 0
    table = (tmp_path / "train_gpu.md").read_text()
    assert table.count("\n| ") == 7 - 1
    assert not (tmp_path / "work").exists(), "models and journals are left only with --keep"
