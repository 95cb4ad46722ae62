"""Why an action was not carried out: the fact ``blocked`` and the sentence that the agent is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from agentloop.environments.web.actions import Action
from agentloop.environments.web.marks import Seen, described, near, quoted
from agentloop.types import Fact

MOST_LISTED = 15
FORMS: Mapping[str, str] = {
    "number": "a number such as '3.5'",
    "date": "a date as '2024-05-31'",
    "time": "a time as '17:30'",
    "datetime-local": "a date and time as '2024-05-31T17:30'",
    "month": "a month as '2024-05'",
    "week": "a week as '2024-W22'",
    "color": "a colour as '#ff0000'",
}


class Done(NamedTuple):
    """What came of an action: nothing to tell when it was carried out, else the reason and its fact."""

    error: str = ""
    fact: Fact | None = None


def blocked(
    action: Action,
    why: str,
    error: str,
    *,
    mark: str = "",
    by: str = "",
    near: Sequence[str] = (),
) -> Done:
    """An action that was not carried out, with the evidence for it."""
    data: dict[str, Any] = {"action": action.written(), "why": why}
    data |= {"mark": mark} if mark else {}
    data |= {"by": by} if by else {}
    data |= {"near": list(near)} if near else {}
    return Done(error, Fact(kind="blocked", data=data))


def not_allowed(action: Action, error: str, mark: str = "") -> Done:
    """An action that makes no sense there."""
    return blocked(action, "not_allowed", error, mark=mark)


def no_such_mark(action: Action, seen: Seen, mark: str) -> Done:
    """Nothing on the page has the mark: it never had, or the element is gone."""
    found = near(seen, mark)
    gone = mark.isdigit() and seen.find(int(mark)) is not None
    error = (
        f"{seen.find(int(mark)) and _target(seen, mark)} is gone" if gone else f"there is no mark {mark!r}"
    )
    if found and not gone:
        error += f"; did you mean {' or '.join(found)}?"
    return blocked(action, "no_such_mark", error, mark=mark, near=[] if gone else found)


def refused(action: Action, seen: Seen, mark: str, told: Mapping[str, Any]) -> Done:
    """What our script in the page says against an action on a mark."""
    why = told["why"]
    if why == "no_such_mark":
        return no_such_mark(action, seen, mark)
    target = _target(seen, mark)
    if why == "covered":
        by = _covering(seen, told["by"])
        return blocked(action, why, f"{target} is covered by {by}", mark=mark, by=by)
    if why == "no_such_option":
        return _no_such_option(action, target, mark, told)
    says = {
        "not_visible": f"{target} is not visible",
        "disabled": f"{target}, or what was to be chosen in it, is disabled",
        "not_editable": f"{target} cannot be written into",
        "not_allowed": f"{target} is not of the kind for {action.name}",
    }
    error = says[why]
    if told.get("form"):
        error = f"{target} takes {FORMS.get(told['form'], 'another form of value')}"
    if told.get("one"):
        error = f"{target} takes one option only"
    return blocked(action, why, error, mark=mark)


def _no_such_option(action: Action, target: str, mark: str, told: Mapping[str, Any]) -> Done:
    options: list[str] = told["options"]
    meant = get_close_matches(told["option"], options, n=1, cutoff=0.5)
    same = [each for each in options if each.lower() == told["option"].strip().lower()]
    error = f"{target} has no option {quoted(told['option'][:100])}"
    if same or meant:
        error += f"; did you mean {quoted((same or meant)[0])}?"
    listed = ", ".join(quoted(each) for each in options[:MOST_LISTED])
    error += f" It has: {listed}{', ...' if len(options) > MOST_LISTED else ''}"
    return blocked(action, "no_such_option", error, mark=mark, near=(same or meant)[:1])


def _target(seen: Seen, mark: str) -> str:
    line = seen.find(int(mark))
    return described(line) if line else f"the element of mark {mark}"


def _covering(seen: Seen, by: Mapping[str, Any]) -> str:
    if by["mark"]:
        line = seen.find(by["mark"])
        return described(line) if line else f"[{by['mark']}]"
    words = f" {quoted(by['text'])}" if by["text"] else ""
    return f"an element {quoted(by['tag'])} without a mark{words}"
