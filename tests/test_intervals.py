"""Intervals and tests against figures from elsewhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.intervals import mcnemar, paired_difference, tasks_needed, wilson


@pytest.mark.parametrize(
    ("passed", "count", "low", "high"),
    # Brown, Cai and DasGupta (2001) and R's prop.test(correct = FALSE) give these.
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (82, 263, 0.2588, 0.3701)],
)
def test_wilsons_interval_has_the_published_values(passed: int, count: int, low: float, high: float) -> None:
    assert wilson(passed, count) == pytest.approx((low, high), abs=1e-4)


def test_wilsons_interval_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_wilsons_interval_holds_the_rate(count: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, count))
    low, high = wilson(passed, count)
    assert 0 <= low <= passed / count + 1e-12
    assert passed / count - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    # Twice the binomial tail by hand: (1 + 9) / 2^9 * 2, and the two-sided sign test of 0 in 5.
    [(1, 8, 20 / 512), (8, 1, 20 / 512), (0, 5, 2 / 32), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_mcnemars_test_is_exact(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p)


def test_the_bootstrap_interval_agrees_with_the_normal_one_on_many_pairs() -> None:
    first = [0.0] * 600 + [1.0] * 400
    second = [0.0] * 480 + [1.0] * 520
    low, high = paired_difference(first, second)
    differences = [b - a for a, b in zip(first, second, strict=True)]
    mean = sum(differences) / 1000
    error = math.sqrt(sum((d - mean) ** 2 for d in differences) / 999 / 1000)
    assert low == pytest.approx(mean - 1.96 * error, abs=0.004)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.004)


def test_the_interval_of_no_difference_is_a_point() -> None:
    assert paired_difference([1.0, 0.0], [1.0, 0.0]) == (0.0, 0.0)


def test_the_same_results_give_the_same_interval() -> None:
    assert paired_difference([0, 1, 0, 1], [1, 1, 0, 1]) == paired_difference([0, 1, 0, 1], [1, 1, 0, 1])


def test_results_of_other_lengths_are_refused() -> None:
    with pytest.raises(BadInput, match="equal length, got 1 and 2"):
        paired_difference([1.0], [1.0, 0.0])


def test_the_tasks_needed_follow_the_formula_and_none_show_no_difference() -> None:
    first, second = [0.0] * 90 + [1.0] * 10, [0.0] * 85 + [1.0] * 15
    variance = (5 * 0.95**2 + 95 * 0.05**2) / 99
    assert tasks_needed(first, second) == math.ceil(variance * ((1.959964 + 0.841621) / 0.05) ** 2)
    assert tasks_needed([1.0, 0.0], [1.0, 0.0]) is None
