"""The benchmark of CIPHER at its smallest: below its controls, unless the encoder is scrambled."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentloop.recipes.cipher import context_of

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the package"
)


@pytest.fixture
def cipher(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "cipher", raising=False)
    return importlib.import_module("cipher")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("cipher_tables")


def costs(cipher: ModuleType, make: Any, arms: list[str], rounds: int = 50) -> dict[str, Any]:
    return {name: [cipher.measure(name, make(rounds, seed)) for seed in range(2)] for name in arms}


def totals(found: dict[str, Any], name: str) -> list[int]:
    return [arm.cost for arm in found[name]]


@pytest.mark.slow
def test_cipher_costs_less_than_its_controls_on_every_seed(cipher: ModuleType) -> None:
    arms = ["no learning", "explore, then exploit", "continual, last 5", "raw edits, 5", "CIPHER k=1"]
    found = costs(cipher, cipher.ours, arms)
    for other in arms[:-1]:
        less = [one - two for one, two in zip(totals(found, "CIPHER k=1"), totals(found, other), strict=True)]
        assert max(less) < 0, other
    assert min(arm.purity for arm in found["CIPHER k=1"]) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("k", ["k=1", "k=5"])
def test_with_a_scrambled_encoder_the_gain_is_gone(cipher: ModuleType, k: str) -> None:
    arms = ["no learning", f"CIPHER {k}", f"CIPHER {k}, scrambled"]
    found = costs(cipher, cipher.ours, arms, rounds=80)
    for none, ours, scrambled in zip(*(totals(found, name) for name in found), strict=True):
        assert ours < none <= scrambled
    assert all(arm.purity < 0.35 for arm in found[f"CIPHER {k}, scrambled"])


def test_one_seed_shows_the_gain_and_that_a_scrambled_encoder_has_none(cipher: ModuleType) -> None:
    arms = ["CIPHER k=1", "continual, last 5", "CIPHER k=1, scrambled"]
    ours, agnostic, scrambled = (cipher.measure(name, cipher.ours(60, 0)).cost for name in arms)
    none = cipher.measure("no learning", cipher.ours(60, 0)).cost
    assert ours < 0.5 * none and ours < agnostic and none <= scrambled


def test_the_oracle_is_never_edited_and_what_is_told_apart_less_gains_less(cipher: ModuleType) -> None:
    assert cipher.measure("oracle preference", cipher.ours(50, 0)).cost == 0
    easy, hard = (cipher.measure("CIPHER k=1", cipher.ours(80, 0, own=own)) for own in (6, 1))
    assert easy.purity > 0.85 > 0.6 > hard.purity and easy.cost < hard.cost


def test_raw_edits_read_as_well_as_preferences_are_inferred_cost_the_same_but_for_tokens(
    cipher: ModuleType,
) -> None:
    raw, ours = (cipher.measure(name, cipher.ours(60, 0)) for name in ("raw edits, 1", "CIPHER k=1"))
    assert raw.cost == ours.cost and raw.tokens > 1.3 * ours.tokens


def test_the_scrambled_encoder_gives_every_context_the_vector_of_another(cipher: ModuleType) -> None:
    world = cipher.ours(100, 0)
    instead = cipher.scrambled(world).instead
    contexts = {context_of(task) for task in world.tasks}
    assert set(instead) == set(instead.values()) == contexts
    assert sum(one == other for one, other in instead.items()) < 10


def test_accuracy_is_the_share_of_preferences_nearest_to_their_own_persons(
    cipher: ModuleType, tmp_path: Path
) -> None:
    assert cipher.measure("CIPHER k=1", cipher.ours(40, 0)).accuracy == 1.0
    assert cipher.measure("no learning", cipher.ours(10, 0)).accuracy is None


def test_a_difference_comes_with_students_interval(tables: ModuleType) -> None:
    low, high = tables.interval([-3, -1, -2, -2, -2])
    assert (low, high) == pytest.approx((-2 - 2.776 * (0.5 / 5) ** 0.5, -2 + 2.776 * (0.5 / 5) ** 0.5))
    assert tables.interval([-3]) == (float("-inf"), float("inf"))


@pytest.mark.slow
def test_the_sections_of_the_page_are_made_by_the_command(cipher: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for what in ("ours", "kinds"):
        cipher.main([what, "--seeds", "1", "--rounds", "5", "--page", str(page)])
    text = page.read_text()
    assert text.count("<!-- cipher ours: begin -->") == text.count("<!-- cipher kinds: end -->") == 1
    assert "| CIPHER k=5, scrambled |" in text and "5 rounds, 1 seeds." in text
    assert "python benchmarks/cipher.py ours" in text and "| one | 6 |" in text


@pytest.mark.data
@pytest.mark.slow
def test_on_real_texts_with_preludes_preferences_cipher_costs_less_too(
    cipher: ModuleType, data: Path
) -> None:
    found = costs(cipher, cipher.real, ["no learning", "continual, last 5", "CIPHER k=1"])
    assert max(totals(found, "CIPHER k=1")) < 0.6 * min(totals(found, "no learning"))
    assert max(totals(found, "CIPHER k=1")) < min(totals(found, "continual, last 5"))
