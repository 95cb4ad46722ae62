"""How the scripted robot plans: the plain plan of a task, what constraints change in it, and replanning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Step = dict[str, str]

_TASK = re.compile(
    r"(?:the|my) (?P<thing>(?:\w+ )?(?:cup|spoon))\b.*?\b(?:into|in) the (?P<place>(?:\w+ )?(?:drawer|box))",
    re.I,
)
_NOUNS = ("drawer", "box", "cup", "spoon")
_NAMED = r"the ((?!the\b)\w+ (?:drawer|box|cup|spoon))"
MEANINGS: Mapping[str, re.Pattern[str]] = {
    "no_latch": re.compile(r"\bno latch\b|\bnot have a latch\b|\bnothing to release\b"),
    "latch": re.compile(r"\blatch\b"),
    "empty_hand": re.compile(r"\bhand must be empty\b|\bwhile you hold\b|\b(full|free|empty) hand\b"),
    "close": re.compile(r"\b(close|shut) (the|it)\b|\bstay open\b"),
    "open_first": re.compile(r"\bopen(ing|ed)?\b|\bstill (shut|closed)\b"),
    "own": re.compile(rf"\b(my \w+ is|mine is|i use) {_NAMED}"),
    "other": re.compile(rf"\b(take|mean|get) {_NAMED}"),
    "unfinished": re.compile(r"\bhas to go into\b|\bbelongs in\b|\bstill outside\b|\bnot (done|finished)\b"),
}
"""What a correction of a plan may mean, in the order in which it is tried."""

_DONE = re.compile(r"\b(lies in|is in the hand|is open|is closed|is released)\b")


def meaning_of(said: str) -> str:
    """What a correction or a constraint means for a plan; empty when it is not understood."""
    return next((name for name, words in MEANINGS.items() if words.search(said.lower())), "")


def relevant(task: str, constraints: str) -> list[int]:
    """The numbers of the constraints that speak of something in the task."""
    listed = re.findall(r"^(\d+)\. (.*)$", constraints, re.MULTILINE)
    return [int(number) for number, text in listed if _matters(text.lower(), task.lower())]


def make_plan(task: str, constraints: str, notes: str) -> list[Step]:
    """The plan of a task under constraints, newest first; corrections in the notes count as constraints."""
    told = re.findall(r"^- (.*)$", constraints, re.MULTILINE)
    told += [
        text
        for text in reversed(re.findall(r"^correction: (.*)$", notes, re.M))
        if _matters(text.lower(), task.lower())
    ]
    plan = _plain_plan(task)
    latches: dict[str, str] = {}
    for text in told:
        meaning, name = meaning_of(text), _named(text)
        if meaning in ("latch", "no_latch"):
            latches.setdefault(name, meaning)
        elif meaning == "own":
            plan = [_renamed(step, name) for step in plan]
    meanings = {meaning_of(text) for text in told}
    return _arranged(plan, meanings, latches)


def replan(plan: str, step: str, state: str, correction: str) -> dict[str, Any]:
    """What a correction at a step of the plan teaches, and the rest of the plan."""
    steps: list[Step] = [
        {"step": words, "object": thing} for words, thing in re.findall(r"^\d+\. (.*) \[(.*)\]$", plan, re.M)
    ]
    at = next((place for place, each in enumerate(steps) if f"{place + 1}. {each['step']}" == step), 0)
    meaning, name = meaning_of(correction), _named(correction)
    finished = bool(_DONE.search(state)) and meaning != "open_first"
    rest = steps[at + finished :]
    changed, whole = _CHANGES.get(meaning, _as_it_was)(steps, rest, _held(state), name)
    return {
        **_taught(meaning, name),
        "state": _state_now(state),
        "step_finished": finished,
        "modified_plan": whole,
        "replan": changed,
    }


def state_after(state: str, finished: str) -> str:
    """The state of the objects after a finished step."""
    known = dict(
        line.split(": ", 1) for line in state.splitlines() if ": " in line and not line.startswith("seen")
    )
    if into := re.match(r"put the (.+) (?:into|on) the (.+)", finished):
        known |= {"hand": "empty", into.group(1): f"in the {into.group(2)}"}
    elif taken := re.match(r"pick up the (.+)", finished):
        known["hand"] = taken.group(1)
    elif moved := re.match(r"(open|close) the (.+)", finished):
        known[moved.group(2)] = "open" if moved.group(1) == "open" else "closed"
    return "\n".join(f"{name}: {value}" for name, value in known.items())


def _plain_plan(task: str) -> list[Step]:
    found = _TASK.search(task)
    if found is None:
        return []
    thing, place = found.group("thing").lower(), found.group("place").lower()
    return [_pick(thing), _put(thing, place)]


def _arranged(plan: list[Step], meanings: set[str], latches: Mapping[str, str]) -> list[Step]:
    """The plan with what constraints add: opening, unlatching and closing the drawer that it fills."""
    drawer = next(
        (step["object"] for step in plan if step["step"].startswith("put ") and "drawer" in step["object"]),
        "",
    )
    if not drawer or not meanings & {"open_first", "empty_hand", "latch"}:
        return plan + [_close(drawer)] if drawer and "close" in meanings else plan
    newest = next(iter(latches.values()), "")
    latched = latches.get(drawer, newest if drawer == "drawer" else "") == "latch"
    opening = [_release(drawer)] * latched + [_open(drawer)]
    arranged = opening + plan if "empty_hand" in meanings else plan[:-1] + opening + plan[-1:]
    return arranged + [_close(drawer)] * ("close" in meanings)


def _as_it_was(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    return rest, steps


def _open_first(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    drawer = rest[0]["object"] if rest else "drawer"
    place = len(steps) - len(rest)
    return [_open(drawer), *rest], [*steps[:place], _open(drawer), *steps[place:]]


def _empty_hand(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    if not held:
        return rest, steps
    opening = [step for step in rest if step["step"].startswith(("open ", "release "))]
    after = [step for step in rest if step not in opening]
    whole = [step for step in steps if step not in opening]
    return [_put(held, "table"), *opening, _pick(held), *after], [*opening, *whole]


def _latch(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    place = len(steps) - len(rest)
    return [_release(name or "drawer"), *rest], [*steps[:place], _release(name or "drawer"), *steps[place:]]


def _no_latch(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    return _without_release(rest), _without_release(steps)


def _without_release(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not step["step"].startswith("release ")]


def _close_at_end(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    drawer = next((step["object"] for step in steps if "drawer" in step["object"]), "drawer")
    return [*rest, _close(drawer)], [*steps, _close(drawer)]


def _other(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    back = [_put(name.split()[-1], "table")]
    return [*back, _pick(name), *(_renamed(step, name) for step in rest)], [
        _renamed(step, name) for step in steps
    ]


def _unfinished(steps: list[Step], rest: list[Step], held: str, name: str) -> tuple[list[Step], list[Step]]:
    put = [step for step in steps if step["step"].startswith("put ") and step["object"] != "table"][-1:]
    thing = next((step["object"] for step in steps if step["step"].startswith("pick ")), "thing")
    return ([] if held else [_pick(thing)]) + put, steps


_CHANGES = {
    "open_first": _open_first,
    "empty_hand": _empty_hand,
    "latch": _latch,
    "no_latch": _no_latch,
    "close": _close_at_end,
    "own": _other,
    "other": _other,
    "unfinished": _unfinished,
}


def _taught(meaning: str, name: str) -> dict[str, str]:
    """The constraints that a meaning teaches, in words of the robot's own."""
    kind = name.split()[-1] if name else "thing"
    task = {
        "open_first": "Open the drawer before putting anything into it.",
        "close": "Close the drawer at the end.",
        "latch": f"Release the latch of the {name} before opening it.",
        "no_latch": f"There is no latch on the {name}.",
        "own": f"My {kind} is the {name}.",
    }.get(meaning, "none")
    about = name if name and meaning in ("latch", "no_latch", "own") else "none"
    robot = "The hand must be empty to open a drawer." if meaning == "empty_hand" else "none"
    when = "" if task == "none" else f"something is done with a {kind if about != 'none' else 'drawer'}"
    return {"task_constraint": task, "applies_when": when, "about": about, "robot_constraint": robot}


