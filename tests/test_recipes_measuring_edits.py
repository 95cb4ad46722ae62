"""What an edit costs: Levenshtein's distance over tokens."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.recipes import edit_cost
from agentloop.recipes.measuring_edits import word_tokens


def plain_distance(old: Sequence[str], new: Sequence[str]) -> int:
    """Levenshtein's distance cell by cell."""
    row = list(range(len(new) + 1))
    for count, token in enumerate(old, start=1):
        above, row = row, [count]
        for place, wanted in enumerate(new):
            row.append(min(above[place] + (token != wanted), above[place + 1] + 1, row[place] + 1))
    return row[-1]


words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12)


@settings(deadline=None)
@given(words, words)
def test_the_cost_is_levenshteins_distance_over_tokens(old: list[str], new: list[str]) -> None:
    assert edit_cost(" ".join(old), " ".join(new)) == plain_distance(old, new)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_the_cost_is_a_distance(one: str, two: str, three: str) -> None:
    assert edit_cost(one, one) == 0
    assert edit_cost(one, two) == edit_cost(two, one)
    assert edit_cost(one, three) <= edit_cost(one, two) + edit_cost(two, three)


def test_tokens_are_words_and_single_marks_unless_told_otherwise() -> None:
    assert word_tokens("Don't stop: 3.5 🙂!") == ["Don't", "stop", ":", "3", ".", "5", "🙂", "!"]
    assert edit_cost("ab cd", "ab ce") == 1
    assert edit_cost("ab cd", "ab xyz", list) == 3


def test_a_long_text_is_measured_in_a_moment() -> None:
    one = " ".join(str(n % 97) for n in range(4000))
    assert edit_cost(one, one[100:]) > 0
