"""A scripted policy for MiniWoB++ pages: it solves some fifty, and errs in known ways when told to."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.models.clicking.acting import Skill, Turn, click
from agentloop.models.clicking.conversation import Situation, situation
from agentloop.models.clicking.reading import Element, Page, page_in
from agentloop.models.clicking.skills import SKILLS
from agentloop.models.scripted import ScriptedModel
from agentloop.types import Message

Err: TypeAlias = Literal["wrong_mark", "covered", "misread_goal", "stops_early"]
GIVES_UP = "report_infeasible('I do not know how to do this.')"
STOPS = "send_msg_to_user('Done.')"
_MARK = re.compile(r"\('(\d+)'")

WORDS = {
    "wrong_mark": re.compile(r"\b(wrong|other|another) (element|mark|button|one)\b|\binstead of\b", re.I),
    "covered": re.compile(r"\bcover|\bdisabled\b|\blies over\b|\bpopup\b|\bin front\b", re.I),
    "misread_goal": re.compile(r"\bmisread\b|\bthe goal (asks|says|wants)\b|\bis wanted\b", re.I),
    "stops_early": re.compile(
        r"\btoo early\b|\bbefore it was\b|\bnot (yet )?(reached|done|over|sent)\b", re.I
    ),
}
"""For each way to err, the words that mend it."""


def names_the_error(feedback: str, err: Err) -> bool:
    """Whether words say what went wrong when the policy erred in this way."""
    return WORDS[err].search(feedback) is not None


class Clicker(ScriptedModel):
    """Acts on the MiniWoB++ pages whose goals it knows (``knows``), by the observation "axtree" alone.

    ``errs`` are ways to err; of these one is drawn for each goal, with probability ``rate``, by ``seed``:

    - "wrong_mark": it clicks the element next to the one that it means;
    - "covered": it does not see what appeared over the page and clicks on below it;
    - "misread_goal": it reads a word of the goal without its last letter, or a number as the next one;
    - "stops_early": it says that it is done before it is.

    It errs so in every attempt at the goal until the words on its last attempt name the error
    (``heeds``); words that do not, and trying again, change nothing. At goals that it does not know it
    gives up. It keeps no state: everything stands in the conversation.
    """

    def __init__(
        self,
        errs: Sequence[Err] = (),
        *,
        rate: float = 1.0,
        seed: int = 0,
        heeds: Callable[[str, Err], bool] = names_the_error,
        name: str = "scripted clicker",
    ) -> None:
        unknown = set(errs) - set(get_args(Err))
        if unknown:
            raise BadInput(f"errs are some of {', '.join(get_args(Err))}, got {', '.join(sorted(unknown))}")
        super().__init__(self._script_of_clicks, name=name)
        self.errs = tuple(errs)
        self.rate = rate
        self.seed = seed
        self.heeds = heeds

    def err(self, goal: str, feedback: str = "") -> Err | None:
        """The way in which it errs at a goal, after such words on its last attempt; None when it does not."""
        drawn = random.Random(f"{self.seed} {goal}")
        if not self.errs or drawn.random() >= self.rate:
            return None
        chosen = drawn.choice(self.errs)
        return None if feedback and self.heeds(feedback, chosen) else chosen

    def _script_of_clicks(self, messages: Sequence[Message], _sampling: dict[str, Any]) -> str:
        seen = situation(messages)
        err = self.err(seen.goal, seen.feedback)
        return f"```\n{_action(seen, err)}\n```"


def knows(goal: str) -> bool:
    """Whether the policy has a skill for goals of this form."""
    return _skill(goal) is not None


def _skill(goal: str) -> tuple[Skill, list[str]] | None:
    for known in SKILLS:
        match = known.form.fullmatch(goal)
        if match:
            return known.skill, [group or "" for group in match.groups()]
    return None


def _action(seen: Situation, err: Err | None) -> str:
    found = _skill(seen.goal)
    if found is None:
        return GIVES_UP
    skill, words = found
    page = page_in(seen.observation)
    if err == "misread_goal":
        words = [_misread(word) for word in words]
    right = skill(Turn(words, page, seen.done)) or GIVES_UP
    mark = _MARK.search(right)
    meant = next((each for each in page.of() if mark and each.mark == mark[1]), None)
    if err == "stops_early" and (seen.done or (meant is not None and meant.role == "button")):
        return STOPS
    if err == "wrong_mark" and meant is not None and right.startswith("click("):
        return click(_beside(page, meant))
    if err == "covered" and meant is not None:
        known = page_in(seen.first)
        below = known.of("button")
        if below and meant.mark not in {each.mark for each in known.of()}:
            return click(below[-1])
    return right


def _beside(page: Page, element: Element) -> Element:
    """The next element of the same role, or of any where there is no other."""
    for others in (page.of(element.role), page.of()):
        if len(others) > 1:
            return others[(others.index(element) + 1) % len(others)]
    return element


def _misread(word: str) -> str:
    if word.lstrip("-").isdigit():
        return f"{int(word) + 1:0{len(word)}}"
    return word[:-1] if len(word) > 1 else f"{word}s"
