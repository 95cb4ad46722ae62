"""The interval of what showing something changes, which may be looked at after every use."""

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.memories.betting import Counts, difference, harm, interval

CHANCES = st.floats(0.0, 1.0)
SHARES = st.sampled_from([0.05, 0.1, 0.3, 0.5])


def expected(shown: float, withheld: float, share: float, *, uses: int) -> float:
    """What a gambler against the true value has on average after so many uses, over every outcome."""
    cells = [(1 - share) * shown, (1 - share) * (1 - shown), share * withheld, share * (1 - withheld)]
    total = 0.0
    for outcome in product(range(4), repeat=uses):
        counts = Counts(*(outcome.count(place) for place in range(4)))
        total += math.prod(cells[place] for place in outcome) * harm({share: counts})
    return total


@given(shown=CHANCES, share=SHARES)
def test_a_bet_on_harm_earns_nothing_where_showing_changes_nothing(shown: float, share: float) -> None:
    assert expected(shown, shown, share, uses=3) == pytest.approx(1.0)


@given(shown=CHANCES, withheld=CHANCES, share=SHARES)
def test_a_bet_on_harm_loses_where_showing_helps_and_earns_where_it_harms(
    shown: float, withheld: float, share: float
) -> None:
    money = expected(shown, withheld, share, uses=2)
    assert money <= 1 + 1e-9 if shown >= withheld else money >= 1 - 1e-9


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=1, max_size=2),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_an_interval_is_one_holds_zero_as_long_as_no_bet_won_and_turns_with_its_outcomes(
    counts: list[tuple[int, ...]], alpha: float
) -> None:
    uses = {share: Counts(*each) for share, each in zip((0.1, 0.5), counts, strict=False)}
    low, high = interval(uses, alpha=alpha)
    assert -1 <= low <= high <= 1
    assert high > -1e-6 or harm(uses) >= 2 / alpha or low > -1e-6
    turned = interval({share: each.turned() for share, each in uses.items()}, alpha=alpha)
    assert turned.low == pytest.approx(-high, abs=1e-6)


def test_the_interval_misses_the_value_seldom_though_it_is_looked_at_again_and_again() -> None:
    draw, missed, runs = random.Random(5), 0, 120
    for _ in range(runs):
        shown, withheld, cells = draw.random(), draw.random(), [0, 0, 0, 0]
        out = False
        for number in range(1, 201):
            back = draw.random() < 0.3
            passed = draw.random() < (withheld if back else shown)
            cells[2 * back + (not passed)] += 1
            if number % 20 == 0 or number < 5:
                low, high = interval({0.3: Counts(*cells)}, alpha=0.2)
                out |= not low <= shown - withheld <= high
        missed += out
    assert missed <= 0.2 * runs


def test_it_closes_in_on_the_value_and_unused_ones_may_be_worth_anything() -> None:
    assert interval({}) == (-1.0, 1.0)
    few, many = ({0.5: Counts(*(scale * n for n in (4, 1, 2, 3)))} for scale in (2, 600))
    assert difference(few) == difference(many) == pytest.approx(0.4)
    assert interval(few).low < 0 < 0.35 < interval(many).low < interval(many).high < 0.45
    assert difference({0.5: Counts(3, 1, 0, 0)}) is None


def test_a_harder_time_in_which_more_was_withheld_does_not_lower_what_withholding_is_counted_for() -> None:
    """Nothing is changed by showing, but passes are rarer while half is withheld."""
    uses = {0.1: Counts(810, 90, 90, 10), 0.5: Counts(50, 450, 50, 450)}
    plain = 860 / 1400 - 140 / 600
    assert plain > 0.3, "the plain difference of the rates is far from zero"
    assert difference(uses) == pytest.approx(0.0)
    assert interval(uses).low < 0 < interval(uses).high
