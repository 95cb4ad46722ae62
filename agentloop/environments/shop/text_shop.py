"""The shop without a browser: the same pages, shown in the same words, for many attempts in a short time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from agentloop.environments.shop.catalogue import Catalogue
from agentloop.environments.shop.pages import Choice, Field, Form, Heading, Link, Offer, Page, Text
from agentloop.environments.shop.site import HOST, ORIGIN, Shop
from agentloop.environments.web.actions import Action, Malformed
from agentloop.environments.web.changes import changed
from agentloop.environments.web.marks import TEXT, Line, Seen
from agentloop.environments.web.observing import Notes, observation, shortened
from agentloop.environments.web.refusing import Done, no_such_mark, not_allowed
from agentloop.environments.web.replies import action_in
from agentloop.prompts import Prompts
from agentloop.types import Fact, Step, Task

ENDING = ("send_msg_to_user", "report_infeasible")
VIEW = (0, 720, 720)
"""Every page of a shop of ours fits into the window."""


class TextShop:
    """An environment of shops: ``WebEnvironment`` on the pages of ``Shop``, with what they need of a browser.

    Prompts, observations and facts are those of a WebEnvironment with ``observation="axtree"`` and its
    other settings as they are. Actions are ``click``, ``fill`` and ``go_back``, and those that end the
    task; others are refused in words.
    """

    def __init__(self, catalogues: Sequence[Catalogue] = (), *, characters: int = 8000) -> None:
        self.site = Shop(catalogues)
        self.characters = characters

    def __call__(self, task: Task) -> TextShopSession:
        """Open a session for one attempt."""
        return TextShopSession(self, task)


class TextShopSession:
    """One attempt at a task in a shop, its pages being data."""

    instructions = "web"

    def __init__(self, shop: TextShop, task: Task) -> None:
        self._shop = shop
        self._task = task
        self._visited = [shop.site.start(task).url]
        self._show()

    def prompt(self) -> str:
        """The goal, and the search page."""
        shown = observation(self._seen, "axtree", self._shop.characters)
        return Prompts().render("web_task", goal=self._task.prompt, observation=shown)

    def step(self, action: str, /) -> Step:
        """Carry out one action."""
        found = action_in(action)
        if isinstance(found, Malformed):
            fact = Fact(kind="malformed_action", data={"text": found.text, "message": found.message})
            return Step(action=action, observation=f"Error: {found.message}", facts=(fact,))
        before = self._seen
        done = self._carry_out(found)
        outcome = self._shop.site.outcome_at(self._visited[-1], self._task)
        ended = outcome.done or found.name in ENDING
        facts = [Fact(kind="page", data={"url": shortened(self._seen.url), "title": self._seen.title})]
        facts += [done.fact] if done.fact else []
        if found.name in ENDING:
            facts.append(Fact(kind="said", data={"text": next(iter(found.arguments.values()))}))
        facts.append(changed(before, self._seen))
        facts += [_reward(outcome.reward, outcome.passed)] if outcome.reward is not None else []
        notes = Notes(error=done.error, said=["The task is over."] if ended else [])
        return Step(
            action=action,
            observation=observation(self._seen, "axtree", self._shop.characters, notes),
            facts=(*facts, *outcome.facts),
            done=ended,
            reward=outcome.reward,
        )

    def final(self) -> Sequence[Fact]:
        """What the last page means."""
        outcome = self._shop.site.outcome_at(self._visited[-1], self._task)
        data = {"reward": outcome.reward or 0.0, "passed": outcome.passed, "done": outcome.done}
        return (Fact(kind="reward", data=data), *outcome.facts)

    def close(self) -> None:
        """Nothing is held."""

    def _show(self) -> None:
        """Show the page of the last address."""
        self._page = self._shop.site.page(self._visited[-1].removeprefix(f"http://{HOST}"))
        self._fields: dict[str, str] = {
            part.name: part.value
            for form in self._page.parts
            if isinstance(form, Form)
            for part in form.parts
            if isinstance(part, Field)
        }
        self._focus = 0
        self._look()

    def _look(self) -> None:
        self._parts: dict[int, Any] = {}
        lines = list(_lines(self._page, self._fields, self._focus, self._parts))
        self._seen = Seen(url=self._visited[-1], title=self._page.title, lines=lines, view=VIEW)

    def _carry_out(self, action: Action) -> Done:
        if action.name in ENDING:
            return Done()
        if action.name == "go_back":
            if len(self._visited) == 1:
                return not_allowed(action, "there is no page to go back to")
            self._visited.pop()
            self._show()
            return Done()
        if action.name not in ("click", "fill"):
            return not_allowed(
                action, "this shop is shown without a browser; click, fill and go_back are known"
            )
        mark = str(action.arguments["mark"])
        part = self._parts.get(int(mark)) if mark.isdigit() else None
        if part is None:
            return no_such_mark(action, self._seen, mark)
        return self._use(action, int(mark), part)

    def _use(self, action: Action, mark: int, part: Any) -> Done:
        kind, what = part
        if action.name == "fill" and kind != "field":
            return not_allowed(action, f"mark {mark} takes no text", str(mark))
        if kind == "link":
            self._visited.append(f"{ORIGIN}{what}")
            self._show()
        elif kind == "button":
            target, names = what
            query = urlencode([(name, self._fields[name]) for name in names if name in self._fields])
            self._visited.append(f"{ORIGIN}{target}?{query}")
            self._show()
        else:
            name, value = what
            self._fields[name] = action.arguments["value"] if action.name == "fill" else value
            self._focus = mark
            self._look()
        return Done()


def _lines(page: Page, fields: dict[str, str], focus: int, parts: dict[int, Any]) -> Iterator[Line]:
    """The page as the browser's is seen; what each mark stands for is noted in ``parts``."""

    def marked(kind: str, what: Any) -> int:
        parts[len(parts) + 1] = (kind, what)
        return len(parts)

    for part in page.parts:
        match part:
            case Heading(text):
                yield Line(1, 0, "heading", text, [("level", "1")], True)
            case Text(text):
                yield Line(1, 0, TEXT, text, [], True)
            case Link(text, target):
                yield Line(1, marked("link", target), "link", text, [], True)
            case Offer(text, target, price):
                yield Line(1, marked("link", target), "link", text, [], True)
                yield Line(1, 0, TEXT, price, [], True)
            case Form(target, inside, button):
                yield Line(1, 0, "form", "", [], True)
                for each in inside:
                    yield from _control(each, fields, focus, marked)
                sent = (target, [each.name for each in inside])
                yield Line(2, marked("button", sent), "button", button, [], True)


def _control(part: Field | Choice, fields: dict[str, str], focus: int, marked: Any) -> Iterator[Line]:
    if isinstance(part, Field):
        number = marked("field", (part.name, fields[part.name]))
        extras = [("value", fields[part.name]), *([("focused", None)] if number == focus else [])]
        yield Line(2, number, "textbox", part.label, extras, True)
        return
    yield Line(2, 0, "group", part.name, [], True)
    yield Line(3, 0, TEXT, part.name, [], True)
    for value in part.values:
        number = marked("radio", (part.name, value))
        states: list[tuple[str, Any]] = [("checked", None)] if fields.get(part.name) == value else []
        yield Line(
            3, number, "radio", value, [*states, *([("focused", None)] if number == focus else [])], True
        )


def _reward(reward: float, passed: bool) -> Fact:
    return Fact(kind="reward", data={"reward": reward, "passed": passed, "done": True})
