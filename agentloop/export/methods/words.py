"""What a critic said of an attempt, as text that a row may hold, and the attempt as a critic is shown it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentloop.export.groups import Group, Try, tells_hidden
from agentloop.export.rows import LeftOut

NO_WORDS = "the feedback on it has no words"
LEAKING = "the feedback on it holds hidden data word for word"


def words_on(each: Try, *, known: Iterable[str] = ()) -> str | LeftOut:
    """The words of the feedback on the attempt, empty when there are none.

    Left out when a hidden value stands in them that neither the task says nor the texts ``known``.
    """
    text = each.attempt.feedback.text if each.attempt.feedback else ""
    if tells_hidden(text, each.trajectory.task, said=known):
        return LeftOut(LEAKING, each.attempt.id)
    return text.strip()


def some_words_on(each: Try, *, known: Iterable[str] = ()) -> str | LeftOut:
    """The same, where feedback without words is left out as well."""
    return words_on(each, known=known) or LeftOut(NO_WORDS, each.attempt.id)


def said_and_seen(each: Try) -> Iterator[str]:
    """All that the agent was shown, said and brought to light in the attempt."""
    for turn in each.turns:
        yield from (message["content"] for message in turn.call.messages)
        yield turn.reply.text
    yield from (step.observation for step in each.attempt.steps)


def question(group: Group) -> str:
    """The task as the agent was shown it, without instructions."""
    return "\n\n".join(message["content"] for message in group.x0 if message["role"] != "system")


def retold(each: Try) -> str:
    """What was said in the attempt: its answer, or its actions and what they brought."""
    return "\n\n".join(message["content"] for message in each.message_pieces()[-1].items)


def told_by_privileged(each: Try) -> bool:
    """Whether the feedback on the attempt comes from a critic that saw hidden data."""
    return each.attempt.feedback is not None and each.attempt.feedback.privileged
