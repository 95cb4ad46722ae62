"""How sure one may be of a correction: by its evidence, fading when it is not used."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Correction
from agentloop.memories import CorrectionMemory, Rent
from agentloop.memories.betting import Counts
from agentloop.memories.confidence import confidence

HALF = Rent(hold_out=0.5)


def correction(number: int = 1) -> Correction:
    return Correction(id=f"c{number}", text=f"at the harbour, a few means {number} rows")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[CorrectionMemory]:
    with CorrectionMemory(tmp_path / "memory", rent=HALF) as made:
        asyncio.run(made.record(correction()))
        yield made


def use(memory: CorrectionMemory, trajectory: str, *, passes: Any, id: str = "c1") -> bool:
    """One trajectory that recalled a correction; ``passes`` says what comes of it, shown or not."""

    async def played() -> bool:
        shown = id not in await memory.withhold([id], trajectory=trajectory)
        await memory.settle(id, trajectory=trajectory, helped=passes(shown), shown=shown)
        return shown

    return asyncio.run(played())


def test_confidence_follows_the_evidence_and_starts_at_a_half() -> None:
    assert confidence(Counts()) == pytest.approx(0.5)
    assert confidence(Counts(9, 1, 1, 9)) > 0.99
    assert confidence(Counts(1, 9, 9, 1)) < 0.01


@given(
    counts=st.tuples(*[st.integers(0, 40)] * 4),
    days=st.floats(0.0, 1000.0),
    half_lives=st.tuples(st.floats(1.0, 1000.0), st.floats(1.0, 1000.0)),
)
def test_a_longer_half_life_fades_later_and_all_fades_towards_a_half(
    counts: tuple[int, ...], days: float, half_lives: tuple[float, float]
) -> None:
    """The released program of GUM has it the other way round."""
    short, long = sorted(half_lives)
    fresh, *faded = (
        abs(confidence(Counts(*counts), age=age, half_life=life) - 0.5)
        for age, life in [(0.0, short), (days, short), (days, long)]
    )
    assert faded[0] <= faded[1] + 1e-12 <= fresh + 2e-12


def test_after_a_half_life_half_of_what_was_known_is_left(memory: CorrectionMemory) -> None:
    for number in range(20):
        use(memory, f"t{number}", passes=lambda shown: shown)
    now = datetime.now(UTC)
    fresh, later = memory.confidence("c1", now=now), memory.confidence("c1", now=now + timedelta(days=90))
    assert fresh > 0.99
    assert later - 0.5 == pytest.approx((fresh - 0.5) / 2, abs=1e-4)


def test_confidence_is_calibrated_on_corrections_of_which_it_is_known_whether_they_help() -> None:
    """By the Brier score against 0.25 of one who knows nothing, and in each fifth of what is said."""
    draw, said = random.Random(11), []
    for _ in range(1500):
        without = draw.uniform(0.2, 0.8)
        rate = min(1.0, max(0.0, without + draw.choice([-0.4, -0.2, -0.1, 0.1, 0.2, 0.4])))
        cells = [0, 0, 0, 0]
        for _ in range(draw.randrange(4, 60)):
            back = draw.random() < 0.3
            cells[2 * back + (draw.random() >= (without if back else rate))] += 1
        said.append((confidence(Counts(*cells)), float(rate > without)))
    assert sum((told - true) ** 2 for told, true in said) / len(said) < 0.18
    for fifth in range(5):
        here = [each for each in said if fifth / 5 <= each[0] < (fifth + 1) / 5]
        told, true = (sum(each) / len(here) for each in zip(*here, strict=True))
        assert abs(told - true) < 0.12, (fifth, told, true, len(here))
