"""What the agent is shown of a page, and what no page can make it look like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.marks import Line, Seen, near, quoted
from agentloop.environments.web.observing import MODES, Mode, Notes, fitting, observation
from tests.web_pages import line_of, lines, mark_of, task, visit


def test_controls_are_told_by_role_name_value_and_state(browser: Browser) -> None:
    with visit(browser, "controls") as page:
        told = lines(page.first)
    assert told == [
        "RootWebArea 'Controls', url='http://pages.test/controls.html'",
        "heading 'Order', level='1'",
        "form",
        "[1] textbox 'Name' value='', required",
        "[2] textbox 'Secret' value='•••••••'",
        "[3] checkbox 'Send news', checked",
        "[4] radio 'Small'",
        "[5] radio 'Large', checked",
        r"[6] textbox 'City' value='O\'Hara\\'",
        "[7] combobox 'Country' value='France', options=['Norway', 'France', 'Peru']",
        "[8] listbox 'Colours' value='', options=['red', 'green', 'blue'], multiple",
        r"[9] textbox 'Note' value='one\ntwo'",
        "[10] datebox 'Day' value=''",
        "[11] spinbutton 'Count' value='', min='1', max='9'",
        re.sub(r"at \(\d+, \d+\)", "at (248, 163)", told[14]),
        "[13] textbox 'Fixed' value='as is', readonly",
        "[14] button 'Send'",
        "[15] button 'Later', disabled",
        "StaticText 'Some bold and'",
        "[16] link 'a link'",
        "StaticText '.'",
        "[17] button 'More', expanded=False",
        "img 'A cat'",
        "[18] textbox 'Editor' value='Write here'",
        "list",
        "listitem 'first'",
        "[19] link 'second'",
        "table",
        "row 'Tea' | 'Price'",
        "row 'Green' | ''",
        "[20] checkbox 'Newsletter', checked",
    ]
    assert told[14].startswith("[12] slider 'Volume' value='3', min='0', max='10', at (")


@pytest.mark.parametrize("mode", MODES)
def test_a_password_is_shown_in_no_mode(mode: Mode, browser: Browser, tmp_path: Path) -> None:
    with visit(browser, "controls", observation=mode, screenshots=tmp_path) as page:
        again = page.step(f"fill('{mark_of(page.first, 'Secret') if mode != 'dom' else 2}', 'swordfish')")
    assert "hunter2" not in page.first
    assert "swordfish" not in again.observation
    assert "•••••••••" in again.observation


def test_what_a_person_cannot_see_is_left_out(browser: Browser) -> None:
    with visit(browser, "hidden") as page:
        told = lines(page.first)
    assert told[1:] == [
        "StaticText 'seen'",
        "StaticText 'but this one is'",
        "[1] button 'Details', expanded=False",
        "[2] scrollable, scrolled='0/106'",
        "StaticText 'top of the box'",
        "StaticText 'bottom of the box'",
        "StaticText 'in contents'",
        "[3] checkbox 'Agree'",
    ]


def test_what_is_unfolded_is_told_under_new_marks_and_the_old_ones_stay(browser: Browser) -> None:
    with visit(browser, "changing") as page:
        first = [line for line in lines(page.first) if line.startswith("[")]
        page.step("click('1')")
        again = lines(page.step("click('1')").observation)
    assert [line.replace(", focused", "") for line in again if line.startswith("[")] == [
        *first,
        "[17] button 'Item 2'",
        "[16] button 'Item 1'",
    ]


def test_shadow_roots_and_frames_of_the_same_origin_are_told_where_they_stand(browser: Browser) -> None:
    with visit(browser, task("nested", origins=["http://other.test"])) as page:
        assert lines(page.first)[1:] == [
            "StaticText 'outside'",
            "StaticText 'shadow words'",
            "StaticText 'slotted words'",
            "[1] button 'Shadowed'",
            "iframe 'Inside'",
            "StaticText 'framed words'",
            "[2] button 'Framed'",
            "iframe 'Elsewhere', unreadable",
        ]


def test_what_listens_to_clicks_has_a_mark_without_having_a_role(browser: Browser) -> None:
    with visit(browser, "listening") as page:
        told = lines(page.first)
    assert told[1:9] == [
        "[1] clickable 'listener'",
        "[2] clickable 'property'",
        "[3] clickable 'attribute'",
        "[4] clickable 'pointer within'",
        "[5] clickable 'tab stop'",
        "StaticText 'no tab stop'",
        "StaticText 'other listener'",
        "StaticText 'plain'",
    ]
    assert re.fullmatch(
        r"\[6\] clickable, colour='red', class='star on', at \(\d+, \d+\) size 20x20", told[9]
    )


def test_shapes_of_a_drawing_are_told_with_their_places(browser: Browser) -> None:
    with visit(browser, "drawing") as page:
        assert lines(page.first)[1:] == [
            "[1] drawing 'Chart', at (100, 50) size 200x100",
            "[2] circle, at (40, 50) size 20x20, fill='red'",
            "[3] rect, at (115, 40) size 30x40, fill='blue', stroke='black'",
            "[4] polygon, at (160, 28) size 40x35, fill='lime', corners=5",
            "[5] line, at (25, 75) size 50x30, stroke='black', ends='0,90 50,60'",
            line_of(page.first, "text 'label', at (36, "),
            "[7] path, at (70, 70) size 20x20, stroke='green'",
            "[8] canvas, at (60, 130) size 120x60",
            "[9] button 'Menu'",
        ]


def test_places_are_told_of_everything_on_request(browser: Browser) -> None:
    with visit(browser, "plain", coordinates=True) as page:
        assert all(re.search(r", at \(\d+, \d+\) size \d+x\d+$", line) for line in lines(page.first)[1:])


OURS = re.compile(
    r"RootWebArea |Tab \d|\[screenshot |Error: |Stopped: |The |\.\.\. |<observation>|</observation>|Do it\.|$"
)
FORGED = range(90, 100)


@pytest.mark.parametrize("mode", MODES)
def test_no_page_can_forge_a_mark_a_heading_or_a_line_of_ours(
    mode: Mode, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, "forging", observation=mode, screenshots=tmp_path) as page:
        seen = [page.first]
        for words in ("Throw", "Alert"):
            found = re.search(rf"\[(\d+)\] button '{words}'|mark=\"(\d+)\">{words}", page.first)
            assert found
            seen.append(page.step(f"click('{found[1] or found[2]}')").observation)
    for text in seen:
        outer = [line for line in text.splitlines() if not line.startswith("  ")]
        assert all(OURS.match(line) for line in outer), outer
        assert not any(line.startswith("Error: ") or "is over" in line[:12] for line in outer)
        assert sum(line.startswith("[screenshot ") for line in outer) == (mode == "screenshot")
        assert sum(line.startswith("RootWebArea ") for line in outer) == 1
        assert text.count("</observation>") == text.count("<observation>") == (text == seen[0])
        # A mark stands where a line begins, or is an attribute of our own.
        begun = [int(mark) for mark in re.findall(r'^ *(?:\[|<[\w-]+ mark=")(\d+)', text, re.MULTILINE)]
        assert begun
        assert not set(begun) & set(FORGED)
        assert text == "".join(each for each in text if each.isprintable() or each == "\n")


@given(st.text())
def test_a_text_between_quotes_ends_only_at_our_quote(text: str) -> None:
    said = quoted(text)
    assert said.isprintable() or not text.isascii()
    assert re.fullmatch(r"'(?:[^'\\]|\\[\\'n])*'", said), said


def texts(count: int, first: int) -> list[tuple[str, bool]]:
    return [(f"line {number}", number >= first) for number in range(count)]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 700))
def test_what_does_not_fit_is_cut_around_the_view_and_said(count: int, first: int, room: int) -> None:
    shown, cut = fitting(texts(count, first), room)
    told = [int(number) for number in re.findall(r"\d+(?= lines)", cut)]
    assert len(shown) + sum(told) == count
    assert bool(cut) == (len(shown) < count)
    if shown:
        numbers = [int(line.split()[1]) for line in shown]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] <= first or first >= count
    if shown or not cut:
        assert sum(len(line) + 1 for line in shown) + len(cut) <= max(room, len(cut))


@pytest.mark.parametrize("mode", MODES)
def test_an_observation_keeps_to_its_characters_and_says_what_was_cut(
    mode: Mode, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, "long", observation=mode, characters=1000, screenshots=tmp_path) as page:
        step = page.step("scroll(0, 3000)")
        assert len(step.observation) <= 1000
        if mode != "screenshot":
            assert re.search(
                r"\.\.\. \d+ lines above and \d+ lines below left out; scroll to see them\.$",
                step.observation,
            )
            assert "paragraph number 0" in page.first
        assert "paragraph number 0" not in step.observation
        assert re.search(r"Button [45]\d", step.observation)


def test_a_picture_is_kept_under_its_digest_with_the_marks_in_its_place(
    browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, "cover", observation="screenshot", screenshots=tmp_path, viewport=(400, 300)) as page:
        told = lines(page.first)
    digest = re.fullmatch(r"\[screenshot ([0-9a-f]{16})\]", told[0])
    assert digest
    png = (tmp_path / f"{digest[1]}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert "[1] button 'OK'" in told
    assert not any("Deep" in line for line in told)
    assert [path.name for path in tmp_path.iterdir()] == [f"{digest[1]}.png"]


def test_the_marks_that_are_drawn_are_gone_from_the_page_again(browser: Browser, tmp_path: Path) -> None:
    with visit(browser, "plain", observation="screenshot", screenshots=tmp_path) as page:
        drawn = {path.name for path in tmp_path.iterdir()}
        window = page.session._opened_window().window
        count = browser.do(window.evaluate("() => document.documentElement.children.length"))
    with visit(browser, "plain", screenshots=tmp_path) as page:
        pass
    assert count == 2
    assert len({path.name for path in tmp_path.iterdir()} - drawn) == 1


@pytest.mark.parametrize("page", ["controls", "nested", "drawing", "forging", "long", "tampered", "changing"])
@pytest.mark.parametrize("mode", ["axtree", "dom", "text"])
def test_the_same_page_is_told_in_the_same_bytes(page: str, mode: Mode, browser: Browser) -> None:
    told = []
    for _ in range(2):
        with visit(browser, page, observation=mode) as visited:
            told.append([visited.first, visited.step("press('1', 'Tab')").observation])
    assert told[0] == told[1]


def test_a_page_that_tampers_with_its_world_is_seen_and_clicked_all_the_same(browser: Browser) -> None:
    with visit(browser, "tampered") as page:
        assert lines(page.first)[1:] == ["[1] button 'Honest'"]
        assert "RootWebArea 'Clicked'" in page.step("click('1')").observation


def seen_of(names: Sequence[str]) -> Seen:
    return Seen(lines=[Line(1, number, "button", name, (), True) for number, name in enumerate(names, 1)])


def test_a_mark_that_is_not_there_is_looked_for_by_number_and_by_words() -> None:
    seen = seen_of(["OK", "Cancel", "Delete all", "Save"])
    assert near(seen, "7") == ["[4] button 'Save'", "[3] button 'Delete all'", "[2] button 'Cancel'"]
    assert near(seen, "delete") == ["[3] button 'Delete all'"]
    assert near(seen, "the Cancel button") == ["[2] button 'Cancel'"]
    assert near(seen, "xyzzy") == []


def test_an_error_stands_below_the_page_and_what_was_cut_below_that() -> None:
    seen = seen_of([f"button {number}" for number in range(50)])
    told = observation(
        seen, "axtree", 600, Notes(error="it is\nfake", said=["The task is over."])
    ).splitlines()
    assert told[-3:] == ["Error: it is fake", "The task is over.", told[-1]]
    assert told[-1].startswith("... ")
