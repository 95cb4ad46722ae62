"""A web observation read back: the elements with their marks, names and states, and the goal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_QUOTED = r"'(?:[^'\\]|\\.)*'"
_LINE = re.compile(rf"^( +)(?:\[(\d+)\] )?([A-Za-z][\w-]*)(?: ({_QUOTED}(?: \| {_QUOTED})*))?(.*)$")
_STATE = re.compile(
    rf" value=(?P<value>{_QUOTED})|, at \((?P<x>-?\d+), (?P<y>-?\d+)\) size (?P<width>\d+)x(?P<height>\d+)"
    rf"|, (?P<name>[a-z]+)(?:=(?:(?P<text>{_QUOTED})|\[(?P<listed>[^\]]*)\]|(?P<bare>[^,\s]+)))?"
)
_STRING = re.compile(_QUOTED)
_ESCAPED = re.compile(r"\\(.)")


class Element(NamedTuple):
    """A line of an observation. ``mark`` is empty for what cannot be acted on."""

    mark: str
    role: str
    name: str
    depth: int
    states: Mapping[str, str]
    listed: Mapping[str, tuple[str, ...]]

    @property
    def value(self) -> str:
        """What stands in a field."""
        return self.states.get("value", "")

    @property
    def place(self) -> tuple[int, int]:
        """The middle of the element in pixels; (0, 0) where it is not told."""
        return int(self.states.get("x", 0)), int(self.states.get("y", 0))


class Page(NamedTuple):
    """What an observation shows."""

    elements: Sequence[Element]
    error: str = ""

    def of(self, *roles: str) -> list[Element]:
        """The marked elements of these roles, from top to bottom; of any role when none is given."""
        return [each for each in self.elements if each.mark and (not roles or each.role in roles)]

    def named(self, name: str, *roles: str) -> Element | None:
        """The first marked element of that very name, or else of one that differs in its case."""
        found = [each for each in self.of(*roles) if each.name.strip().lower() == name.strip().lower()]
        return next(
            (each for each in found if each.name.strip() == name.strip()), found[0] if found else None
        )

    def texts(self) -> list[str]:
        """The words that stand on the page by themselves."""
        return [each.name for each in self.elements if each.role == "StaticText"]

    def below(self, element: Element) -> list[Element]:
        """The elements that stand inside another."""
        found = []
        for each in self.elements[self.elements.index(element) + 1 :]:
            if each.depth <= element.depth:
                break
            found.append(each)
        return found

    def after(self, element: Element) -> Iterator[Element]:
        """The elements behind another."""
        yield from self.elements[self.elements.index(element) + 1 :]


def page_in(observation: str) -> Page:
    """Read an observation; lines that are not of a page's elements are passed over."""
    error = re.search(r"^Error: (.*)$", observation, re.MULTILINE)
    found = [element for line in observation.splitlines() if (element := _element(line))]
    return Page(found, error[1] if error else "")


def _element(line: str) -> Element | None:
    match = _LINE.match(line)
    if match is None:
        return None
    indent, mark, role, names, rest = match.groups()
    states: dict[str, str] = {}
    listed: dict[str, tuple[str, ...]] = {}
    for state in _STATE.finditer(rest):
        told = state.groupdict()
        if told["value"] is not None:
            states["value"] = _plain(told["value"])
        elif told["x"] is not None:
            states |= {key: told[key] for key in ("x", "y", "width", "height")}
        elif told["listed"] is not None:
            listed[told["name"]] = tuple(_plain(each) for each in _STRING.findall(told["listed"]))
        else:
            states[told["name"]] = _plain(told["text"]) if told["text"] else told["bare"] or ""
    name = " | ".join(_plain(each) for each in _STRING.findall(names or ""))
    return Element(mark or "", role, name, len(indent), states, listed)


def _plain(quoted: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], quoted[1:-1])
