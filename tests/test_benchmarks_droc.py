"""The benchmark of DROC at its smallest: what must hold of it, its controls, and its tables."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SEEDS = (0, 1)

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
)


@pytest.fixture
def droc(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("droc")


def mean(results: list[list[int]]) -> float:
    counts = [count for each in results for count in each]
    return sum(counts) / len(counts)


@pytest.mark.slow
def test_round_one_needs_at_most_half_and_round_three_next_to_nothing(droc: ModuleType) -> None:
    learnt = [droc.rounds_of("DROC", seed, rounds=4) for seed in SEEDS]
    without = [droc.rounds_of("no memory", seed, rounds=2) for seed in SEEDS]
    first, none = (mean([run[1].corrections for run in runs]) for runs in (learnt, without))
    assert first <= none / 2, (first, none)
    assert mean([run[3].corrections for run in learnt]) <= none / 10
    assert sum(each.undone for run in learnt for each in run) == 0


@pytest.mark.slow
def test_text_keys_alone_leave_corrections_that_image_keys_do_not(droc: ModuleType) -> None:
    looks, text = (
        mean([droc.rounds_of(arm, seed, rounds=4)[3].corrections for seed in SEEDS])
        for arm in ("DROC", "no looks")
    )
    assert text > 4 * looks + 1, (looks, text)


def test_image_keys_find_the_right_skill_where_the_text_is_the_same(droc: ModuleType) -> None:
    right, total = droc.right_skill(0, looks=True)
    by_text, _ = droc.right_skill(0, looks=False)
    assert right >= 0.98 * total
    assert by_text == total / 3, "chance among three makes"


def test_the_router_is_measured_on_both_sets_of_phrasings(droc: ModuleType) -> None:
    assert droc.router("known") == (76, 76)
    right, total = droc.router("held_out")
    assert (right, total) == (34, 38)


def test_a_ratio_and_a_mean_come_with_intervals_that_hold_them(droc: ModuleType) -> None:
    value, (low, high) = droc.ratio([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])
    assert low <= value <= high and value == 0.5 and low >= 0.25 and high <= 0.75
    value, (low, high) = droc.mean([2.0, 2.0])
    assert (value, low, high) == (2.0, 2.0, 2.0)


@pytest.mark.slow
def test_the_command_prints_every_arm_and_figure(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "droc.py"), "--seeds", "1", "--rounds", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=BENCHMARKS.parent)
    for words in ("DROC |", "no looks |", "no distillation |", "no memory |", "Round 1, DROC over no memory"):
        assert words in done.stdout
