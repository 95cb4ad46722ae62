"""What changed between two looks at a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.changes import MOST_LINES, changed, only_in
from agentloop.environments.web.marks import Line, Seen
from tests.web_pages import fact_of, mark_of, visit


def page(*texts: str, url: str = "http://a.test/", title: str = "A") -> Seen:
    return Seen(url=url, title=title, lines=[Line(1, 0, "StaticText", text, (), True) for text in texts])


def test_lines_that_came_and_went_are_told_in_their_order() -> None:
    fact = changed(page("one", "two", "three"), page("two", "four", "one", "five"))
    assert fact.kind == "changed"
    assert fact.data == {"added": ["four", "five"], "removed": ["three"]}


def test_a_line_that_stands_there_twice_by_now_was_added_once() -> None:
    assert changed(page("one"), page("one", "one")).data == {"added": ["one"], "removed": []}


def test_address_and_title_are_told_only_when_they_changed() -> None:
    before = page("same")
    assert changed(before, page("same")).data == {"added": [], "removed": []}
    assert changed(before, page("same", url="http://a.test/b", title="B")).data == {
        "added": [],
        "removed": [],
        "url": ["http://a.test/", "http://a.test/b"],
        "title": ["A", "B"],
    }


def test_place_mark_and_focus_of_an_element_are_no_change_but_its_state_is() -> None:
    def button(mark: int, *extras: tuple[str, object]) -> Seen:
        return Seen(lines=[Line(1, mark, "button", "OK", list(extras), True)])

    assert changed(button(1), button(2, ("focused", None), ("at", [1, 2, 3, 4]))).data["added"] == []
    assert changed(button(1), button(1, ("disabled", None))).data["added"] == ["button 'OK', disabled"]


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_what_is_only_in_one_is_the_difference_of_the_counts(
    one: Sequence[str], other: Sequence[str]
) -> None:
    found = only_in(one, other)
    assert Counter(found) == Counter(one) - Counter(other)


@given(st.integers(0, 100), st.integers(0, 100))
def test_at_most_forty_lines_are_told_and_the_rest_is_counted(came: int, went: int) -> None:
    data = changed(page(*(f"-{n}" for n in range(went))), page(*(f"+{n}" for n in range(came)))).data
    shown = len(data["added"]) + len(data["removed"])
    assert shown == min(MOST_LINES, came + went)
    assert data.get("left_out", 0) == came + went - shown
    assert not came or data["added"]
    assert not went or data["removed"]


def test_a_long_line_is_cut() -> None:
    (line,) = changed(page(), page("x" * 5000)).data["added"]
    assert len(line) < 310


def test_a_step_tells_what_it_changed_in_the_page(browser: Browser) -> None:
    with visit(browser, "changing") as visited:
        add, drop, title, many = (
            mark_of(visited.first, f"'{name}'") for name in ("Add", "Drop", "Title", "Many")
        )
        assert fact_of(visited.step(f"click('{add}')"), "changed") == {
            "added": ["button 'Item 1'"],
            "removed": [],
        }
        assert fact_of(visited.step(f"click('{drop}')"), "changed") == {
            "added": [],
            "removed": ["button 'Item 1'"],
        }
        assert fact_of(visited.step(f"click('{title}')"), "changed")["title"] == ["Changing", "New title"]
        crowd = fact_of(visited.step(f"click('{many}')"), "changed")
        assert len(crowd["added"]) == MOST_LINES
        assert crowd["left_out"] == 100 - MOST_LINES
        assert fact_of(visited.step("noop(10)"), "changed") == {"added": [], "removed": []}
