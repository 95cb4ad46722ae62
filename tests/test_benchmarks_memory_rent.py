"""The benchmark of rent at its smallest: its world, its figures and its tables."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
)


@pytest.fixture
def rent(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("memory_rent")


def test_there_are_twenty_kinds_of_poison_and_each_lowers_the_pass_rate(rent: ModuleType) -> None:
    assert len({each.name for each in rent.POISONS}) == 20
    assert all(rent.effect(each, tasks=500) < -0.25 for each in rent.POISONS)


def test_the_interval_and_a_correction_that_changes_nothing_are_looked_at_all_along(rent: ModuleType) -> None:
    out = [rent.missed(0.8, 0.6, seed, uses=300, share=0.3, alpha=0.2) for seed in range(40)]
    assert sum(out) <= 8
    gone = [rent.useless_gone(0.9, seed, uses=200) for seed in range(20)]
    assert sum(gone) <= 1


def test_a_poisons_line_tells_when_it_went_and_what_never_did(rent: ModuleType) -> None:
    found = [rent.Found(uses, 5, 0, 0) for uses in (10, 20, None)]
    line = rent.row(rent.POISONS[7], found, tasks=400)
    assert line.endswith("| 2 of 3 | 20 | 20 | over 400 |")


def test_confidence_beats_one_who_knows_nothing(rent: ModuleType) -> None:
    said = rent.brier(1, corrections=100)
    assert sum((told - true) ** 2 for told, true in said) / len(said) < 0.2


def test_an_injected_instruction_is_found_out_within_eighty_uses(rent: ModuleType) -> None:
    told = rent.poisoned(rent.POISONS[7], 0, tasks=80)
    assert told.uses is not None
    assert told.uses <= 80
    assert "withheld" in rent.withheld([0], tasks=30)
