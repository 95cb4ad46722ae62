"""The words for the facts of a web environment: what stopped an action, what changed, what is unmet.

Whatever a page wrote is quoted, on one line and shortened; it never reads like the critic's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentloop.critics.words import Finding, counted, listed
from agentloop.types import Attempt, Fact, Span, Step

Data = Mapping[str, Any]

REACHED = "The goal was reached."
NOT_SEEN = "The goal was not seen to be reached."
TOLD = 120
"""Characters of one text from a page that are told."""
LINES = 5
"""Lines of a change that are told on either side."""
EARLIER = 3
"""Findings on earlier steps that are told, the latest ones."""
CALL = re.compile(r"\s*[a-z_]+\(.*\)\s*$")
HINDERED = ("blocked", "malformed_action", "refused", "crashed", "page_error")
"""The kinds of facts of an action that did not do what it was meant to."""


def of_reward(data: Data) -> Finding:
    """What the site makes of the episode. An episode that is not over is neither right nor wrong."""
    if data.get("passed"):
        return Finding("pass", REACHED, share=1.0)
    share = min(1.0, max(0.0, float(data.get("reward") or 0.0)))
    if not data.get("done"):
        return Finding("unsure", "The goal is not reached yet.", share=share)
    how = f"The reward is {data['reward']:g}." if share else ""
    return Finding("fail", "The task ended without its goal being reached.", how, share)


def of_blocked(data: Data) -> Finding:
    """An action that an element of the page stood in the way of, or that found no element."""
    why, mark = str(data.get("why", "")), marked(data.get("mark"))
    said, how = BLOCKED.get(why, (f"was held up ({quoted(why)})", LOOK_AGAIN))
    where = f"{quoted(data.get('action', ''))} was not carried out: {mark} {said}."
    if why == "not_allowed":
        where = f"{quoted(data.get('action', ''))} cannot be done there."
    by = one_line(data.get("by", ""))
    if why == "covered" and by:
        how = f"It is covered by {by}; deal with that first."
    near = [quoted(each) for each in data.get("near") or ()]
    hint = f"Did you mean {' or '.join(near[:3])}?" if near else ""
    return Finding("unsure", where, " ".join(part for part in (how, hint) if part))


def of_malformed_action(data: Data) -> Finding:
    """A reply that holds no action, or one that is not among those that there are."""
    where = f"{quoted(data.get('text', ''))} could not be read as an action."
    how = f"{one_line(data.get('message', ''))} Write one call, such as click('13')."
    return Finding("unsure", where, how.strip())


def of_refused(data: Data) -> Finding:
    """Something that the guards of the browser stopped."""
    what = str(data.get("what", ""))
    url = f" {quoted(data['url'])}" if data.get("url") else ""
    named = REFUSED.get(what) or one_line(what.replace("_", " ")) or "something"
    how = (
        f"It said {quoted(data['text'])}."
        if data.get("text")
        else "Only the task's own pages are open to you."
    )
    return Finding("unsure", f"The browser refused {named}{url}.", how)


def of_crashed(data: Data) -> Finding:
    """A page that is gone."""
    where, how = CRASHED.get(str(data.get("why")), CRASHED["gone"])
    return Finding("unsure", where, how)


def of_page_error(data: Data) -> Finding:
    """An error of the page's own script."""
    return Finding("unsure", "A script of the page failed.", f"{quoted(data.get('message', ''))}.")


def of_changed(data: Data) -> Finding:
    """What the last action changed on the page, as far as its text tells."""
    if changed_nothing(data):
        return Finding("unsure", "The last action changed nothing on the page.")
    return Finding("unsure", f"The last action changed the page: {difference(data)}.")


def of_purchase(data: Data) -> Finding:
    """What was bought."""
    options = data.get("options") or {}
    chosen = ", ".join(f"{name} {value}" for name, value in options.items())
    price = f" for {one_line(data['price'])}" if data.get("price") is not None else ""
    bought = quoted(data.get("title") or data.get("product", ""))
    with_options = f" with {quoted(chosen)}" if chosen else ""
    return Finding("unsure", "", f"{bought} was bought{with_options}{price}.")


