"""SEARCH/REPLACE blocks: found in a reply, carried out on the last program, or told why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.code.edits import Edit, Unmatched, edited, edits_in
from agentloop.environments.code.program import Program, lines_of

TEXT = "def f(x):\n    if x:\n        return 1\n    return 2\n\n\ndef g(x):\n    return 2\n"


def block(search: str, replace: str, name: str = "") -> str:
    return f"{name}\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def applied(*edits: Edit, text: str = TEXT, files: dict[str, str] | None = None) -> Program | Unmatched:
    return edited(Program(text, files or {}), list(edits))


def test_a_reply_without_blocks_holds_no_edits() -> None:
    assert edits_in("```python\nx = 1\n```\na < b\n=======\n") == []


def test_blocks_are_found_in_order_inside_and_outside_of_fences() -> None:
    reply = f"First:\n{block('a', 'b')}then\n```\n{block('c', '')}```\n"
    assert edits_in(reply) == [Edit("a", "b"), Edit("c", "")]


@pytest.mark.parametrize("above", ["helper.py", "`helper.py`", "**helper.py**:", "helper.py\n```python"])
def test_a_block_below_the_name_of_a_file_is_an_edit_of_that_file(above: str) -> None:
    (edit,) = edits_in(block("a", "b", above))
    assert edit.name == "helper.py"


def test_an_edit_replaces_the_lines_it_searches_for() -> None:
    changed = applied(Edit("        return 1", "        return 3"))
    assert changed == Program(TEXT.replace("return 1", "return 3"))


def test_edits_are_carried_out_one_on_the_other() -> None:
    changed = applied(
        Edit("        return 1", "        return 3"), Edit("        return 3", "        return 4")
    )
    assert changed == Program(TEXT.replace("return 1", "return 4"))


def test_lines_are_found_whatever_blanks_end_them() -> None:
    assert isinstance(applied(Edit("def g(x):   \n    return 2\t", "def g(x):\n    return 9")), Program)


def test_lines_that_lack_their_indentation_are_found_and_replaced_with_it() -> None:
    changed = applied(Edit("if x:\n    return 1", "if not x:\n    return 1"))
    assert changed == Program(TEXT.replace("if x", "if not x"))


def test_an_empty_search_adds_to_the_end() -> None:
    assert applied(Edit("", "y = 1")) == Program(TEXT + "y = 1\n")


def test_an_empty_search_with_a_new_name_writes_a_file() -> None:
    changed = applied(Edit("", "y = 1", "data/notes.txt"))
    assert changed == Program(TEXT, {"data/notes.txt": "y = 1\n"})


def test_an_edit_of_a_file_leaves_the_program() -> None:
    changed = applied(Edit("y = 1", "y = 2", "helper.py"), files={"helper.py": "y = 1\n"})
    assert changed == Program(TEXT, {"helper.py": "y = 2\n"})


def test_an_edit_of_the_file_that_is_the_program_changes_both() -> None:
    changed = applied(Edit("        return 1", "        return 3", "main.py"), files={"main.py": TEXT})
    new = TEXT.replace("return 1", "return 3")
    assert changed == Program(new, {"main.py": new})


def test_a_program_that_is_no_file_goes_by_any_name() -> None:
    assert isinstance(applied(Edit("        return 1", "        return 3", "solution.py")), Program)


def test_an_unmatched_edit_says_which_and_shows_the_nearest_lines() -> None:
    found = applied(Edit("        return 1", "        return 3"), Edit("def g(y):\n    return 2", ""))
    assert isinstance(found, Unmatched)
    assert (found.number, found.why, found.line) == (2, "not found", 7)
    assert found.near == "def g(x):\n    return 2"


def test_lines_that_stand_in_several_places_are_not_replaced() -> None:
    found = applied(Edit("    return 2", "    return 3"))
    assert isinstance(found, Unmatched)
    assert found.why == "several places"


def test_an_edit_of_a_file_that_is_not_there_is_told() -> None:
    found = applied(Edit("y = 1", "y = 2", "other.py"), files={"helper.py": "y = 1\n"})
    assert isinstance(found, Unmatched)
    assert found.why == "no such file"


@pytest.mark.parametrize(
    "reply",
    ["<<<<<<< SEARCH\n        return 1\n", "<<<<<<< SEARCH\n        return 1\n=======\n        retu"],
)
def test_a_block_that_was_cut_off_deletes_nothing(reply: str) -> None:
    found = edited(Program(TEXT), edits_in(reply))
    assert isinstance(found, Unmatched)
    assert found.why == "not closed"


def test_one_unmatched_edit_leaves_the_others_undone() -> None:
    program = Program(TEXT, {"helper.py": "y = 1\n"})
    found = edited(program, [Edit("y = 1", "y = 2", "helper.py"), Edit("nowhere", "")])
    assert isinstance(found, Unmatched)
    assert program == Program(TEXT, {"helper.py": "y = 1\n"})


@pytest.mark.parametrize(
    ("text", "search"),
    [("x\n" * 20_000, "y\n" * 10_000), ("x" * 300_000, "y" * 300_000), ("ab\n" * 3_000, "ba\n" * 60)],
)
def test_looking_for_the_nearest_lines_of_a_huge_text_does_not_take_long(text: str, search: str) -> None:
    assert isinstance(applied(Edit(search, ""), text=text), Unmatched)


LINES = st.lists(
    st.text("ab =\f\u2028", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=8, unique=True
)


@given(LINES, st.data(), st.text("xyz\n\f\u2028", max_size=12))
def test_any_lines_of_a_program_can_be_replaced_and_nothing_else_is(
    lines: list[str], data: st.DataObject, replace: str
) -> None:
    start = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(start + 1, len(lines)))
    text = "\n".join(lines) + "\n"
    changed = edited(Program(text), edits_in(block("\n".join(lines[start:end]), replace)))
    if isinstance(changed, Unmatched):  # lines that differ in trailing blanks only are the same lines
        assert changed.why == "several places"
        return
    assert changed.text == "\n".join([*lines[:start], *lines_of(replace), *lines[end:]]) + "\n"
