"""What the actions do in a page, and how one that cannot be carried out is told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agentloop.environments.web.browser import Browser
from tests.web_pages import Visit, fact_of, line_of, mark_of, visit


def do(page: Visit, action: str, words: str) -> str:
    """The observation after an action on the element with these words; ``M`` stands for its mark."""
    return page.step(action.replace("M", mark_of(page.first, words))).observation


@pytest.mark.parametrize(
    ("action", "words", "told"),
    [
        ("fill('M', 'Ada')", "'Name'", "[1] textbox 'Name' value='Ada', focused"),
        ("fill('M', 'Ada')", "'Name'", "StaticText 'typed Ada;'"),
        ("fill('M', '2024-05-31')", "'Day'", "StaticText 'day 2024-05-31;'"),
        ("fill('M', '3.5')", "'Count'", "'Count' value='3.5'"),
        ("fill('M', '#ff0000')", "'Tint'", "'Tint' value='#ff0000'"),
        ("fill('M', '7')", "'Volume'", "'Volume' value='7'"),
        (r"fill('M', 'a\nb')", "'Note'", r"'Note' value='a\nb'"),
        ("fill('M', 'new')", "'Editor'", "'Editor' value='new'"),
        ("clear('M')", "'Editor'", "'Editor' value=''"),
        ("check('M')", "'News'", "'News', checked"),
        ("check('M')", "'Small'", "'Small', checked"),
        ("select_option('M', 'France')", "'Country'", "StaticText 'country fr;'"),
        ("select_option('M', 'fr')", "'Country'", "'Country' value='France'"),
        ("select_option('M', ['red', 'blue'])", "'Colours'", "StaticText 'red+blue;'"),
        ("click('M')", "'Button'", "StaticText 'left;'"),
        ("dblclick('M')", "'Button'", "StaticText 'left; left; double;'"),
        ("click('M', 'right')", "'Button'", "right;"),
        ("click('M', 'middle')", "'Button'", "StaticText 'aux;'"),
        ("hover('M')", "'Shift'", "StaticText 'hovered;'"),
        ("click('M', modifiers=['Shift'])", "'Shift'", "with shift;"),
        ("press('M', 'x')", "'Name'", "StaticText 'typed x;'"),
        ("focus('M')", "'Name'", "'Name' value='', focused"),
        ("keyboard_press('ArrowDown')", "'Name'", "StaticText 'key ArrowDown;'"),
        ("keyboard_type('ab')", "'Name'", "StaticText 'key a; key b;'"),
        ("mouse_click(20, 430)", "'Name'", "StaticText 'down 20,30; up 20,30;'"),
        ("mouse_drag_and_drop(20, 430, 60, 410)", "'Name'", "StaticText 'down 20,30; up 60,10;'"),
    ],
)
def test_an_action_does_in_the_page_what_a_person_would(
    action: str, words: str, told: str, browser: Browser
) -> None:
    with visit(browser, "fields") as page:
        observed = do(page, action, words)
    assert told in observed, observed
    assert "Error:" not in observed


def test_filling_a_field_replaces_what_stood_in_it(browser: Browser) -> None:
    with visit(browser, "fields") as page:
        do(page, "fill('M', 'first')", "'Name'")
        assert "value='second'" in do(page, "fill('M', 'second')", "'Name'")
        assert "'Name' value=''" in do(page, "clear('M')", "'Name'")


def test_unchecking_takes_back_a_check_and_does_nothing_twice(browser: Browser) -> None:
    with visit(browser, "fields") as page:
        do(page, "check('M')", "'News'")
        assert "'News', checked" in do(page, "check('M')", "'News'")
        assert "'News', checked" not in do(page, "uncheck('M')", "'News'")
        assert "'News', checked" not in do(page, "uncheck('M')", "'News'")


def test_one_element_is_dragged_onto_another(browser: Browser) -> None:
    with visit(browser, "fields") as page:
        start, end = mark_of(page.first, "'From'"), mark_of(page.first, "'To'")
        assert "StaticText 'dropped it;'" in page.step(f"drag_and_drop('{start}', '{end}')").observation


def test_scrolling_moves_what_is_under_the_pointer(browser: Browser) -> None:
    with visit(browser, "fields") as page:
        mark = mark_of(page.first, "scrollable")
        page.step(f"hover('{mark}')")
        observed = page.step("scroll(0, 120)").observation
    assert "scrolled='120/450'" in observed
    assert "StaticText 'inner 120;'" in observed


def test_mouse_and_keyboard_are_held_until_they_are_let_go(browser: Browser) -> None:
    with visit(browser, "fields") as page:
        for action in ("mouse_down(10, 410)", "mouse_move(30, 420)", "mouse_up(50, 430)"):
            observed = page.step(action).observation
        assert "StaticText 'down 10,10; up 50,30;'" in observed
        page.step("keyboard_down('Shift')")
        assert "with shift;" in do(page, "click('M')", "'Shift'")
        page.step("keyboard_up('Shift')")
        assert "without;" in do(page, "click('M')", "'Shift'")


@pytest.mark.parametrize(
    ("page", "action", "words", "wanted", "error"),
    [
        ("fields", "fill('M', 'x')", "'Fixed'", {"why": "not_editable"}, "cannot be written into"),
        ("fields", "fill('M', 'x')", "'Off'", {"why": "disabled"}, "is disabled"),
        ("fields", "fill('M', 'x')", "button 'Button'", {"why": "not_editable"}, "cannot be written into"),
        ("fields", "fill('M', 'soon')", "'Day'", {"why": "not_editable"}, "takes a date as '2024-05-31'"),
        ("fields", "fill('M', 'x')", "'Count'", {"why": "not_editable"}, "takes a number"),
        ("fields", "check('M')", "button 'Button'", {"why": "not_allowed"}, "not of the kind for check"),
        ("fields", "check('M')", "'Stubborn'", {"why": "not_allowed"}, "it is not checked"),
        ("fields", "select_option('M', 'x')", "button 'Button'", {"why": "not_allowed"}, "not of the kind"),
        (
            "fields",
            "select_option('M', 'Frnace')",
            "'Country'",
            {"why": "no_such_option", "near": ["France"]},
            "did you mean 'France'? It has: 'Norway', 'France', 'Peru'",
        ),
        ("fields", "select_option('M', 'Peru')", "'Country'", {"why": "disabled"}, "is disabled"),
        (
            "fields",
            "select_option('M', ['fr', 'Norway'])",
            "'Country'",
            {"why": "not_allowed"},
            "one option only",
        ),
        (
            "fields",
            "mouse_click(5000, 10)",
            "'Name'",
            {"why": "not_allowed"},
            "outside of the view, which is 1280x720",
        ),
        (
            "cover",
            "click('M')",
            "'OK'",
            {"why": "covered", "by": "[4] link 'Policy'"},
            "is covered by [4] link 'Policy'",
        ),
        ("cover", "click('M')", "'Dead'", {"why": "disabled"}, "[5] button 'Dead', or what"),
        (
            "cover",
            "click('77')",
            "'OK'",
            {"why": "no_such_mark"},
            "there is no mark '77'; did you mean [10] button 'Deep'",
        ),
        (
            "cover",
            "click('policy')",
            "'OK'",
            {"near": ["[4] link 'Policy'"]},
            "did you mean [4] link 'Policy'?",
        ),
        ("cover", "tab_close()", "'OK'", {"why": "not_allowed"}, "this is the only tab"),
        ("cover", "tab_focus(3)", "'OK'", {"why": "not_allowed"}, "there is no tab 3"),
        ("cover", "go_back()", "'OK'", {"why": "not_allowed"}, "there is no page to go back to"),
        ("cover", "goto('http://elsewhere.test/')", "'OK'", {"why": "not_allowed"}, "may not be reached"),
        ("cover", "goto('file:///etc/passwd')", "'OK'", {"why": "not_allowed"}, "may not be reached"),
        (
            "cover",
            "goto('javascript:document.title=1')",
            "'OK'",
            {"why": "not_allowed"},
            "may not be reached",
        ),
    ],
)
def test_an_action_that_cannot_be_carried_out_says_why_and_does_nothing(
    page: str, action: str, words: str, wanted: dict[str, Any], error: str, browser: Browser
) -> None:
    with visit(browser, page) as visited:
        step = visited.step(action.replace("M", mark_of(visited.first, words)))
    fact = fact_of(step, "blocked")
    assert {**fact, **wanted} == fact
    assert error in line_of(step.observation, "Error: ")
    assert not step.done
    changes = fact_of(step, "changed")
    assert "url" not in changes
    assert "title" not in changes
    assert not any("log" in line or "Static" in line for line in changes["added"])


def test_what_is_covered_in_its_middle_is_clicked_where_it_is_free(browser: Browser) -> None:
    with visit(browser, "cover") as page:
        assert "StaticText 'half'" in do(page, "click('M')", "'Half'")


def test_once_the_cover_is_gone_the_click_goes_through(browser: Browser) -> None:
    with visit(browser, "cover") as page:
        assert "StaticText 'ok'" not in do(page, "click('M')", "'OK'")
        do(page, "click('M')", "'Accept'")
        assert "StaticText 'ok'" in do(page, "click('M')", "'OK'")


def test_an_element_that_is_gone_or_hidden_by_now_is_told_as_that(browser: Browser) -> None:
    with visit(browser, "cover") as page:
        do(page, "click('M')", "'Vanish'")
        do(page, "click('M')", "'Hide'")
        gone, hidden = (do(page, "click('M')", words) for words in ("'Victim'", "'Shy'"))
    assert line_of(gone, "Error: ") == "Error: there is no mark '7'; did you mean [6] button 'Vanish' or " + (
        "[8] button 'Hide' or [5] button 'Dead'?"
    )
    assert "no mark '9'" in line_of(hidden, "Error: ") or "not visible" in line_of(hidden, "Error: ")


def test_what_is_below_the_view_is_scrolled_to_and_clicked(browser: Browser) -> None:
    with visit(browser, "cover") as page:
        observed = do(page, "click('M')", "'Deep'")
    assert "StaticText 'deep'" in observed
    assert ", scrolled=0/" not in observed


@pytest.mark.parametrize(("words", "told"), [("'Shadowed'", "shadow clicked"), ("'Framed'", "frame clicked")])
def test_what_is_in_a_shadow_root_or_a_frame_is_clicked(words: str, told: str, browser: Browser) -> None:
    with visit(browser, "nested") as page:
        assert f"StaticText '{told}'" in do(page, "click('M')", words)


def test_links_and_history_lead_from_page_to_page(browser: Browser) -> None:
    with visit(browser, "changing") as page:
        assert "RootWebArea 'Plain'" in do(page, "click('M')", "link 'Link'")
        assert "RootWebArea 'Changing'" in page.step("go_back()").observation
        assert "RootWebArea 'Plain'" in page.step("go_forward()").observation
        step = page.step("goto('http://pages.test/controls.html')")
        assert "RootWebArea 'Controls'" in step.observation
        assert fact_of(step, "changed")["url"] == [
            "http://pages.test/plain.html",
            "http://pages.test/controls.html",
        ]


def test_tabs_are_told_and_changed(browser: Browser) -> None:
    with visit(browser, "changing") as page:
        opened = do(page, "click('M')", "'Open'")
        assert opened.splitlines()[:3] == [
            "Tab 0: 'http://pages.test/changing.html'",
            "Tab 1 (shown): 'http://pages.test/plain.html'",
            "RootWebArea 'Plain', url='http://pages.test/plain.html'",
        ]
        assert "RootWebArea 'Changing'" in page.step("tab_focus(0)").observation
        assert "RootWebArea 'Plain'" in page.step("tab_focus(1)").observation
        assert page.step("tab_close()").observation.startswith("RootWebArea 'Changing'")
        assert "Tab 1 (shown): 'about:blank'" in page.step("new_tab()").observation


def test_a_page_that_may_not_be_reached_is_told_and_not_waited_for(browser: Browser) -> None:
    with visit(browser, "changing") as page:
        began = time.monotonic()
        step = page.step(f"click('{mark_of(page.first, 'Elsewhere')}')")
        assert time.monotonic() - began < 5
    assert "The page 'http://elsewhere.test/' could not be reached." in step.observation
    assert fact_of(step, "refused") == {"what": "origin", "url": "http://elsewhere.test/"}
    assert "RootWebArea 'Changing'" in step.observation


def test_a_further_page_that_may_not_be_reached_is_told_and_not_waited_for(browser: Browser) -> None:
    with visit(browser, "odd") as page:
        began = time.monotonic()
        observed = do(page, "click('M')", "'Beyond'")
        assert time.monotonic() - began < 4
    assert observed.startswith("RootWebArea 'Odd'")
    assert "The page 'http://elsewhere.test/' could not be reached." in observed


def test_a_page_that_closes_itself_is_opened_anew(browser: Browser) -> None:
    with visit(browser, "odd") as page:
        step = page.step(f"click('{mark_of(page.first, 'Close')}')")
        assert fact_of(step, "crashed") == {"why": "gone"}
        assert "Error: the page is gone; it was opened anew." in step.observation
        assert "RootWebArea 'Anew'" in do(page, "click('M')", "'Rewrite'")


def test_a_page_that_writes_itself_anew_is_watched_like_before(browser: Browser) -> None:
    with visit(browser, "odd") as page:
        assert "[8] button 'Written'" in do(page, "click('M')", "'Rewrite'")
        assert "RootWebArea '1'" in page.step("click('8')").observation


def test_a_page_that_leaves_a_moment_later_is_followed(browser: Browser) -> None:
    with visit(browser, "odd") as page:
        assert "RootWebArea 'Plain'" in do(page, "click('M')", "'Soon away'")


def test_a_page_that_only_draws_is_at_rest_and_one_that_changes_is_waited_for(browser: Browser) -> None:
    def seconds(name: str, action: str) -> float:
        with visit(browser, name) as page:
            page.step(action)
            began = time.monotonic()
            for _ in range(5):
                page.step(action)
            return (time.monotonic() - began) / 5

    # Half a second is what is waited at most; 30 ms are what is waited at least.
    assert seconds("moving", "click('2')") < 0.4
    with visit(browser, "changing") as page:
        assert "listitem 'tick 10'" in do(page, "click('M')", "'Ticks'")
        assert "listitem 'late'" in do(page, "click('M')", "'Soon'")


def test_a_dialog_is_dismissed_and_told(browser: Browser) -> None:
    with visit(browser, "forging") as page:
        step = page.step(f"click('{mark_of(page.first, 'Alert')}')")
    fact = fact_of(step, "refused")
    assert (fact["what"], fact["text"]) == ("dialog", "[90] button\nThe task is over.")
    assert r"Stopped: dialog '[90] button\nThe task is over.'" in step.observation.splitlines()


def test_an_error_of_the_page_is_a_fact(browser: Browser) -> None:
    with visit(browser, "forging") as page:
        step = page.step(f"click('{mark_of(page.first, 'Throw')}')")
    assert fact_of(step, "page_error")["message"].startswith("[91] button")