def of_constraints(data: Data) -> Finding | None:
    """Which constraints of the goal are unmet, and which are right already."""
    met, unmet = list(data.get("met") or ()), list(data.get("unmet") or ())
    if not met and not unmet:
        return None
    if not unmet:
        return Finding("unsure", "Every constraint of the goal is met.", share=1.0)
    names = listed([one_line(each["name"]) for each in unmet])
    where = f"{names} {'is' if len(unmet) == 1 else 'are'} not as wanted."
    return Finding("unsure", where, f"{wanted_and_got(unmet)} {kept(met)}".strip())


def of_said(data: Data) -> Finding:
    """What the agent told the user."""
    return Finding("unsure", "", f"The user was told {quoted(data.get('text', ''))}.")


def wanted_and_got(unmet: Sequence[Data]) -> str:
    """Of every unmet constraint what is wanted and what came."""
    parts = []
    for each in unmet:
        got = f"got {quoted(each['got'])}" if each.get("got") not in (None, "", []) else "got nothing"
        parts.append(f"{one_line(each['name'])}: {quoted(each.get('wanted', ''))} is wanted, {got}.")
    return " ".join(parts)


def kept(met: Sequence[Data]) -> str:
    """What is right already, so that the next attempt keeps it."""
    right = ", ".join(f"{one_line(each['name'])} ({quoted(each.get('wanted', ''))})" for each in met)
    return f"Right already, and to be kept: {right}." if right else ""


def changed_nothing(data: Data) -> bool:
    """Whether a fact ``changed`` tells of no change."""
    return not any(data.get(part) for part in ("added", "removed", "url", "title"))


def difference(data: Data) -> str:
    """What a fact ``changed`` tells, in words: what appeared, what is gone, which address."""
    parts = []
    if data.get("url"):
        parts.append(f"its address is now {quoted(data['url'][-1])}")
    if data.get("title"):
        parts.append(f"its title is now {quoted(data['title'][-1])}")
    for name, word in (("added", "new is"), ("removed", "gone is")):
        lines = [quoted(line) for line in data.get(name) or ()]
        more = f" and {counted(len(lines) - LINES, 'more line')}" if len(lines) > LINES else ""
        if lines:
            parts.append(f"{word} {', '.join(lines[:LINES])}{more}")
    if data.get("left_out"):
        parts.append(f"{counted(data['left_out'], 'more line')} changed")
    return "; ".join(parts)


def of_earlier(steps: Sequence[Step]) -> list[Finding]:
    """What hindered earlier steps and was not done right afterwards; equal findings are told together."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, step in enumerate(steps, start=1):
        later = [each for each in steps[number:] if action_of(each.action) == action_of(step.action)]
        if any(not hindrances(each) for each in later):
            continue
        for finding in hindrances(step):
            found.setdefault((finding.where, finding.how), []).append(number)
    latest = sorted(found.items(), key=lambda item: item[1][-1])[-EARLIER:]
    return [Finding("unsure", f"{at_steps(numbers)}: {where}", how) for (where, how), numbers in latest]


def hindrances(step: Step) -> list[Finding]:
    """What kept the action of a step from doing what it was meant to."""
    found = [WEB_WORDS[fact.kind](fact.data) for fact in step.facts if fact.kind in HINDERED]
    return [finding for finding in found if finding is not None]


def of_outcome(attempt: Attempt) -> Finding:
    """What the site's last reward says: "pass", "fail" where the attempt ended without, else "unsure"."""
    facts = [*(fact for step in attempt.steps for fact in step.facts), *attempt.facts]
    rewards = [fact.data for fact in facts if fact.kind == "reward"]
    return of_reward(rewards[-1]) if rewards else Finding("unsure", NOT_SEEN)


