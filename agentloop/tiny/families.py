"""The table families: ten that the model is trained on, and three whose words it never saw."""

from __future__ import annotations

from typing import NamedTuple

from agentloop.errors import BadInput


class Family(NamedTuple):
    """Tables of one kind: what they are called, and the columns that they are drawn from."""

    table: str
    key: str
    categories: tuple[str, ...]
    numbers: tuple[str, ...]

    @property
    def own_words(self) -> set[str]:
        """The words that only this family uses."""
        return {self.table, *self.categories, *self.numbers}


FAMILIES = (
    Family("staff", "name", ("department", "city", "role"), ("salary", "age", "years", "bonus")),
    Family("movies", "title", ("genre", "country", "studio"), ("rating", "budget", "minutes", "votes")),
    Family("products", "name", ("brand", "color", "material"), ("price", "stock", "weight", "sales")),
    Family("players", "name", ("team", "position", "nation"), ("goals", "matches", "points", "height")),
    Family("books", "title", ("publisher", "language", "shelf"), ("pages", "copies", "loans", "edition")),
    Family("flights", "code", ("airline", "origin", "gate"), ("seats", "delay", "miles", "fare")),
    Family("patients", "name", ("ward", "doctor", "illness"), ("pulse", "visits", "fever", "dose")),
    Family("cars", "model", ("maker", "fuel", "style"), ("power", "doors", "mileage", "speed")),
    Family("hotels", "name", ("district", "owner", "view"), ("rooms", "floors", "guests", "rate")),
    Family("songs", "title", ("artist", "mood", "label"), ("plays", "tempo", "chart", "verses")),
)
"""Families of the model's training."""

HELD_OUT = (
    Family("boats", "name", ("harbor", "rig", "flag"), ("length", "cost", "berths", "draft")),
    Family("wines", "name", ("grape", "region", "cellar"), ("vintage", "sugar", "bottles", "acidity")),
    Family("museums", "name", ("quarter", "curator", "theme"), ("exhibits", "tickets", "halls", "donors")),
)
"""Families kept out of training: apart from ``name``, none of their words occurs in it."""

_BY_NAME = {family.table: family for family in (*FAMILIES, *HELD_OUT)}


def family(name: str) -> Family:
    """The family whose table is called ``name``."""
    if name not in _BY_NAME:
        raise BadInput(f"no table family named {name!r}; known: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
