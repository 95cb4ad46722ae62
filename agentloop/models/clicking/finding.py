"""Skills for buttons, links, tabs, menus, mail and posts: finding what the goal names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentloop.models.clicking.acting import Turn, click, fill, holds, number, submit
from agentloop.models.clicking.reading import Element, Page

_AUTHOR = re.compile(r"\S+ @(\S+)(?: \w+ ago)?")


def press_named(turn: Turn) -> str:
    """Press the button that the goal names."""
    return click(turn.page.named(turn.goal[0], "button"))


def press_only(turn: Turn) -> str:
    """Press the one button there is."""
    return click(next(iter(turn.page.of("button")), None))


def press_in_turn(turn: Turn) -> str:
    """Press buttons in the order of the goal."""
    return (
        press_named(turn._replace(goal=turn.goal[len(turn.done) :]))
        if len(turn.done) < len(turn.goal)
        else ""
    )


def press_in_dialog(turn: Turn) -> str:
    """Press a button of a dialog; the one labelled x is called Close."""
    wanted = "Close" if turn.goal[0].lower() == "x" else turn.goal[0]
    return click(turn.page.named(wanted, "button"))


def open_tab(turn: Turn) -> str:
    """Open the tab that the goal names."""
    return click(turn.page.named(turn.goal[0], "tab"))


def find_link(turn: Turn) -> str:
    """Click a link; where it is not in sight, open the tabs or sections one after the other."""
    found = turn.page.named(turn.goal[0], "clickable", "link")
    if found is not None:
        return click(found)
    closed = [each for each in turn.page.of("tab") if each.states.get("expanded") == "False"]
    return click(next((each for each in closed if each.name and not turn.tried(each)), None))


def expand(turn: Turn) -> str:
    """Open the section and submit."""
    closed = [each for each in turn.page.of("tab") if each.name and each.states.get("expanded") == "False"]
    if closed and not any(turn.tried(each) for each in closed):
        return click(closed[0])
    return submit(turn.page)


def walk_menu(turn: Turn) -> str:
    """Open the menus on the way with the pointer and click the last entry."""
    entries = [turn.page.named(each, "menuitem") for each in turn.goal[0].split(">")]
    if entries[-1] is not None:
        return click(entries[-1])
    last = [each for each in entries if each is not None][-1]
    # a menu opens a moment after the pointer came to it
    return "noop(400)" if turn.done and turn.done[-1] == f"hover('{last.mark}')" else f"hover('{last.mark}')"


def walk_tree(turn: Turn) -> str:
    """Find an entry of a tree; where it is not in sight, open the folders one after the other."""
    found = turn.page.named(turn.goal[0], "listitem", "clickable")
    if found is not None:
        return click(found)
    closed = [
        each for each in turn.page.of("clickable") if "expandable-hitarea" in each.states.get("class", "")
    ]
    return click(next((each for each in closed if not turn.tried(each)), None))


def mark_mail(turn: Turn) -> str:
    """Click the star or the trash can beside the mail of a sender."""
    sender, icon = turn.goal
    thread = _thread(turn.page, sender)
    inside = turn.page.below(thread) if thread else []
    return click(next((each for each in inside if each.states.get("class", "").startswith(icon)), None))


def forward_mail(turn: Turn) -> str:
    """Open the mail of a sender and forward it."""
    return _answer(turn, "Forward", turn.goal)


def reply_to_mail(turn: Turn) -> str:
    """Open the mail of a sender and reply to it."""
    return _answer(turn, "Reply", turn.goal)


def _answer(turn: Turn, way: str, goal: Sequence[str]) -> str:
    sender, text = goal
    fields = turn.page.of("textbox")
    if fields:
        if not holds(fields[0], text):
            return fill(fields[0], text)
        # the icon that sends stands highest and rightmost of those without words
        icons = [each for each in turn.page.of("clickable") if not each.name and each.place[1] < 80]
        return click(max(icons, key=lambda each: each.place[0], default=None))
    opened = turn.page.named(way, "clickable")
    return click(opened or _thread(turn.page, sender))


def _thread(page: Page, sender: str) -> Element | None:
    threads = [each for each in page.of("clickable") if each.states.get("class") == "email-thread"]
    return next((each for each in threads if any(part.name == sender for part in page.below(each))), None)


def react(turn: Turn) -> str:
    """Click a button under the first post of a user."""
    user, kind = turn.goal
    return click(next(iter(_buttons(turn.page, user, kind)), None))


def react_to_some(turn: Turn) -> str:
    """Click a button under some or all posts of a user, and submit."""
    kind, count, user = turn.goal
    left = [each for each in _buttons(turn.page, user, kind) if not turn.tried(each)]
    if count != "all" and len(turn.done) >= number(count):
        return submit(turn.page)
    return click(left[0]) if left else submit(turn.page)


def _buttons(page: Page, user: str, kind: str) -> list[Element]:
    """The buttons of a kind under the posts of a user, from top to bottom."""
    found, ours = [], False
    for each in page.elements:
        author = _AUTHOR.fullmatch(each.name) if each.role == "StaticText" else None
        if author:
            ours = author[1] == user
        elif ours and each.states.get("class", "").split()[:1] == [kind.lower()]:
            found.append(each)
    return found
