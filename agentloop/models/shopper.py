"""A scripted policy for the shop: it overlooks some of what is wanted, and heeds what words name."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.models.clicking.conversation import Situation, situation
from agentloop.models.clicking.reading import Element, Page, page_in
from agentloop.models.scripted import ScriptedModel
from agentloop.types import Message

Oversight: TypeAlias = Literal["first_hit", "kind", "feature", "colour", "size", "price"]
WITH: Mapping[str, set[str]] = {"first_hit": {"feature", "price"}, "kind": {"feature"}}
"""What else it does not mind when it takes the first hit, or anything that has one of the features."""
SECOND = 0.35
"""How often a goal has a second oversight."""
LATER_PAGE = 0.4
"""How often it goes to the second page of a search by kind alone: the share of a kind's products there."""
PAGES = 2
CANDIDATES = 60
"""First candidates are drawn up to this number; the order goes round, so it need not fit."""
FURTHER = "I look further. "
GIVES_UP = "report_infeasible('Nothing here is what I look for.')"
_GOAL = re.compile(
    r"Buy an? (?P<kind>.+?) from the (?P<department>\w+) department\. Features: (?P<features>.+?)\. "
    r"Options: (?P<options>.+?)\. Price: at most \$(?P<price>[\d,.]+)\."
)
_NOTE = re.compile(r"Candidate (\d+), minding (.*)\.")
_GOT = re.compile(r"\bgot (?:`[^`]*`|[^.`]*)")
_KEPT = re.compile(r"\bRight already\b.*", re.DOTALL)
_QUOTES_WISHES = re.compile(r"\bis wanted\b|\bwanted\b.*\bgot\b", re.IGNORECASE)


NOTHING_TO_CHOOSE = Element("", "radio", "", 0, {"checked": ""}, {})
"""Stands for an option that a product does not have and that is not minded."""


class Wanted(NamedTuple):
    """A goal as the policy reads it."""

    kind: str
    features: tuple[str, ...]
    options: Mapping[str, str]
    price: float

    def values(self) -> dict[str, tuple[str, ...]]:
        """By the names of constraints, the words that stand for what is wanted."""
        options = {name: (value,) for name, value in self.options.items()}
        return {"kind": (self.kind,), "feature": self.features, **options, "price": (f"${self.price:,.2f}",)}


class Course(NamedTuple):
    """What an attempt minds, and which candidate of its order it takes."""

    minded: tuple[str, ...]
    number: int


class Shopper(ScriptedModel):
    """Buys what a goal of the shop asks for, but overlooks one or two of its constraints at first.

    ``errs`` are what it may overlook: "kind", "feature", "colour", "size" or "price", or it takes the
    "first_hit" of a search for the kind, whatever its features and price. Which ones is drawn for each
    goal, with probability ``rate`` at all, by ``seed``; where an overlooked option has to be chosen, and
    among products that seem equally right, it picks by an order of its own.

    The first candidate depends on the sampling's ``seed``.

    Words on its last attempt mend the oversights that they name: by the value that its own goal wants,
    or, where no values are told, by the constraint's name. Words that name none of its own (of
    another task, say) or nothing leave it as blind as before; then it tries the next candidate of its
    order, as somebody does who knows only that it was wrong.
    What it minds and the number of its candidate stand in its replies, so that it keeps no state.
    """

    def __init__(
        self,
        errs: Sequence[Oversight] = get_args(Oversight),
        *,
        rate: float = 0.9,
        seed: int = 0,
        name: str = "scripted shopper",
    ) -> None:
        unknown = set(errs) - set(get_args(Oversight))
        if unknown:
            raise BadInput(
                f"errs are some of {', '.join(get_args(Oversight))}, got {', '.join(sorted(unknown))}"
            )
        super().__init__(self._script_of_purchases, name=name)
        self.errs = tuple(errs)
        self.rate = rate
        self.seed = seed

    def oversights(self, goal: str) -> tuple[str, ...]:
        """What it overlooks in a first attempt at a goal."""
        wanted, drawn = _read(goal), random.Random(f"{self.seed} {goal}")
        known = [err for err in self.errs if err == "first_hit" or err in wanted.values()]
        if not known or drawn.random() >= self.rate:
            return ()
        count = min(len(known), 1 + (drawn.random() < SECOND))
        return tuple(drawn.sample(known, count))

    def course(self, seen: Situation, seed: int | None = None) -> Course:
        """What it minds in this attempt. First attempts differ by ``seed``, that of the sampling."""
        wanted = _read(seen.goal)
        if noted := _noted(seen.replies, wanted):
            return noted
        if noted := _noted(seen.before, wanted):
            named = [name for name in named_in(seen.feedback, wanted) if name not in noted.minded]
            return Course((*noted.minded, *named), noted.number + 1 + _refused(seen.before))
        overlooked = set(self.oversights(seen.goal))
        for err, others in WITH.items():
            overlooked |= others if err in overlooked else set()
        minded = tuple(name for name in wanted.values() if name not in overlooked)
        return Course(minded, 1 if seed is None else random.Random(seed).randint(1, CANDIDATES))

    def _script_of_purchases(self, messages: Sequence[Message], sampling: dict[str, Any]) -> str:
        seen = situation(messages)
        if _GOAL.search(seen.goal) is None:
            return f"```\n{GIVES_UP}\n```"
        course = self.course(seen, sampling.get("seed"))
        takes_first = "first_hit" in self.oversights(seen.goal) and "feature" not in course.minded
        trip = _Trip(_read(seen.goal), course, f"{self.seed} {seen.goal}", takes_first)
        thought, action = trip.move(seen)
        note = f"Candidate {course.number}, minding {', '.join(course.minded)}."
        return f"{thought}{note}\n```\n{action}\n```"


