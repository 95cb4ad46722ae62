"""WebShop's products and instructions (Yao et al. 2022), for those who have its JSON files, in our shop."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentloop.environments.shop.catalogue import Catalogue, Product
from agentloop.environments.shop.goal import Goal, Wish
from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Task, digest

NO_PRICE = 100.0
"""What a product without a price costs in WebShop."""
LONGEST_ASIN = 10
BOUNDS = [10.0 * step for step in range(1, 100)]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PATH = re.compile(r"\s*[›>]\s*")


def catalogue(
    items: str | Path, attributes: str | Path | None = None, *, name: str = "webshop", seed: int = 0
) -> Catalogue:
    """The products of ``items_shuffle.json`` or ``items_shuffle_1000.json``, for ``Shop([...])``.

    ``attributes`` is ``items_ins_v2.json`` or its part of 1000, which tells what each product has. Of a
    range of prices one is drawn by ``seed``, a product without a price costs $100, and products with a
    number longer than ten characters, or one that came before, are passed over, all as in WebShop.
    """
    rows = _read(items, list, "a list of products")
    known = _read(attributes, dict, "attributes by asin") if attributes is not None else {}
    products: dict[str, Product] = {}
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not isinstance(row.get("asin"), str) or "name" not in row:
            raise BadInput(
                f"product {place} of {items} needs asin and name; WebShop's items_shuffle.json has them, "
                f"this is {row!r:.120}"
            )
        asin = row["asin"]
        if asin != "nan" and len(asin) <= LONGEST_ASIN and asin not in products:
            told = known.get(asin)
            features = told.get("attributes") if isinstance(told, dict) else None
            products[asin] = _product(row, features or (), random.Random(f"{seed} {asin}"))
    return Catalogue(name, products.values())


def tasks(
    stock: Catalogue,
    instructions: str | Path,
    *,
    each: int = 1,
    seed: int = 0,
    prompts: Prompts | None = None,
) -> list[Task]:
    """Tasks from ``items_human_ins.json`` (instructions by people) or ``items_ins_v2.json`` (made ones).

    Of a made instruction there is a task for each combination of options; ``each`` of them are drawn,
    where WebShop takes all. The bound of the price is one of the next four tens above it, drawn as in
    WebShop, by ``seed``. Products that ``stock`` lacks, and instructions without attributes, are passed
    over. Rewards compare words as WebShop's do. No split is told: WebShop's is made by shuffling its
    goals, with bounds of its own draw.
    """
    texts, found = prompts or Prompts(), []
    for asin, told in _read(instructions, dict, "instructions by asin").items():
        product = stock.products.get(asin)
        if product is None:
            continue
        drawn = random.Random(f"{seed} {asin}")
        for row, options in _asked(product, told, each, drawn):
            found.append(_task(stock, product, row, options, drawn=drawn, texts=texts))
    if not found:
        raise BadInput(
            f"{instructions} has no instruction for any of the {len(stock.products)} products; give the "
            "instructions that belong to the products' file"
        )
    return found


def _asked(
    product: Product, told: Any, each: int, drawn: random.Random
) -> Iterator[tuple[Mapping[str, Any], tuple[Wish, ...]]]:
    """The instructions for a product with the options they ask for."""
    if isinstance(told, list):
        for row in told:
            if isinstance(row, dict) and row.get("instruction_attributes") and row.get("instruction"):
                yield row, _wishes(row.get("instruction_options"))
    elif isinstance(told, dict) and told.get("instruction_attributes") and told.get("instruction"):
        names = sorted(product.options)
        combined = list(itertools.product(*(product.options[name] for name in names)))
        for values in drawn.sample(combined, min(each, len(combined))):
            yield told, tuple(Wish(name, value) for name, value in zip(names, values, strict=True))


def _wishes(options: Any) -> tuple[Wish, ...]:
    """Options of an instruction: by name, or values alone, as people's instructions have them."""
    if isinstance(options, Mapping):
        return tuple(Wish(str(name).lower(), str(value).lower()) for name, value in options.items())
    return tuple(Wish("", str(value).lower()) for value in options or ())


def _task(
    stock: Catalogue,
    product: Product,
    row: Mapping[str, Any],
    options: tuple[Wish, ...],
    *,
    drawn: random.Random,
    texts: Prompts,
) -> Task:
    above = [bound for bound in BOUNDS if bound > product.price][:4]
    bound = max(drawn.sample(above, 2)) if len(above) >= 2 else None
    goal = Goal(
        kind=product.kind,
        path=product.path,
        features=tuple(str(each) for each in row["instruction_attributes"]),
        options=options,
        price_at_most=bound,
        title=product.title,
        matching="words",
    )
    named = ", ".join(f"{name}: {value}" for name, value in options if name)
    text = "webshop_goal" if bound is not None else "webshop_goal_any_price"
    said = str(row["instruction"]).strip().rstrip(".") + (f", with {named}" if named else "")
    return Task(
        id=f"{stock.name}-{product.id}-{digest(said, str(bound))[:8]}",
        prompt=texts.render(text, instruction=said, price=f"{bound:.2f}" if bound is not None else ""),
        public={"web": {"site": "shop", "catalogue": stock.name, "goal": goal.to_dict()}},
    )


def _product(row: Mapping[str, Any], features: Sequence[str], drawn: random.Random) -> Product:
    points = row.get("small_description") or []
    return Product(
        id=row["asin"],
        title=str(row["name"]),
        kind=str(row.get("query") or "").lower().strip(),
        path=tuple(part for part in _PATH.split(str(row.get("product_category") or "")) if part.strip()),
        features=tuple(str(each) for each in features),
        options=_options(row.get("customization_options")),
        price=_price(row.get("pricing"), drawn),
        points=tuple(str(each) for each in points) if isinstance(points, list) else (str(points),),
        description=str(row.get("full_description") or ""),
    )


def _options(told: Any) -> dict[str, tuple[str, ...]]:
    """``{"color": [{"value": "Red/Blue", ...}, ...]}`` as values in lower case, ``red | blue``."""
    if not isinstance(told, Mapping):
        return {}
    found = {}
    for name, contents in told.items():
        values = [str(each["value"]).strip().replace("/", " | ").lower() for each in contents or ()]
        if values:
            found[str(name).lower()] = tuple(dict.fromkeys(values))
    return found


def _price(told: Any, drawn: random.Random) -> float:
    """``"$19.99"``, or of the range ``"$10.00$20.00"`` a price within it."""
    listed = told if isinstance(told, list) else str(told or "").replace(",", "").split("$")
    found = [float(match[0]) for each in listed if (match := _NUMBER.search(str(each)))]
    if not found:
        return NO_PRICE
    return round(found[0] if len(found) == 1 else drawn.uniform(*sorted(found[:2])), 2)


def _read(path: str | Path, form: type, what: str) -> Any:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; WebShop's data has such files") from error
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}; give one of WebShop's JSON files") from error
    if not isinstance(told, form):
        raise BadInput(f"{path} must hold {what}, as WebShop's file does; it holds a {type(told).__name__}")
    return told
