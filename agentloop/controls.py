"""What the conditions of an evaluation tell after a failure: the critic's verdict, in other words."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from agentloop.bringing import bring
from agentloop.hidden import may_see_hidden
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Critic, Feedback, digest


class Shared:
    """The critic; what it said of the shared first attempts is not asked for again."""

    def __init__(self, critic: Critic, told: Mapping[str, Attempt]) -> None:
        self.critic = critic
        self.told = told
        self.sees_hidden = may_see_hidden(critic)
        self.signal = getattr(critic, "signal", "public")

    async def __call__(self, attempt: Attempt) -> Feedback:
        """What the critic says of the attempt."""
        known = self.told.get(attempt.id)
        if known is not None and known.text == attempt.text and known.feedback is not None:
            return known.feedback
        return await bring(self.critic, attempt)


class Retold:
    """The critic's verdict in other words: a pass stays as it is."""

    def __init__(self, critic: Shared, words: Callable[[Attempt, Feedback], Feedback]) -> None:
        self.inner = critic
        self.words = words
        self.sees_hidden = critic.sees_hidden
        self.signal = critic.signal

    async def __call__(self, attempt: Attempt) -> Feedback:
        """The verdict on the attempt with the words of this condition."""
        own = await self.inner(attempt)
        return own if own.verdict == "pass" else self.words(attempt, own)


class OtherTask:
    """Words that the critic said of another task, drawn anew for every attempt.

    ``items["fits"]`` says whether a sentence of them is also what the critic says here: by chance
    another task's words can be right. It says ``none`` where no other task failed, so that there are
    no words to tell; "try again" then stands in for them.
    """

    def __init__(self, told: Mapping[str, Attempt], seed: int) -> None:
        failed = [each for each in told.values() if each.feedback and each.feedback.verdict != "pass"]
        # In an order of its own: which attempt was finished first differs from run to run.
        self.pool = sorted((each.task.id, each.feedback.text) for each in failed if each.feedback)
        self.seed = seed

    def __call__(self, attempt: Attempt, own: Feedback) -> Feedback:
        """Another task's words."""
        draw = random.Random(digest(str(self.seed), attempt.id))
        others = [text for task, text in self.pool if task != attempt.task.id]
        if not others:
            again = Prompts().render("again")
            return own.replace(text=again, kind="unary", items={**own.items, "fits": "none"})
        text = draw.choice(others)
        fits = bool(_sentences(text) & _sentences(own.text))
        return own.replace(text=text, items={**own.items, "fits": "yes" if fits else "no"}, spans=())


def _sentences(text: str) -> set[str]:
    parts = text.replace("\n", ". ").replace("; ", ". ").split(". ")
    return {part.strip(" .").lower() for part in parts if part.strip(" .")}
