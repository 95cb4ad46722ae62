"""The actions of web sessions: what a text may be, and that none is ever run."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentloop.environments.web.actions import ACTIONS, LONGEST_CALL, Action, Malformed, action_of
from agentloop.environments.web.arguments import BUTTONS, KEYS, MODIFIERS
from agentloop.environments.web.replies import action_in

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
PIXELS = st.integers(-1000, 1000) | st.floats(-1000, 1000).filter(lambda number: number != int(number))
MARKS = st.integers(1, 99_999).map(str)
VALUES = {
    "mark": MARKS,
    "from_mark": MARKS,
    "to_mark": MARKS,
    "button": st.sampled_from(BUTTONS),
    "modifiers": st.lists(st.sampled_from(MODIFIERS), unique=True).map(tuple),
    "value": WORDS,
    "text": WORDS,
    "reason": WORDS,
    "options": st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    "key": st.sampled_from([*KEYS, "a", "+", "Control+a", "Control++", "Shift+Alt+F5"]),
    "index": st.integers(0, 99),
    "wait_ms": st.integers(0, 5000),
    "url": st.sampled_from(["http://a.test/b?c=d#e", "about:blank", "file:///etc/passwd", "javascript:1"]),
}


@st.composite
def actions(draw: st.DrawFn) -> Action:
    name = draw(st.sampled_from(sorted(ACTIONS)))
    return Action(name, {each.name: draw(VALUES.get(each.name, PIXELS)) for each in ACTIONS[name]})


@given(actions())
def test_an_action_that_is_written_down_is_read_as_the_same_action(action: Action) -> None:
    assert action_in(action.written()) == action


@given(st.text())
@example("\0")
@example("\ud800")
@example("click(\ud800)")
@example("```\n```")
@example("`" * 7)
def test_any_text_is_an_action_or_a_clear_refusal(text: str) -> None:
    found = action_in(text)
    assert isinstance(found, Action) or found.message.strip()


PIECES = st.sampled_from(
    [
        *ACTIONS,
        "(",
        ")",
        "[",
        "]",
        ",",
        "'",
        '"',
        "13",
        "'13'",
        "**",
        "*",
        "=",
        "x",
        ".",
        "lambda:",
        "f'",
        "{",
        "}",
    ]
    + [
        "\n",
        "```",
        " ",
        "-",
        "not ",
        "\\",
        "#",
        ";",
        "await ",
        "__import__",
        ":=",
        "1e999",
        "9" * 5000,
        "\t",
        "@",
        "if ",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_heap_of_the_pieces_of_actions_is_an_action_or_a_clear_refusal(text: str) -> None:
    for found in (action_in(text), action_of(text)):
        assert isinstance(found, Action) or found.message.strip()
        if isinstance(found, Action):
            assert ast.parse(found.written())


@pytest.mark.parametrize(
    "text",
    [
        "click(__import__('os').system('touch HERE'))",
        "click(open('HERE', 'w'))",
        "(lambda: open('HERE', 'w'))()",
        "click([open('HERE', 'w') for each in '1'][0])",
        "click(*[open('HERE', 'w')])",
        "click(**{'mark': open('HERE', 'w')})",
        "click(mark=(x := open('HERE', 'w')))",
        'click(f\'{open("HERE", "w")}\')',
        "fill('1', 'a' + str(open('HERE', 'w')))",
        "fill.__globals__['open']('HERE', 'w')",
        "open('HERE', 'w').click('13')",
        "import os; os.mkdir('HERE')",
        "@open\ndef click(): pass",
        "fill('1', 'a' 'b' % open('HERE', 'w'))",
        "select_option('1', ['a', open('HERE', 'w')])",
        "click('13') if open('HERE', 'w') else 0",
    ],
)
def test_nothing_in_a_text_is_ever_run(text: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    code = text.replace("HERE", str(here))
    for found in (action_in(code), action_in(f"```\n{code}\n```"), action_of(code)):
        assert isinstance(found, Malformed)
    assert not here.exists()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 15_000,
        "click(" + "[" * 15_000,
        "click(" + "[" * 90 + "'1'" + "]" * 90 + ")",
        "click(" + "-" * 15_000 + "1)",
        "click(" + "not " * 4_000 + "1)",
        "click(a" + ".a" * 9_000 + ")",
        "click(a" + "[a" * 5_000 + ")",
        "click(" + "lambda:" * 2_000 + "1)",
        "click(" + "f'{" * 3_000,
        "click('1'" + " 'a'" * 4_000 + ")",
        "click(" + "9" * 10_000 + ")",
        "fill('1', '" + "a" * LONGEST_CALL + "')",
        "click('1')" * 1_000,
        "```\n" * 5_000 + "click('1'",
        "```click(\n" * 5_000,
        "click(" + "1," * 9_000 + ")",
        "click(" + ",".join(f"a{n}=1" for n in range(2_000)) + ")",
    ],
)
def test_a_text_that_is_huge_or_nested_deeply_is_refused(text: str) -> None:
    found: list[Action | Malformed] = []
    reader = threading.Thread(target=lambda: found.extend([action_in(text), action_of(text)]))
    reader.start()
    reader.join()
    assert [type(each) for each in found] == [Malformed, Malformed]
    assert all(len(each.text) < 300 for each in found if isinstance(each, Malformed))
    assert sys.getrecursionlimit() >= 1000


def told(text: str) -> str:
    found = action_in(text)
    assert isinstance(found, Malformed), found
    return found.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no action in this reply"),
        ("I shall click it.", "no action in this reply"),
        ("clik('13')", "did you mean 'click'?"),
        ("Click('13')", "did you mean 'click'?"),
        ("click()", "click(mark, button='left', modifiers=()) needs mark"),
        ("click('13', buton='left')", "did you mean 'button'?"),
        ("click('13', 'lft')", "did you mean 'left'?"),
        ("click('13', mark='14')", "mark is given twice"),
        ("click(True)", "must be the mark of an element"),
        ("click(13.5)", "must be the mark of an element"),
        ("press('3', 'enter')", "did you mean 'Enter'?"),
        ("press('3', 'Ctrl+a')", "none of the held keys"),
        ("goto('example.org')", "must be a whole address"),
        ("noop(60000)", "from 0 to 5000 milliseconds"),
        ("mouse_click(1e999, 0)", "must be a number of pixels"),
        ("fill('3', None)", "must be texts in quotes"),
        ("fill('3', 'bell \\x07')", "may not contain control characters"),
        ("fill('3', '\\ud800')", "may not contain control characters or halves"),
        ("fill('3', name)", "a name without quotes"),
        ("tab_focus(-1)", "must be the number of a tab"),
        ("click('1')\nclick('2')", "one action a step, and these are 2"),
        ("```\nclick('1')\nclick('2')\n```", "one action a step, and these are 2"),
        ("```\nclick('1') or 2\n```", "write the call of an action and nothing else"),
        ("```\nfill('1', 'two\nlines')\n```", "line ends in it as \\n"),
    ],
)
def test_a_refusal_says_what_is_allowed_or_what_was_meant(text: str, words: str) -> None:
    assert words in told(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("click('13')", "click('13')"),
        ("click(13)", "click('13')"),
        ("click('[13]')", "click('13')"),
        ('click("13", "right", ["Shift"])', "click('13', button='right', modifiers=('Shift',))"),
        ("I see.\n```\nclick('1')\n```", "click('1')"),
        ("```python\n# the first\nclick('1')\n```\nDone.", "click('1')"),
        ("```click('1')```", "click('1')"),
        ("```\nclick('1')", "click('1')"),
        ("```\nclick('1')\n```\nthen\n```\nclick('2')\n```", "click('2')"),
        ("```\nno call\n```\nAction: click('2')", "click('2')"),
        ("I could click('1'),\nclick('1')\nbut better:\nclick('2')\n\n", "click('2')"),
        ("`click('1')`", "click('1')"),
        ("fill('3', 42)", "fill('3', '42')"),
        (r"fill('3', 'C:\docs\n')", r"fill('3', 'C:\\docs\n')"),
        ("fill('3', 'it\\'s')", "fill('3', \"it's\")"),
        ("fill('3', '''a\nb''')", r"fill('3', 'a\nb')"),
        ("select_option('3', 'one')", "select_option('3', ('one',))"),
        ("scroll(0, -300.0)", "scroll(0, -300)"),
        ("noop()", "noop()"),
    ],
)
def test_an_action_is_found_where_agents_write_it(text: str, written: str) -> None:
    found = action_in(text) if "'''" not in text else action_of(text)
    assert isinstance(found, Action), found
    assert found.written() == written


def test_all_of_browsergyms_actions_are_known_by_their_names() -> None:
    assert set(ACTIONS) == {
        *(
            "noop",
            "send_msg_to_user",
            "report_infeasible",
            "scroll",
            "fill",
            "check",
            "uncheck",
            "select_option",
        ),
        *(
            "click",
            "dblclick",
            "hover",
            "press",
            "focus",
            "clear",
            "drag_and_drop",
            "goto",
            "go_back",
            "go_forward",
        ),
        *("mouse_move", "mouse_up", "mouse_down", "mouse_click", "mouse_dblclick", "mouse_drag_and_drop"),
        *("keyboard_press", "keyboard_up", "keyboard_down", "keyboard_type", "keyboard_insert_text"),
        *("new_tab", "tab_close", "tab_focus"),
    }
