"""Skills for fields, choices and the other parts of forms."""

from __future__ import annotations

import calendar

from agentloop.models.clicking.acting import Turn, click, fill, fill_in, holds, number, submit

MONTHS = list(calendar.month_name)[1:]


def enter(turn: Turn) -> str:
    """Enter a text that the goal quotes."""
    return fill_in(turn, turn.goal[:1])


def enter_in_case(turn: Turn) -> str:
    """Enter a text in upper or lower case."""
    text, case = turn.goal
    return fill_in(turn, [text.upper() if case == "upper" else text.lower()])


def enter_twice(turn: Turn) -> str:
    """Enter a password and repeat it."""
    return fill_in(turn, [turn.goal[0]] * 2)


def log_in(turn: Turn) -> str:
    """Enter a user name and a password; a popup that comes between is refused."""
    if any("Exit to home page?" in text for text in turn.page.texts()):
        return click(turn.page.named("Cancel", "button"))
    buttons = [each.name for each in turn.page.of("button")]
    return fill_in(turn, turn.goal, next((name for name in buttons if name in ("Login", "OK")), "Submit"))


def enter_date(turn: Turn) -> str:
    """Enter a date into a field of dates, which takes year-month-day."""
    month, day, year = turn.goal
    fields = turn.page.of("datebox")
    return fill_in(turn, [f"{year}-{month}-{day}" if fields else f"{month}/{day}/{year}"])


def focus(turn: Turn) -> str:
    """Click into the field that the goal counts out."""
    fields, wanted = turn.page.of("textbox"), number(turn.goal[0] or "1st")
    return click(fields[wanted - 1]) if wanted <= len(fields) else ""


def check(turn: Turn) -> str:
    """Tick the boxes that the goal names and no others, or choose among radio buttons."""
    wanted = {each.strip() for each in turn.goal[0].split(",")} - {"nothing"}
    for each in turn.page.of("checkbox", "radio"):
        if ("checked" in each.states) != (each.name in wanted) and (
            each.role == "checkbox" or each.name in wanted
        ):
            return click(each)
    return submit(turn.page)


def choose(turn: Turn) -> str:
    """Choose entries of a list."""
    wanted = [each.strip() for each in turn.goal[0].split(",")]
    for each in turn.page.of("listbox", "combobox"):
        chosen = {part.strip() for part in each.value.split(",")}
        if chosen != set(wanted):
            return f"select_option('{each.mark}', {wanted!r})"
    return submit(turn.page)


def radio_and_text(turn: Turn) -> str:
    """Check a radio button and fill a field, both counted out."""
    radio, text, field = turn.goal
    radios, fields = turn.page.of("radio"), turn.page.of("textbox")
    if "checked" not in radios[number(radio) - 1].states:
        return click(radios[number(radio) - 1])
    wanted = fields[number(field) - 1]
    return submit(turn.page) if holds(wanted, text) else fill(wanted, text)


def sign(turn: Turn) -> str:
    """Scroll through an agreement, sign it and press a button."""
    name, button = turn.goal
    wanted = turn.page.named(button, "button")
    field = turn.page.named("Name", "textbox")
    if field is None or wanted is None:
        return ""
    if "disabled" in field.states:
        return "scroll(0, 3000)"
    return click(wanted) if holds(field, name) else fill(field, name)


def odd_or_even(turn: Turn) -> str:
    """Mark each number as odd or even by the button before or behind it."""
    elements = turn.page.elements
    for place, each in enumerate(elements):
        if each.role == "StaticText" and each.name.lstrip("-").isdigit():
            button = elements[place - 1] if int(each.name) % 2 else elements[place + 1]
            if not turn.tried(button):
                return click(button)
    return submit(turn.page)


def pick_date(turn: Turn) -> str:
    """Choose a day in a calendar that shows one month."""
    month, day, year = (int(each) for each in turn.goal)
    field = turn.page.of("textbox")[0]
    if field.value == f"{month:02}/{day:02}/{year}":
        return submit(turn.page)
    shown = next((text.split() for text in turn.page.texts() if text.split()[0] in MONTHS), None)
    if shown is None:
        return click(field)
    away = (year - int(shown[1])) * 12 + month - 1 - MONTHS.index(shown[0])
    if away:
        return click(turn.page.named("Next" if away > 0 else "Prev"))
    return click(turn.page.named(str(day), "link"))


def arithmetic(turn: Turn) -> str:
    """Work out the sum that stands on the page."""
    parts = next(text.split() for text in turn.page.texts() if text.endswith("="))
    one, sign_, other = int(parts[0]), parts[1], int(parts[2])
    return fill_in(turn, [str({"+": one + other, "-": one - other}.get(sign_, one * other))])


def look_up(turn: Turn) -> str:
    """Enter the value that a table has under a name."""
    for each in turn.page.elements:
        if each.role == "row" and each.name.split(" | ")[0] == turn.goal[0]:
            return fill_in(turn, [each.name.split(" | ")[1]])
    return ""


def find_word(turn: Turn) -> str:
    """Enter the word of a paragraph that the goal counts out."""
    words = turn.page.texts()[1].split()
    wanted = number(turn.goal[0])
    return fill_in(turn, [words[wanted - 1].strip(".,")]) if wanted <= len(words) else ""
