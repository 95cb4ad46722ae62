"""The border that hidden data may not cross unnoticed: what a critic is given, and who is let through."""

from __future__ import annotations

from agentloop.types import Attempt, Critic, Feedback, Task


class SeesHidden:
    """A critic that is given hidden data; everything it says is marked privileged."""

    sees_hidden = True

    def __init__(self, critic: Critic) -> None:
        self.__wrapped__ = critic

    def __call__(self, attempt: Attempt) -> Feedback:
        """Ask the wrapped critic."""
        return self.__wrapped__(attempt)  # type: ignore[return-value]


def sees_hidden(critic: Critic) -> SeesHidden:
    """Let ``critic`` see the task's hidden data; agentloop then marks its feedback ``privileged``."""
    return SeesHidden(critic)


def may_see_hidden(critic: Critic) -> bool:
    """Whether ``critic`` was let through by ``sees_hidden``."""
    return bool(getattr(critic, "sees_hidden", False))


def public_task(task: Task) -> Task:
    """The task as anyone may see it."""
    return task.replace(hidden={}) if task.hidden else task


def public_attempt(attempt: Attempt) -> Attempt:
    """The attempt without the task's hidden data and without hidden facts."""
    steps = tuple(
        step.replace(facts=tuple(fact for fact in step.facts if not fact.hidden))
        if any(fact.hidden for fact in step.facts)
        else step
        for step in attempt.steps
    )
    facts = tuple(fact for fact in attempt.facts if not fact.hidden)
    return attempt.replace(task=public_task(attempt.task), steps=steps, facts=facts)


def mask_hidden(text: str, task: Task) -> str:
    """``text`` with every hidden value that stands in it verbatim replaced by ``[hidden]``.

    Values of fewer than six characters are left, since they stand in ordinary words and numbers too.
    """
    for value in sorted(hidden_values(task.hidden), key=len, reverse=True):
        if value in text:
            text = text.replace(value, "[hidden]")
    return text


def leaks(text: str, task: Task) -> bool:
    """Whether a hidden value stands verbatim in ``text``."""
    return mask_hidden(text, task) != text


def hidden_values(value: object) -> set[str]:
    """The hidden values of six characters or more, as they would stand in a text."""
    if isinstance(value, dict):
        return set().union(*(hidden_values(each) for each in value.values()), set())
    if isinstance(value, (list, tuple)):
        return set().union(*(hidden_values(each) for each in value), set())
    text = str(value)
    return {text} if len(text) >= 6 and not isinstance(value, bool) and value is not None else set()
