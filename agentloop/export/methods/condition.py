"""A condition on an answer: a text of ``texts/`` that puts words around the question.

An answer may itself have been sampled under such a condition, when the policy was trained in an
earlier round. The new condition then takes the place of the old one; without one it goes around all
that the user was shown. So in the rows of a first round in which memory recalled notes the condition
stands before the notes, while ``conditioned`` puts it after them, next to the question. What looks like
the condition at the beginning of a line is taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Message

PLACE = "{task}"
"""Where the question stands, in the text of a condition and in the text that a task is rendered with."""

NO_QUESTION = "its first prompt has no message of a user to put a condition around"

_MARK = re.compile(r"<[^<>{}\s]+>")
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


def conditioned(prompts: Prompts, name: str, text: str, **values: str) -> str:
    """``text`` under the condition ``name``: a question, or a text such as ``task.md`` with its ``{task}``.

    In such a text only the question gets the condition, so that it still comes first in a task without
    notes. A text that is under the condition already gets the new values.
    """
    if any(_PLACEHOLDER.search(value) for value in values.values()):
        raise BadInput(f"a condition may hold no placeholder such as {PLACE}, got {values}; drop the braces")
    before, question = _apart(prompts, [name], text)
    place = PLACE if PLACE in question else question
    return before + question.replace(place, _around(prompts, name, place, values, marked=[name]))


def under_condition(
    prompts: Prompts, x0: Sequence[Message], name: str, *, names: Sequence[str], **values: str
) -> tuple[Message, ...] | None:
    """``x0`` with condition ``name`` around the last user message, or in place of one of ``names`` there.

    None when no user speaks in ``x0``.
    """
    last = max((index for index, each in enumerate(x0) if each["role"] == "user"), default=None)
    if last is None:
        return None
    before, question = _apart(prompts, names, x0[last]["content"])
    content = before + _around(prompts, name, question, values, marked=names)
    return (*x0[:last], {"role": "user", "content": content}, *x0[last + 1 :])


def _around(
    prompts: Prompts, name: str, question: str, values: Mapping[str, str], *, marked: Sequence[str]
) -> str:
    """The condition with the question; marks of the conditions ``marked`` are broken in a value."""
    marks = {mark.lower() for each in marked for mark in _MARK.findall(_text(prompts, each))}

    def broken(match: re.Match[str]) -> str:
        return f"< {match[0][1:]}" if match[0].lower() in marks else match[0]

    harmless = {key: _MARK.sub(broken, value) for key, value in values.items()}
    return prompts.render(name, task=question, **harmless)


def _apart(prompts: Prompts, names: Sequence[str], content: str) -> tuple[str, str]:
    """What stands before the condition, and the question in it; all is question where there is none."""
    for name in names:
        head, _, tail = _text(prompts, name).strip().partition(PLACE)
        pattern = f"^{_any(head)}(?P<question>.*){_any(tail)}\\Z"
        match = re.search(pattern, content, re.DOTALL | re.MULTILINE)
        if match:
            return content[: match.start()], match["question"]
    return "", content


def _text(prompts: Prompts, name: str) -> str:
    text = prompts.text(name)
    if PLACE not in text:
        raise BadInput(f"prompt text {name!r} says nothing of the question; put {PLACE} where it belongs")
    return text


def _any(text: str) -> str:
    """A pattern for the text with any values in it."""
    return ".*?".join(re.escape(part) for part in _PLACEHOLDER.split(text))
