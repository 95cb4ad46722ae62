"""A simulated person who edits what was written for them until it is in their style."""

from __future__ import annotations

import random
from collections.abc import Mapping

from agentloop.errors import BadInput
from agentloop.people.writing_styles import BRIEF_SENTENCES, STYLES, Passage, named, read, render, suits
from agentloop.types import Attempt, digest

WHOLE = 4
"""Sentences of a summary that is not brief, where its person has to complete it."""

WANTS: Mapping[str, str] = {
    "notice": "bullet points, brief, no closing",
    "review": "question answering form, no closing",
    "entry": "second person, short sentences, thankful closing",
    "study": "tweet style with a hashtag, emojis, lower case",
    "diary": "story-telling, exclamation marks, ends with a question to the reader",
}
"""Preferences of our own, one for each kind of text in writing_texts.py."""


class Editor:
    """Edits a text into the style preferred for its kind, which is never said; a user for ``cipher_agent``.

    ``wants`` gives each label in ``task.public["label"]`` a preference in words, of which those that name
    one of ``STYLES`` count. A text that has all of them, and no other that could be taken out, comes back
    as it is; any other is written anew from its plain sentences.

    ``completes``: a person who did not ask for brevity adds sentences of ``public["context"]`` to a text
    that was cut short. The published user is shown the text alone; then the shorter a text, the less
    there is to edit, and the cheapest is an empty one. ``overlooks`` is the share of texts, drawn by
    ``seed``, that are taken as they come.
    """

    def __init__(
        self,
        wants: Mapping[str, str] | None = None,
        *,
        completes: bool = True,
        overlooks: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.wants = dict(WANTS if wants is None else wants)
        for label, words in self.wants.items():
            if not named(words):
                known = "; ".join(style.words for style in STYLES.values())
                raise BadInput(f"the preference for {label!r} names no style: {words!r}; known: {known}")
        if not 0.0 <= overlooks <= 1.0:
            raise BadInput(f"overlooks must be a share from 0 to 1, got {overlooks}")
        self.completes = completes
        self.overlooks = overlooks
        self.seed = seed

    def preference(self, label: object) -> str:
        """The words of the preference for one kind of text."""
        if label not in self.wants:
            raise BadInput(f"no preference for texts labelled {label!r}; known: {', '.join(self.wants)}")
        return self.wants[str(label)]

    def __call__(self, attempt: Attempt) -> str:
        """The text as this person wants it."""
        task, text = attempt.task, attempt.text
        wanted = named(self.preference(task.public.get("label")))
        if random.Random(digest(str(self.seed), attempt.id)).random() < self.overlooks:
            return text
        passage = read(text)
        if self.completes and "brief" not in wanted:
            passage = completed(passage, str(task.public.get("context", "")))
        if not passage.sentences or (passage == read(text) and suits(text, wanted)):
            return text
        return render(passage, wanted)


def completed(passage: Passage, source: str) -> Passage:
    """A passage that was cut short with more of the sentences of its source, in their order."""
    said = passage.sentences
    if len(said) > BRIEF_SENTENCES:
        return passage
    told = _bare(" ".join(said))
    more = [each for each in read(source).sentences if _bare(each) not in told]
    return passage._replace(sentences=(*said, *more[: WHOLE - len(said)]))


def _bare(text: str) -> str:
    """The letters and figures of a text: a sentence that was cut in pieces is still told."""
    return "".join(each for each in text.lower() if each.isalnum())
