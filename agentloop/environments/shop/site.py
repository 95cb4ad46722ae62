"""The shop as a site of the web environment: its pages, where a task starts, what a purchase is worth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

from agentloop.environments.shop.catalogue import Catalogue, catalogue
from agentloop.environments.shop.goal import Goal
from agentloop.environments.shop.pages import Page, html, page
from agentloop.environments.shop.reward import facts, reward
from agentloop.environments.web.site import Answer, Evaluates, Handler, Outcome, Start
from agentloop.errors import BadInput
from agentloop.types import Task

HOST = "shop.test"
ORIGIN = f"http://{HOST}"
_SEED = re.compile(r"0|[1-9][0-9]{0,8}")
_BEGIN = """() => {
    document.querySelectorAll('form').forEach((form) => form.reset());
    document.activeElement?.blur();
    window.scrollTo(0, 0);
}"""


class Shop:
    """Shops in which a goal is to be bought; the purchase ends the episode.

    Catalogues of our own are made as their seeds come up; others, such as WebShop's, are given.
    A reward of 1, all constraints met, is a pass.
    """

    reuses_pages = True

    def __init__(self, catalogues: Iterable[Catalogue] = ()) -> None:
        self._shops = {each.name: each for each in catalogues}
        self.hosts: Mapping[str, Handler] = {HOST: self._answer}

    def start(self, task: Task) -> Start:
        """The search page of the task's shop."""
        name, _ = self._asked(task)
        return Start(f"{ORIGIN}/{quote(name, safe='')}/", (ORIGIN,))

    async def begin(self, page: Evaluates, task: Task) -> str:
        """Empty the search; all other state is in the address. The goal is the task's prompt."""
        self._asked(task)
        await page.evaluate(_BEGIN)
        return task.prompt

    async def outcome(self, page: Evaluates, task: Task) -> Outcome:
        """The reward of what was bought; nothing on any other page."""
        return self.outcome_at(str(await page.evaluate("() => location.href")), task)

    def outcome_at(self, url: str, task: Task) -> Outcome:
        """The outcome at an address."""
        split = urlsplit(url)
        if f"{split.scheme}://{split.netloc}" != ORIGIN:
            return Outcome()
        name, goal = self._asked(task)
        shown = page(self._shops, f"{split.path}?{split.query}")
        if shown.purchase is None or not split.path.startswith(f"/{quote(name, safe='')}/"):
            return Outcome()
        worth = reward(goal, shown.purchase)
        return Outcome(reward=worth, done=True, passed=worth == 1.0, facts=facts(goal, shown.purchase))

    def page(self, address: str) -> Page:
        """The page at an address, as data; only shops that tasks were about have any."""
        return page(self._shops, address)

    def _answer(self, target: str) -> Answer:
        shown = page(self._shops, target)
        return Answer(html(shown).encode(), status=shown.status)

    def _asked(self, task: Task) -> tuple[str, Goal]:
        """The shop and the goal of a task."""
        asked = task.public.get("web")
        asked = asked if isinstance(asked, Mapping) else {}
        name = str(asked.get("catalogue", ""))
        if name not in self._shops and _SEED.fullmatch(name):
            self._shops[name] = catalogue(int(name))
        if name not in self._shops:
            raise BadInput(
                f"task {task.id!r} needs public['web'] of the form {{'site': 'shop', 'catalogue': '0', "
                f"'goal': {{...}}}}, with a seed or the name of a catalogue that was given to Shop; got "
                f"{dict(asked)!r:.200}"
            )
        return name, Goal.from_dict(asked.get("goal"))
