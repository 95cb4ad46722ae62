"""How the scripted robot writes code, from knowledge and from corrections, and what it keeps of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

USUAL: dict[str, dict[str, float]] = {
    "pick": {"x": 0.0, "y": 0.0, "turn": 0.0},
    "open": {"x": 0.0, "y": 0.0, "turn": 0.0, "distance": 0.1},
    "put": {"x": 0.0, "y": 0.0},
    "close": {},
    "release": {},
}
"""What the robot tries where it knows nothing."""

A_BIT = 0.02
"""What it takes "a bit" for, in metres."""

FAILED = re.compile(r"\b(slipped|dropped|fell|lost it|repeat|again|once more|another go)\b")
"""What is said when something did not work out and is to be done again."""

_LESS = re.compile(r"\b(back|less|too|earlier|untwist|stop|not)\b")
_PULL = re.compile(r"\b(pull|draw|come out|out|too much)\b")
_SIDES = {
    "x": (re.compile(r"\bright\b"), re.compile(r"\bleft\b")),
    "y": (
        re.compile(r"\b(forward|away|deep|deeper|far edge|further)\b"),
        re.compile(r"\b(back|closer|towards|toward)\b"),
    ),
}
"""Words for the two directions of an axis."""

_VALUE = re.compile(r"\b([a-z]+)=(-?[\d.]+)")
_CALL = re.compile(r"^([a-z]+)\((\d+)?(.*)\)$")
_RESPONSE = re.compile(r"^response (\d+):\n(.*?)\ncame of it:", re.MULTILINE | re.DOTALL)
_LENGTH = re.compile(r"(\d+(?:\.\d+)?) ?cm")
_ANGLE = re.compile(r"(\d+) degrees")


def write_code(step: str, thing: str, knowledge: str, notes: str) -> str:
    """The code of a step on the object ``thing``, such as ``3 drawer``."""
    skill, mark = step.split()[0], thing.split()[0]
    skill = skill if skill in USUAL else "move"
    if skill == "put" and mark == "0":
        return "put(0)"
    known = _same_object(skill, mark, knowledge) or _of_step(knowledge) or _latest(step, notes)
    values = {**USUAL.get(skill, {}), **_values(known, USUAL.get(skill, {}))}
    before = re.findall(r"move\(up=[\d.]+\)", known)
    return "\n".join([*before, _call(skill, mark, values)])


def correct(thing: str, history: str, correction: str) -> str:
    """The code that follows a correction, given what it depends on."""
    said = correction.lower()
    responses = [code for _, code in _RESPONSE.findall(history)]
    if not responses:
        return f"move(up={_metres(said):g})"
    if FAILED.search(said):
        return str(responses[-1])
    *_, last = responses[-1].splitlines()
    found = _CALL.match(last)
    if found is None or found.group(1) not in USUAL:
        return str(responses[-1])
    skill, mark = found.group(1), found.group(2) or thing.split()[0]
    name, change = _change(said)
    values = {**USUAL[skill], **_values(last, USUAL[skill])}
    if name in values:
        values[name] = round(values[name] + change, 3)
    return _call(skill, mark, values)


def names_of(code: str) -> list[str]:
    """The names of the values in the last call."""
    lines = code.splitlines() or [""]
    return [name for name, _ in _VALUE.findall(lines[-1])]


def values_of(names: str, history: str) -> dict[str, Any]:
    """The final values, each with the response it stands in, and the movements made on the way."""
    responses = [(int(number), code.splitlines()) for number, code in _RESPONSE.findall(history)]
    number, lines = responses[-1] if responses else (0, [""])
    wanted = set(re.findall(r"[a-z]+", names))
    values = [
        {"name": name, "value": float(value), "from": number}
        for name, value in _VALUE.findall(lines[-1])
        if name in wanted
    ]
    return {"values": values, "way_points": _way_points(responses)}


def _way_points(responses: Sequence[tuple[int, Sequence[str]]]) -> list[dict[str, Any]]:
    """Movements before the step's first call, and those that were a response by themselves."""
    whole = next(((number, lines) for number, lines in responses if not _moves(lines[-1])), None)
    kept = [(whole[0], line) for line in whole[1][:-1]] if whole else []
    kept += [(number, line) for number, lines in responses for line in lines if all(map(_moves, lines))]
    return [{"code": line, "from": number} for number, line in kept]


def _moves(line: str) -> bool:
    return line.startswith("move(")


def _call(skill: str, mark: str, values: dict[str, float]) -> str:
    return f"{skill}({', '.join([mark, *(f'{name}={value:g}' for name, value in values.items())])})"


def _values(text: str, allowed: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in _VALUE.findall(text) if name in allowed}


def _same_object(skill: str, mark: str, knowledge: str) -> str:
    """What was right for the same object before in this task."""
    lines = re.findall(rf"^earlier step, .*: (.*\b{skill}\({mark}\b.*)$", knowledge, re.MULTILINE)
    return str(lines[-1]) if lines else ""


def _of_step(knowledge: str) -> str:
    return "".join(re.findall(r"^this step, .*$", knowledge, re.MULTILINE)[-1:])


def _latest(step: str, notes: str) -> str:
    """The code that the last like step in the notes ended with."""
    words = step.split()
    like = re.findall(
        rf"^step: {re.escape(words[0])}\b[^\n]*\b{re.escape(words[-1])}\n(.*?)(?=^step: |\Z)",
        notes,
        re.M | re.S,
    )
    codes = [code for _, code in _RESPONSE.findall(like[-1])] if like else []
    return "\n".join([*(code for code in codes if _moves(code)), *codes[-1:]])


def _change(said: str) -> tuple[str, float]:
    """Which value a correction changes, and by how much; what is too far one way has to go the other."""
    angle = _ANGLE.search(said)
    if angle:
        return "turn", float(angle.group(1)) * (-1 if _LESS.search(said) else 1)
    length = _metres(said)
    for name, (more, less) in _SIDES.items():
        named = more.search(said) or less.search(said)
        if named and not (name == "y" and _PULL.search(said)):
            sign = 1 if more.search(said) else -1
            return name, length * (-sign if re.search(r"\btoo\b", said) else sign)
    if _PULL.search(said):
        return "distance", length * (-1 if _LESS.search(said) else 1)
    return "", 0.0


def _metres(said: str) -> float:
    found = _LENGTH.search(said)
    return float(found.group(1)) / 100 if found else A_BIT
