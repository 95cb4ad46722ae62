"""Pages of text to look things up in: search for a title, look a word up, finish with an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from agentloop.errors import BadInput
from agentloop.types import Fact, Step, Task

_ACTION = re.compile(r"\s*(\w+)\[(.+)\]\s*", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SHOWN = 5
"""Sentences that a search shows: the beginning of a page."""


class PagesEnvironment:
    """Lets an agent read pages, by title: the tools of ReAct on an encyclopedia, offline.

    ``Search[title]`` shows the beginning of a page, or titles like it. ``Lookup[word]`` shows the next
    sentence of that page with the word. ``Finish[answer]`` ends the attempt. Without ``pages`` each task
    brings its own, as ``public["pages"]``::

        pages = {"Milan": "Milan is a city in Italy. It has 1.4 million inhabitants."}
        agent = reflexion_questions_agent(
            model=model, environment=PagesEnvironment(pages), oracle=exact_match
        )
    """

    def __init__(self, pages: Mapping[str, str] | None = None) -> None:
        self.pages = pages

    def __call__(self, task: Task) -> PagesSession:
        """Open a session; BadInput when there are no pages."""
        pages = task.public.get("pages") if self.pages is None else self.pages
        if not isinstance(pages, Mapping) or not pages:
            raise BadInput(f"task {task.id!r} has no pages; give PagesEnvironment(pages) or public['pages']")
        return PagesSession(task, pages)


class PagesSession:
    """One reading of the pages."""

    def __init__(self, task: Task, pages: Mapping[str, str]) -> None:
        self._task, self._pages = task, pages
        self._titles = {title.lower(): title for title in pages}
        self._open: list[str] | None = None
        self._word, self._at = "", 0

    def prompt(self) -> str:
        """The question."""
        return self._task.prompt

    def step(self, action: str, /) -> Step:
        """Carry out one action."""
        found = _ACTION.fullmatch(action)
        name, argument = (found.group(1).lower(), found.group(2).strip()) if found else ("", "")
        if name == "finish":
            return Step(
                action=action,
                observation="The answer was given.",
                facts=(Fact(kind="answer", data={"text": argument}),),
                done=True,
            )
        if name == "search":
            return Step(action=action, observation=self._search(argument))
        if name == "lookup":
            return Step(action=action, observation=self._look_up(argument))
        told = Fact(kind="malformed_action", data={"text": action, "message": "not one of the actions"})
        observed = "No such action. There are Search[title], Lookup[word] and Finish[answer]."
        return Step(action=action, observation=observed, facts=(told,))

    def close(self) -> None:
        """Nothing is held."""

    def _search(self, title: str) -> str:
        known = self._titles.get(title.lower())
        self._word = ""
        if known is None:
            self._open = None
            like = get_close_matches(title.lower(), self._titles, n=5, cutoff=0.3)
            named = ", ".join(self._titles[each] for each in like)
            return f"There is no page {title}. Pages with a like title: {named or 'none'}."
        self._open = _SENTENCE.split(self._pages[known].strip())
        return " ".join(self._open[:_SHOWN])

    def _look_up(self, word: str) -> str:
        if self._open is None:
            return "No page is open to look a word up in. Search for one first."
        with_word = [sentence for sentence in self._open if word.lower() in sentence.lower()]
        self._at = self._at + 1 if word.lower() == self._word else 0
        self._word = word.lower()
        if self._at >= len(with_word):
            return f"{'No more' if with_word else 'No'} sentences of this page have {word}."
        return f"({self._at + 1} of {len(with_word)}) {with_word[self._at]}"