def _matters(text: str, task: str) -> bool:
    if own := re.search(r"\bmy (\w+) is\b", text):
        return f"my {own.group(1)}" in task
    return any(noun in text and noun in task for noun in _NOUNS)


def _named(said: str) -> str:
    found = re.findall(_NAMED, said.lower())
    return str(found[-1]) if found else ""


def _held(state: str) -> str:
    now = _state_now(state)
    found = re.search(r"^hand: (?!empty)(.+)$", now, re.MULTILINE)
    return found.group(1) if found else ""


def _state_now(state: str) -> str:
    """The state with what was seen last: something that is in the hand by now."""
    if "seen: The hand is empty" in state:
        state += "\nseen: The empty is in the hand"
    seen = re.search(r"^seen: The (\w+) is in the hand", state, re.MULTILINE)
    lines = [
        line for line in state.splitlines() if not line.startswith(("seen", "hand: ") if seen else "seen")
    ]
    return "\n".join([*lines, f"hand: {seen.group(1)}"] if seen else lines)


def _renamed(step: Step, name: str) -> Step:
    """The step with the full name of what it calls by its kind alone."""
    kind = name.split()[-1] if name else ""
    if not kind or name in step["step"]:
        return step
    words = re.sub(rf"\bthe (?:\w+ )?{kind}\b", f"the {name}", step["step"])
    thing = name if step["object"].split()[-1:] == [kind] else step["object"]
    return {"step": words, "object": thing}


def _pick(thing: str) -> Step:
    return {"step": f"pick up the {thing}", "object": thing}


def _put(thing: str, place: str) -> Step:
    word = "on" if place == "table" else "into"
    return {"step": f"put the {thing} {word} the {place}", "object": place}


def _open(drawer: str) -> Step:
    return {"step": f"open the {drawer}", "object": drawer}


def _close(drawer: str) -> Step:
    return {"step": f"close the {drawer}", "object": drawer}


def _release(drawer: str) -> Step:
    return {"step": f"release the latch of the {drawer}", "object": drawer}
