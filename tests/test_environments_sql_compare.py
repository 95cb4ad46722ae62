"""The comparison of two results, as rules that hold for all results."""

import random
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentloop.environments.sql.compare import Result, Wanted, close, same, same_multiset, unmatched

cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.5, 1.0, 2.25, 1e9, -3.5]),
    st.sampled_from(["", "a", "b", "1", "NULL"]),
    st.binary(max_size=2),
)


@st.composite
def tables(draw, rows=8, columns=4):
    width = draw(st.integers(1, columns))
    return draw(st.lists(st.tuples(*[cells] * width), min_size=1, max_size=rows))


def result(rows):
    return Result(len(rows[0]), rows)


def wanted(rows, blocks=None):
    return Wanted(len(rows[0]), rows, blocks)


@given(tables(), st.randoms())
def test_rows_in_any_order_are_the_same_where_no_order_was_asked_for(rows, chance):
    shuffled = chance.sample(rows, len(rows))
    assert same(result(shuffled), wanted(rows))


@given(tables(), st.randoms())
def test_a_repeated_row_is_never_the_same(rows, chance):
    assert not same(result([*rows, chance.choice(rows)]), wanted(rows))
    assert not same(result(rows), wanted([*rows, chance.choice(rows)]))


@given(tables(), st.randoms())
def test_one_row_in_the_place_of_another_is_not_the_same(rows, chance):
    index, other = chance.randrange(len(rows)), chance.choice(rows)
    assume(not same_multiset([rows[index]], [other]))
    assert not same(result([*rows[:index], other, *rows[index + 1 :]]), wanted(rows), columns="fixed")


@given(tables(), st.randoms())
def test_where_an_order_was_asked_for_only_rows_of_equal_keys_may_change_places(rows, chance):
    cut = chance.randrange(len(rows) + 1)
    blocks = tuple(length for length in (cut, len(rows) - cut) if length)
    head, tail = rows[:cut], rows[cut:]
    moved = chance.sample(head, len(head)) + chance.sample(tail, len(tail))
    assert same(result(moved), wanted(rows, blocks))
    if not same_multiset((tail + head)[:cut], head):
        assert not same(result(tail + head), wanted(rows, blocks))


@given(tables(), st.randoms())
def test_columns_in_any_order_are_the_same_only_where_that_is_allowed(rows, chance):
    order = chance.sample(range(len(rows[0])), len(rows[0]))
    moved = [tuple(row[index] for index in order) for row in rows]
    assert same(result(moved), wanted(rows), columns="any")
    assert same(result(moved), wanted(rows)) == same_multiset(moved, rows)


@given(tables(), st.randoms())
def test_the_comparison_is_the_same_both_ways(rows, chance):
    other = [tuple(chance.sample(row, len(row))) for row in rows]
    for columns in ("fixed", "any"):
        forth = same(result(other), wanted(rows), columns=columns)
        assert forth == same(result(rows), wanted(other), columns=columns)


@given(st.lists(st.tuples(st.integers(-3, 3), st.floats(-1e6, 1e6)), min_size=1, max_size=12), st.randoms())
def test_noise_in_the_last_digits_changes_nothing(rows, chance):
    noisy = [(one, other * (1 + chance.uniform(-2e-7, 2e-7))) for one, other in rows]
    assert same(result(chance.sample(noisy, len(noisy))), wanted(rows))
    assert unmatched(noisy, rows) == ([], [])


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=8), st.randoms())
def test_rows_whose_numbers_nearly_tie_find_their_match(rows, chance):
    """Sorted by their numbers, the rows of the two sides stand in different orders here."""
    left = [(1 + chance.uniform(0, 4e-7), other) for _, other in rows]
    right = [(1 + chance.uniform(0, 4e-7), other) for _, other in rows]
    assert same(result(left), wanted(chance.sample(right, len(right))))


@given(st.integers(), st.integers())
def test_whole_numbers_are_the_same_only_when_they_are_equal(one, other):
    assert close(one, other) == (one == other)


@pytest.mark.parametrize(
    ("one", "other", "same_value"),
    [
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        (1, 1.0, True),
        (True, 1, True),
        (False, 0.0, True),
        ("1", 1, False),
        ("a", b"a", False),
        (float("inf"), float("inf"), True),
        (float("inf"), -float("inf"), False),
        (float("inf"), 1e308, False),
        (0.0, 1e-10, True),
        (0.0, 1e-8, False),
        (2**62, 2**62 + 1, False),
    ],
)
def test_two_values(one, other, same_value):
    assert same_multiset([(one,)], [(other,)]) is same_value


def test_empty_results_are_the_same_when_they_have_as_many_columns():
    assert same(Result(2, []), Wanted(2, []))
    assert not same(Result(1, []), Wanted(2, []))


def test_what_has_no_match_is_listed_in_its_order():
    extra, missing = unmatched([(1,), (2,), (2,), (0.3,)], [(2,), (0.1 + 0.2,), (5,), (4,)])
    assert extra == [(1,), (2,)]
    assert missing == [(5,), (4,)]


def seconds_for(left, right):
    began = time.process_time()
    found = same(Result(len(left[0]), left), Wanted(len(right[0]), right), columns="any")
    return time.process_time() - began, found


def grid(kind, chance):
    """300 rows of 8 columns with three values each, made so that the columns are hard to tell apart."""
    if kind == "random":
        return [tuple(chance.randrange(3) for _ in range(8)) for _ in range(300)]
    if kind == "balanced":
        columns = [chance.sample([0, 1, 2] * 100, 300) for _ in range(8)]
        return list(zip(*columns, strict=True))
    if kind == "all alike":
        return [(row % 3,) * 8 for row in range(300)]
    # Every shift of one row: each column holds the same values in the same company.
    base = [tuple(chance.randrange(3) for _ in range(8)) for _ in range(38)]
    return [row[shift:] + row[:shift] for row in base for shift in range(8)][:296]


@pytest.mark.parametrize("kind", ["random", "balanced", "all alike", "shifts"])
@pytest.mark.parametrize("right", [True, False], ids=["permuted", "other"])
def test_eight_columns_in_any_order_are_compared_in_well_under_fifty_milliseconds(kind, right):
    chance = random.Random(7)
    rows = grid(kind, chance)
    order = chance.sample(range(8), 8)
    other = [tuple(row[index] for index in order) for row in chance.sample(rows, len(rows))]
    if not right:
        other[0] = tuple((cell + 1) % 3 for cell in other[0])
    timed = [seconds_for(other, rows) for _ in range(3)]
    assert min(seconds for seconds, _ in timed) < 0.05
    assert {found for _, found in timed} == {right}