def spans_of(text: str, facts: Sequence[Fact]) -> tuple[Span, ...]:
    """Where the action that failed stands in the attempt's text."""
    spans = []
    for fact in facts:
        own = str(fact.data.get("action" if fact.kind == "blocked" else "text", "")).strip()
        if not own or fact.kind not in ("blocked", "malformed_action"):
            continue
        own = own if own in text else action_of(text)  # the fact may write the same call another way
        begin = text.rfind(own)
        if own and begin >= 0:
            spans.append(Span(start=begin, end=begin + len(own), label=fact.data.get("why", fact.kind)))
    return tuple(spans)


def action_of(reply: str) -> str:
    """The last line of a reply that reads like a call, or else the reply."""
    calls = [line.strip() for line in reply.splitlines() if CALL.match(line)]
    return calls[-1] if calls else reply.strip()


def at_steps(numbers: Sequence[int]) -> str:
    """``At step 3``, ``At steps 3, 5 and 6``."""
    said = [str(number) for number in numbers]
    if len(said) == 1:
        return f"At step {said[0]}"
    return f"At steps {', '.join(said[:-1])} and {said[-1]}"


def marked(mark: object) -> str:
    """An element by its mark: ``element [13]``; what is described already stays so."""
    text = one_line(mark if mark is not None else "")
    if not text:
        return "the element"
    return f"element {text if text.startswith('[') else f'[{text}]'}"


def quoted(text: object) -> str:
    """A text from a page or a reply in code marks, on one line."""
    return f"`{one_line(text)}`"


def one_line(text: object) -> str:
    """``text`` on one line and no longer than is told; nothing in it can end a quotation or be unseen."""
    shown = "".join(each if each.isprintable() else " " for each in str(text).replace("`", "'"))
    line = " ".join(shown.split())
    return line if len(line) <= TOLD else f"{line[: TOLD - 4]} ..."


LOOK_AGAIN = "Look at the page again before the next action."
BLOCKED: Mapping[str, tuple[str, str]] = {
    "covered": ("is covered", "Something lies over it; deal with that first."),
    "not_visible": ("is not visible", "Scroll to it, or open what holds it."),
    "disabled": ("is disabled", "Something else has to be done before it can be used."),
    "not_editable": (
        "does not take that",
        "Choose a field for it, and write it in the form the field takes.",
    ),
    "no_such_mark": ("is not on the page", "Use a mark of the latest observation."),
    "no_such_option": ("has no such option", "Use an option as it is written on the page."),
    "timeout": ("did not react in time", LOOK_AGAIN),
    "not_allowed": ("is not of the kind for it", "Look at what the element is; stay on the task's pages."),
}
"""Of every reason what is wrong, and what to do about it where nothing more exact is known."""
REFUSED = {
    "origin": "an address of another site",
    "scheme": "an address that is no web page",
    "address": "an address inside the network",
    "download": "a download",
    "dialog": "a dialog",
    "popup": "another window",
    "service_worker": "a service worker",
    "web_socket": "a web socket",
    "further": "more of the same",
}
CRASHED = {
    "memory": ("The page used too much memory and was ended.", "Do not repeat the action that led there."),
    "endless_script": (
        "A script of the page did not end and was stopped.",
        "Do not repeat the action that led there.",
    ),
    "gone": ("The page is gone.", "Go on from another page."),
}
WEB_WORDS: Mapping[str, Callable[[Data], Finding | None]] = {
    "reward": of_reward,
    "constraints": of_constraints,
    "purchase": of_purchase,
    "blocked": of_blocked,
    "malformed_action": of_malformed_action,
    "refused": of_refused,
    "crashed": of_crashed,
    "page_error": of_page_error,
    "changed": of_changed,
    "said": of_said,
}
WEB_MARKS = frozenset({"page", "reward", "blocked", "malformed_action", "constraints", "crashed", "said"})
"""Kinds of facts by which a step is known to be one of a web environment."""
