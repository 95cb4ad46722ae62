"""Whether a correction's evidence holds: its quote stands in the trajectory and supports its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentloop.memories.novelty import content, numbers
from agentloop.memories.words import words
from agentloop.types import Attempt, Correction


def unproven(correction: Correction, attempts: Sequence[Attempt], *, support: float = 0.5) -> str:
    """Why the evidence does not hold; empty when it does.

    The quote must stand, word by word, in what the critic said, in an attempt, or in an observation. At
    least ``support`` of the words that carry the text, and every number in it, must stand where the quote
    does. Whether the words mean what the text says of them is for no program to tell.
    """
    quote = " ".join(words(correction.source.quote))
    if not quote:
        return "it quotes nothing"
    if not attempts:
        return "there is no trajectory to find its quote in"
    where = [each for each in passages(attempts) if f" {quote} " in f" {' '.join(words(each))} "]
    if not where:
        return "its quote stands nowhere in the trajectory"
    said, known = content(correction.text), {word for each in where for word in content(each)}
    if said and sum(word in known for word in said) < support * len(said):
        return "its quote does not say what it says"
    everywhere = {word for each in passages(attempts) for word in content(each)}
    everywhere |= {word for each in attempts for word in content(each.task.prompt)}
    if not numbers(said) <= everywhere:
        return "it names a number that stands nowhere in the trajectory"
    return ""


def passages(attempts: Sequence[Attempt]) -> Iterator[str]:
    """What was said and seen: the critic's words, the attempts with their actions, the observations."""
    for attempt in attempts:
        if attempt.feedback is not None:
            yield attempt.feedback.text
            yield from attempt.feedback.items.values()
            yield from (span.replacement for span in attempt.feedback.spans if span.replacement)
        if attempt.reflection is not None:
            yield attempt.reflection.text
        yield attempt.text
        for step in attempt.steps:
            yield step.action
            yield step.observation
