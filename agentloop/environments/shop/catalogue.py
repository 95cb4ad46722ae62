"""The products of a shop: a catalogue of our own drawn from a seed, and the search in any catalogue."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

STOCK = Path(__file__).parent / "stock.json"
PER_KIND = 16
FEATURES = 3
SATURATION, LENGTH = 1.2, 0.75
"""The parameters k1 and b of BM25, at their usual values."""
MOST_FOUND = 50
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Product:
    """Something that can be bought. ``price`` is in dollars, the same for all options."""

    id: str
    title: str
    kind: str
    """What it is ("mug"); the query of WebShop's products."""
    path: tuple[str, ...]
    """Categories from the widest to the narrowest."""
    features: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    price: float
    points: tuple[str, ...] = ()
    description: str = ""


class Catalogue:
    """Products by id, with a search over their words. ``name`` stands in the addresses of the pages."""

    def __init__(self, name: str, products: Iterable[Product]) -> None:
        self.name = name
        self.products = {product.id: product for product in products}
        self._counts = {each.id: Counter(words(_text(each))) for each in self.products.values()}
        self._lengths = {key: sum(counts.values()) for key, counts in self._counts.items()}
        self._mean = sum(self._lengths.values()) / max(1, len(self._lengths))
        self._holders: dict[str, list[str]] = {}
        for key, counts in self._counts.items():
            for word in counts:
                self._holders.setdefault(word, []).append(key)

    def search(self, query: str) -> list[Product]:
        """The products that have a word of the query, best first by BM25, at most 50; ties by id."""
        scores: dict[str, float] = {}
        for word in dict.fromkeys(words(query)):
            holders = self._holders.get(word, [])
            rarity = math.log(1 + (len(self.products) - len(holders) + 0.5) / (len(holders) + 0.5))
            for key in holders:
                scores[key] = scores.get(key, 0.0) + rarity * self._frequency(word, key)
        best = sorted(scores, key=lambda key: (-round(scores[key], 9), key))[:MOST_FOUND]
        return [self.products[key] for key in best]

    def _frequency(self, word: str, key: str) -> float:
        count = self._counts[key][word]
        longer = 1 - LENGTH + LENGTH * self._lengths[key] / self._mean
        return count * (SATURATION + 1) / (count + SATURATION * longer)


def words(text: str) -> list[str]:
    """The words of a text in lower case, without the s of a plural: "mugs" is found as "mug"."""
    found = _WORD.findall(text.lower())
    return [word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word for word in found]


@cache
def catalogue(seed: int = 0) -> Catalogue:
    """A shop of 480 products in 30 kinds and six departments; the same seed gives the same products."""
    stock = json.loads(STOCK.read_text(encoding="utf-8"))
    drawn = random.Random(f"shop {seed}")
    products = []
    for place, kind in enumerate(stock["kinds"]):
        for number in range(PER_KIND):
            products.append(_product(f"p{place * PER_KIND + number + 1:03d}", kind, stock, drawn))
    return Catalogue(str(seed), products)


def _product(name: str, kind: Mapping[str, Any], stock: Mapping[str, Any], drawn: random.Random) -> Product:
    features = tuple(drawn.sample(kind["features"], FEATURES))
    low, high = kind["price"]
    # cheap ones are more frequent than dear ones, as in shops
    price = round(2 * (low + (high - low) * drawn.random() ** 1.5)) / 2 - drawn.choice([0, 0.05])
    maker, line = drawn.choice(stock["makers"]), drawn.choice(stock["lines"])
    return Product(
        id=name,
        title=f"{maker} {line} {kind['kind']}, {', '.join(features)}",
        kind=kind["kind"],
        path=(kind["department"], kind["kind"]),
        features=features,
        options={axis: _offered(values, drawn) for axis, values in kind["options"].items()},
        price=round(price, 2),
    )


def _offered(values: list[str], drawn: random.Random) -> tuple[str, ...]:
    """Some of the values, in their order: all but one or two, so that not every product has every value."""
    count = max(2, len(values) - drawn.choice([0, 1, 1, 2]))
    chosen = set(drawn.sample(values, min(count, len(values))))
    return tuple(value for value in values if value in chosen)


def _text(product: Product) -> str:
    """What is searched: the title counts twice."""
    offered = (value for values in product.options.values() for value in values)
    parts = (product.title, product.title, *product.path, product.kind, *product.features)
    return " ".join((*parts, *offered, *product.points, product.description))
