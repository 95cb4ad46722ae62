"""The actions of the scripted policy as they are written, and what its earlier ones were."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from agentloop.models.clicking.reading import Element, Page

_CALL = re.compile(r"^(\w+)\('(\d+)'")


class Turn(NamedTuple):
    """What a skill sees: the words of the goal that it is about, the page, and the actions so far."""

    goal: Sequence[str]
    page: Page
    done: Sequence[str]

    def tried(self, element: Element) -> bool:
        """Whether an element was acted on before."""
        return any((match := _CALL.match(each)) and match[2] == element.mark for each in self.done)


Skill: TypeAlias = Callable[[Turn], str]
"""The next action; empty when the skill is at a loss."""


def click(element: Element | None) -> str:
    """Click an element; empty when there is none."""
    return f"click('{element.mark}')" if element else ""


def click_at(x: float, y: float) -> str:
    """Click a place."""
    return f"mouse_click({round(x)}, {round(y)})"


def fill(element: Element, text: str) -> str:
    """Write into a field."""
    return f"fill('{element.mark}', {text!r})"


def holds(element: Element, text: str) -> bool:
    """Whether a field has the text; of a password only the dots are seen."""
    return element.value in (text, "\N{BULLET}" * len(text))


def submit(page: Page) -> str:
    """Click the button that ends most tasks."""
    return click(page.named("Submit", "button"))


def fill_in(turn: Turn, texts: Sequence[str], button: str = "Submit") -> str:
    """Write the texts into the page's fields, one after the other, and click the button."""
    fields = turn.page.of("textbox", "searchbox", "spinbutton", "datebox", "timebox")
    for element, text in zip(fields, texts, strict=False):
        if not holds(element, text):
            return fill(element, text)
    return click(turn.page.named(button, "button"))


def number(words: str) -> int:
    """``3rd`` as 3."""
    return int(re.sub(r"\D", "", words) or 1)
