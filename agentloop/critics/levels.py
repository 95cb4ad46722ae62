"""How much a critic says of what it found: from "try again" to what is wrong, where and how."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import FeedbackKind, Verdict

Detail: TypeAlias = Literal["unary", "binary", "located", "explained"]


def check_level(level: Detail) -> None:
    """Refuse a level that there is not; BadInput names those that there are."""
    if level not in get_args(Detail):
        raise BadInput(f"level must be one of {', '.join(get_args(Detail))}, got {level!r}")


def kind_of(verdict: Verdict, level: Detail) -> FeedbackKind:
    """The kind of feedback that words of this level are."""
    if verdict != "pass" and level == "unary":
        return "unary"
    return "binary" if level in ("unary", "binary") else "critique"


class Said(NamedTuple):
    """What a critic has to say: of what is right, where it is unsure, and of what is wrong, by detail."""

    right: str
    unsure: str
    located: str
    explained: str


def words_of(said: Said, verdict: Verdict, level: Detail, texts: Prompts) -> str:
    """The words of one level; what is right is said to be right at every level."""
    if verdict == "pass":
        return said.right
    if level == "unary":
        return texts.render("again")
    if level == "binary":
        return texts.render("binary") if verdict == "fail" else said.unsure
    return (said.located if level == "located" else said.explained) or said.unsure