def named_in(feedback: str, wanted: Wanted) -> list[str]:
    """The constraints of one's own goal that words say are not met."""
    told = _GOT.sub("", _KEPT.sub("", feedback))
    values = {
        name: any(re.search(rf"(?<![\w$]){re.escape(value)}(?!\w)", told) for value in each)
        for name, each in wanted.values().items()
    }
    if _QUOTES_WISHES.search(told) or any(values.values()):
        return [name for name, found in values.items() if found]
    return [name for name in values if re.search(rf"\b{name}\b", told, re.IGNORECASE)]


class Move(NamedTuple):
    """What it thinks and what it does."""

    thought: str
    action: str


class _Trip:
    """One attempt: the search, the choice of a product, its options, the purchase."""

    def __init__(self, wanted: Wanted, course: Course, seed: str, takes_first: bool) -> None:
        self.wanted = wanted
        self.minded = course.minded
        self.number = course.number
        self.seed = seed
        self.takes_first = takes_first

    def move(self, seen: Situation) -> Move:
        """The next action."""
        page = page_in(seen.observation)
        other = page.named("Next page", "link") or page.named("Previous page", "link")
        if other is not None and self._goes_further(page, seen.replies):
            return Move(FURTHER, f"click('{other.mark}')")
        return Move("", self._action(page, seen))

    def _action(self, page: Page, seen: Situation) -> str:
        buy = page.named("Buy now", "button")
        if buy is not None:
            return self._at_product(page, buy)
        field = page.of("textbox")
        if not field:
            return GIVES_UP
        query = self._query()
        if field[0].value != query:
            return f"fill('{field[0].mark}', {query!r})"
        if not any(each.name.startswith("$") for each in page.elements):
            return f"click('{page.of('button')[0].mark}')" if not _searched(seen) else GIVES_UP
        right, refused = self._right(page), _refused(seen.replies)
        if refused >= len(right):
            return GIVES_UP
        return f"click('{right[(self.number - 1 + refused) % len(right)].mark}')"

    def _query(self) -> str:
        words = [self.wanted.kind] if "kind" in self.minded else []
        return " ".join([*words, *self._features()])

    def _features(self) -> tuple[str, ...]:
        """The features that it goes by: of a thing whose kind it does not mind, at least the first one."""
        if "feature" in self.minded:
            return self.wanted.features
        return () if "kind" in self.minded else self.wanted.features[:1]

    def _goes_further(self, page: Page, replies: Sequence[str]) -> bool:
        """Whether it leaves a page of results: all is refused, or it passes over the first one.

        It does the latter at times where it goes by no features, since not all of a kind stand there.
        """
        moved = sum(reply.startswith(FURTHER) for reply in replies)
        if _refused(replies) >= len(self._right(page)):
            return moved < PAGES
        by_chance = random.Random(f"{self.seed} {self.number}").random() < LATER_PAGE
        return not moved and not self._features() and not self.takes_first and by_chance

    def _right(self, page: Page) -> list[Element]:
        """The products on a page of results that seem right, in the order in which it takes them."""
        right = [each for each, price in _offers(page) if self._seems_right(each.name, price)]
        if not self.takes_first:
            random.Random(self.seed).shuffle(right)
        return right

    def _seems_right(self, title: str, price: float) -> bool:
        name, _, features = title.partition(", ")
        return (
            ("kind" not in self.minded or name.endswith(f" {self.wanted.kind}"))
            and set(self._features()) <= set(features.split(", "))
            and ("price" not in self.minded or price <= self.wanted.price)
        )

    def _at_product(self, page: Page, buy: Element) -> str:
        chosen = [self._choice(page, name) for name in self.wanted.options]
        if None in chosen:
            return "go_back()"
        open_ = [each for each in chosen if each is not None and "checked" not in each.states]
        return f"click('{(open_ or [buy])[0].mark}')"

    def _choice(self, page: Page, name: str) -> Element | None:
        """The value of an option to choose; None when the wanted one is not there."""
        group = next((each for each in page.elements if each.role == "group" and each.name == name), None)
        values = [each for each in page.below(group) if each.role == "radio"] if group else []
        if name in self.minded:
            return next((each for each in values if each.name == self.wanted.options[name]), None)
        if not values:
            return NOTHING_TO_CHOOSE
        title = page.elements[1].name
        random.Random(f"{self.seed} {title} {name}").shuffle(values)
        return values[(self.number - 1) % len(values)]


def _noted(replies: Sequence[str], wanted: Wanted) -> Course | None:
    """What the last of some replies of its own says that it minds."""
    found = [match for reply in replies if (match := _NOTE.search(reply))]
    if not found:
        return None
    minded = tuple(name for name in found[-1][2].split(", ") if name in wanted.values())
    return Course(minded, int(found[-1][1]))


def _read(goal: str) -> Wanted:
    match = _GOAL.search(goal)
    assert match is not None, "the form was checked before"
    options = dict(each.split(" ", 1) for each in match["options"].split(", "))
    price = float(match["price"].replace(",", ""))
    return Wanted(match["kind"], tuple(match["features"].split(", ")), options, price)


def _offers(page: Page) -> list[tuple[Element, float]]:
    """The products of a page of results with their prices."""
    pairs = zip(page.elements, page.elements[1:], strict=False)
    return [
        (link, float(price.name[1:].replace(",", ""))) for link, price in pairs if price.name.startswith("$")
    ]


def _refused(replies: Sequence[str]) -> int:
    """How many products of the page of results that is shown were looked at and left."""
    count = 0
    for reply in replies:
        count = 0 if reply.startswith(FURTHER) else count + ("go_back()" in reply)
    return count


def _searched(seen: Situation) -> bool:
    return any(each.startswith("click") for each in seen.done)
