"""Edits of a program and its files: which file a block is about, and that all of them count or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.edits import blocks_in
from agentloop.environments.code.edits import Refused, edited
from agentloop.environments.code.program import Program

TEXT = "def f(x):\n    if x:\n        return 1\n    return 2\n\n\ndef g(x):\n    return 2\n"
ONE_TO_THREE = ("        return 1", "        return 3")


def block(search: str, replace: str, name: str = "") -> str:
    return f"{name}\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def applied(
    *edits: tuple[str, ...], text: str = TEXT, files: dict[str, str] | None = None
) -> Program | Refused:
    return edited(Program(text, files or {}), blocks_in("".join(block(*edit) for edit in edits)))


def refused(*edits: tuple[str, ...], text: str = TEXT, files: dict[str, str] | None = None) -> Refused:
    found = applied(*edits, text=text, files=files)
    assert isinstance(found, Refused)
    return found


def test_a_reply_without_blocks_holds_no_edits() -> None:
    assert list(blocks_in("```python\nx = 1\n```\na < b\n=======\n")) == []


def test_blocks_are_found_in_order_inside_and_outside_of_fences() -> None:
    reply = f"First:\n{block('a', 'b')}then\n```\n{block('c', 'd')}```\n"
    assert [(each.search, each.replace) for each in blocks_in(reply)] == [(["a"], ["b"]), (["c"], ["d"])]


@pytest.mark.parametrize("above", ["helper.py", "`helper.py`", "**helper.py**:", "helper.py\n```python"])
def test_a_block_below_the_name_of_a_file_is_an_edit_of_that_file(above: str) -> None:
    changed = applied(("y = 1", "y = 2", above), files={"helper.py": "y = 1\n"})
    assert changed == Program(TEXT, {"helper.py": "y = 2\n"})


def test_an_edit_replaces_the_lines_it_searches_for() -> None:
    assert applied(ONE_TO_THREE) == Program(TEXT.replace("return 1", "return 3"))


def test_edits_are_carried_out_one_on_the_other() -> None:
    changed = applied(ONE_TO_THREE, ("        return 3", "        return 4"))
    assert changed == Program(TEXT.replace("return 1", "return 4"))


def test_lines_are_found_whatever_blanks_end_them() -> None:
    assert isinstance(applied(("def g(x):   \n    return 2\t", "def g(x):\n    return 9")), Program)


def test_lines_that_lack_their_indentation_are_not_found_but_shown_with_it() -> None:
    found = refused(("if x:\n    return 1", "if not x:\n    return 1"))
    assert (found.why, found.near) == ("not found", "    if x:\n        return 1")


def test_an_empty_search_does_not_change_a_program() -> None:
    assert refused(("", "y = 1")).why == "nothing to search for"


def test_an_empty_search_with_a_new_name_writes_a_file() -> None:
    changed = applied(("", "y = 1", "data/notes.txt"))
    assert changed == Program(TEXT, {"data/notes.txt": "y = 1\n"})


def test_an_empty_search_writes_no_file_outside_of_its_folder() -> None:
    assert refused(("", "y = 1", "../notes.txt")).why == "no such file"


def test_an_edit_of_the_file_that_is_the_program_changes_both() -> None:
    changed = applied((*ONE_TO_THREE, "main.py"), files={"main.py": TEXT})
    new = TEXT.replace("return 1", "return 3")
    assert changed == Program(new, {"main.py": new})


def test_a_program_that_is_no_file_goes_by_any_name() -> None:
    assert isinstance(applied((*ONE_TO_THREE, "solution.py")), Program)


def test_a_refused_edit_says_which_and_shows_the_nearest_lines() -> None:
    found = refused(ONE_TO_THREE, ("def g(y):\n    return 2", ""))
    assert (found.number, found.why, found.line) == (2, "not found", 7)
    assert found.near == "def g(x):\n    return 2"


def test_lines_that_stand_in_several_places_are_not_replaced() -> None:
    assert refused(("    return 2", "    return 3")).why == "several places"


def test_an_edit_of_a_file_that_is_not_there_is_told() -> None:
    found = refused(("y = 1", "y = 2", "other.py"), files={"helper.py": "y = 1\n"})
    assert (found.why, found.name) == ("no such file", "other.py")


@pytest.mark.parametrize(
    "reply",
    ["<<<<<<< SEARCH\n        return 1\n", "<<<<<<< SEARCH\n        return 1\n=======\n        retu"],
)
def test_a_block_that_was_cut_off_deletes_nothing(reply: str) -> None:
    found = edited(Program(TEXT), blocks_in(reply))
    assert isinstance(found, Refused)
    assert found.why == "not closed"


def test_one_refused_edit_leaves_the_others_undone() -> None:
    program = Program(TEXT, {"helper.py": "y = 1\n"})
    found = edited(program, blocks_in(block("y = 1", "y = 2", "helper.py") + block("nowhere", "")))
    assert isinstance(found, Refused)
    assert program == Program(TEXT, {"helper.py": "y = 1\n"})


@pytest.mark.parametrize(
    ("text", "search"),
    [("x\n" * 20_000, "y\n" * 10_000), ("x" * 300_000, "y" * 300_000), ("ab\n" * 3_000, "ba\n" * 60)],
)
def test_looking_for_the_nearest_lines_of_a_huge_text_does_not_take_long(text: str, search: str) -> None:
    assert refused((search, ""), text=text).why == "not found"


LINES = st.lists(
    st.text("ab =\f\u2028", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=8, unique=True
)


@given(LINES, st.data(), st.text("xyz\n\f\u2028", max_size=12))
def test_any_lines_of_a_program_can_be_replaced_and_nothing_else_is(
    lines: list[str], data: st.DataObject, replace: str
) -> None:
    start = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(start + 1, len(lines)))
    changed = applied(("\n".join(lines[start:end]), replace), text="\n".join(lines) + "\n")
    assert isinstance(changed, Program)
    assert changed.text == "\n".join([*lines[:start], *replace.split("\n"), *lines[end:]]) + "\n"
