"""What is to be bought: the wishes of a goal, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from agentloop.environments.shop.catalogue import Product
from agentloop.errors import BadInput

Matching: TypeAlias = Literal["exact", "words"]
"""Whether wishes are labels of the catalogue, or texts that resemble those of a product (WebShop's)."""


class Wish(NamedTuple):
    """An option that is wanted. The name is empty where only the value is known, as in some of WebShop's."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is wanted: a kind of thing with features, options and a price, all of which a product can meet."""

    kind: str
    path: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    options: tuple[Wish, ...] = ()
    price_at_most: float | None = None
    """In dollars; None when any price will do."""
    title: str = ""
    """The title of a product that meets the goal; only compared where ``matching`` is by words."""
    matching: Matching = "exact"

    def to_dict(self) -> dict[str, Any]:
        """The goal as JSON: the form that a task carries in ``public["web"]["goal"]``."""
        named = all(wish.name for wish in self.options)
        told: dict[str, Any] = {
            "kind": self.kind,
            "path": list(self.path),
            "features": list(self.features),
            "options": dict(self.options) if named else [list(wish) for wish in self.options],
            "price_at_most": self.price_at_most,
        }
        if self.matching == "words":
            told |= {"title": self.title, "matching": "words"}
        return told

    @classmethod
    def from_dict(cls, told: Any) -> Goal:
        """Read the form of ``to_dict``; BadInput when it is another."""
        if not isinstance(told, Mapping) or not isinstance(told.get("kind"), str):
            raise BadInput(f"a goal needs kind, features, options and price_at_most, got {told!r:.200}")
        unknown = set(told) - {"kind", "path", "features", "options", "price_at_most", "title", "matching"}
        if unknown:
            raise BadInput(f"a goal has no {', '.join(sorted(unknown))}; see shop.tasks for its form")
        options = told.get("options") or {}
        listed = options.items() if isinstance(options, Mapping) else options
        bound = told.get("price_at_most")
        return cls(
            kind=told["kind"],
            path=tuple(told.get("path") or ()),
            features=tuple(told.get("features") or ()),
            options=tuple(Wish(str(name), str(value)) for name, value in listed),
            price_at_most=None if bound is None else float(bound),
            title=str(told.get("title") or ""),
            matching="words" if told.get("matching") == "words" else "exact",
        )


class Purchase(NamedTuple):
    """A product with the options that were chosen; an option that was left open is not among them."""

    product: Product
    options: Mapping[str, str]


def money(dollars: float) -> str:
    """A price in words: ``$24.00``."""
    return f"${dollars:,.2f}"
