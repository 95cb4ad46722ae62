"""SEARCH/REPLACE blocks: which place they change, and what is said of those that find none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.edits import apply_edits

TEXT = "def f(x):\n    return x + 1\n\ndef g(x):\n    return x - 1\n"


def block(search: str, replace: str, width: int = 7) -> str:
    return f"{'<' * width} SEARCH\n{search}{'=' * width}\n{replace}{'>' * width} REPLACE\n"


def test_a_block_replaces_the_lines_it_names_and_leaves_the_rest() -> None:
    edited = apply_edits(TEXT, "Here:\n" + block("    return x + 1\n", "    return x + 2\n"))
    assert edited.text == TEXT.replace("+ 1", "+ 2")
    assert edited.applied == 1 and edited.unmatched == () and edited.told() == ""


def test_blocks_work_on_what_those_before_them_left() -> None:
    reply = block("def f(x):\n", "def h(x):\n") + block("def h(x):\n", "def k(x):\n")
    assert apply_edits(TEXT, reply).text == TEXT.replace("f(x)", "k(x)")


def test_an_empty_replacement_deletes_the_lines() -> None:
    assert apply_edits("a\nb\nc\n", block("b\n", "")).text == "a\nc\n"


def test_a_block_in_a_fence_is_read_and_words_around_it_are_not() -> None:
    reply = "I would write\n```python\n" + block("b\n", "B\n") + "```\nThat is all."
    assert apply_edits("a\nb\n", reply).text == "a\nB\n"


def test_a_block_without_a_place_changes_nothing_and_names_the_nearest_lines() -> None:
    edited = apply_edits(TEXT, block("def g(y):\n    return y - 1\n", "pass\n"))
    assert edited.text == TEXT and edited.applied == 0
    (left,) = edited.unmatched
    assert (left.why, left.line, left.near) == ("not found", 4, "def g(x):\n    return x - 1")
    assert "def g(y):" in edited.told() and "line 4" in edited.told()


def test_part_of_a_line_is_not_a_place() -> None:
    assert apply_edits("value = 10\n", block("value = 1\n", "value = 2\n")).applied == 0


def test_nothing_like_the_block_gives_no_hint() -> None:
    (left,) = apply_edits(TEXT, block("@@@@\n", "")).unmatched
    assert (left.near, left.line) == ("", 0)


def test_two_places_are_one_too_many() -> None:
    edited = apply_edits("a\na\n", block("a\n", "b\n"))
    assert edited.text == "a\na\n" and edited.unmatched[0].why == "several places"


def test_blanks_at_the_end_of_a_line_do_not_hide_it() -> None:
    assert apply_edits("a  \nb\n", block("a\n", "c\n")).text == "c\nb\n"


def test_blanks_at_its_beginning_do() -> None:
    assert apply_edits("    a\n", block("a\n", "c\n")).applied == 0


def test_an_equal_line_comes_before_one_that_differs_in_blanks() -> None:
    assert apply_edits("a \na\n", block("a\n", "b\n")).text == "a \nb\n"


def test_a_block_that_was_cut_off_is_reported_and_not_carried_out() -> None:
    edited = apply_edits(TEXT, "<<<<<<< SEARCH\ndef f(x):\n=======\ndef h(x):\n")
    assert edited.text == TEXT and edited.unmatched[0].why == "not closed"


def test_an_empty_search_fills_an_empty_text_and_no_other() -> None:
    assert apply_edits("", block("", "a\nb\n")).text == "a\nb\n"
    assert apply_edits("x\n", block("", "a\n")).unmatched[0].why == "nothing to search for"


def test_a_search_of_blanks_is_an_empty_one() -> None:
    text = "a\n\nb\n"
    edited = apply_edits(text, block("\n", "c\n"))
    assert edited.text == text and edited.unmatched[0].why == "nothing to search for"


@pytest.mark.parametrize("mark", ["======", "========"])
def test_marks_of_another_length_do_not_divide_a_block(mark: str) -> None:
    edited = apply_edits("a\n", f"<<<<<<< SEARCH\na\n{mark}\nb\n>>>>>>> REPLACE\n")
    assert edited.text == "a\n" and edited.unmatched[0].why == "not closed"


def test_longer_marks_serve_for_a_text_that_holds_marks() -> None:
    text = "Title\n=======\nbody\n"
    reply = block("Title\n=======\n", "Head\n=======\n", width=9)
    assert apply_edits(text, reply).text == "Head\n=======\nbody\n"


def test_line_ends_of_windows_stay() -> None:
    assert apply_edits("a\r\nb\r\n", block("a\n", "c\nd\n")).text == "c\r\nd\r\nb\r\n"


def test_a_text_without_a_last_line_end_keeps_it_so() -> None:
    assert apply_edits("a\nb", block("b\n", "c\n")).text == "a\nc"


@pytest.mark.parametrize("reply", ["", "no blocks here", "=======\n>>>>>>> REPLACE\n", "<<<<<<< SEARCH"])
def test_a_reply_without_a_whole_block_changes_nothing(reply: str) -> None:
    assert apply_edits(TEXT, reply).text == TEXT


def test_a_hint_stays_cheap_on_a_long_text() -> None:
    began = time.monotonic()
    apply_edits("some line of text, and more\n" * 20_000, block("another line of text\n" * 500, ""))
    assert time.monotonic() - began < 10


PLAIN = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r<=>"), max_size=8), max_size=8)


@given(before=PLAIN, after=PLAIN, old=PLAIN.filter(bool), new=PLAIN)
def test_any_lines_that_stand_once_can_be_replaced_by_any(
    before: list[str], after: list[str], old: list[str], new: list[str]
) -> None:
    mark = "<only here>"
    text = "\n".join([*before, mark, *old, *after])
    reply = block("".join(f"{line}\n" for line in [mark, *old]), "".join(f"{line}\n" for line in new))
    edited = apply_edits(text, reply)
    assert edited.applied == 1
    assert edited.text == "\n".join([*before, *new, *after])


@given(text=st.text(max_size=200), reply=st.text(alphabet="<=>SEARCHPL \nab", max_size=300))
def test_any_text_and_any_reply_come_back_without_an_error(text: str, reply: str) -> None:
    edited = apply_edits(text, reply)
    assert edited.applied or edited.text == text
