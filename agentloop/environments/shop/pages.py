"""The pages of a shop as data and as HTML: search, results, product, end. All state is in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from agentloop.environments.shop.catalogue import Catalogue, Product
from agentloop.environments.shop.goal import Purchase, money

ON_A_PAGE = 10


class Heading(NamedTuple):
    """A heading."""

    text: str


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Link(NamedTuple):
    """A link to another page."""

    text: str
    target: str


class Offer(NamedTuple):
    """A product in a list of them: a link to its page, and its price."""

    text: str
    target: str
    price: str


class Choice(NamedTuple):
    """An option of a product: one of the values can be chosen, and none is to begin with."""

    name: str
    values: Sequence[str]


class Field(NamedTuple):
    """A line of text to fill in."""

    name: str
    label: str
    value: str


class Form(NamedTuple):
    """Fields and choices that a button sends to ``target`` as a query."""

    target: str
    parts: Sequence[Field | Choice]
    button: str


Part: TypeAlias = Heading | Text | Link | Offer | Form


class Page(NamedTuple):
    """A page: its title and what stands on it, from top to bottom."""

    title: str
    parts: Sequence[Part]
    status: int = 200
    purchase: Purchase | None = None
    """What was bought, on the page that tells so."""


def page(catalogues: Mapping[str, Catalogue], address: str) -> Page:
    """The page at an address, its path and query as they stand there: ``/0/search?q=tea``."""
    split = urlsplit(address)
    parts = [unquote(part) for part in split.path.split("/") if part]
    asked = {name: values[-1] for name, values in parse_qs(split.query).items()}
    stock = catalogues.get(parts[0]) if parts else None
    if stock is None:
        return _missing("There is no such shop.", "/")
    match parts[1:]:
        case []:
            return Page("Shop", (Heading("Shop"), _search(stock)))
        case ["search"]:
            return _results(stock, asked)
        case ["item", key] if key in stock.products:
            return _product(stock, stock.products[key])
        case ["bought", key] if key in stock.products:
            return _bought(stock, stock.products[key], asked)
    return _missing("There is no such page.", f"/{stock.name}/")


def html(shown: Page) -> str:
    """A page as HTML."""
    body = "\n".join(_html(part) for part in shown.parts)
    style = "body{font:16px sans-serif;margin:16px;max-width:1000px} h1{font-size:20px} .row{margin:8px 0}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(shown.title)}</title>'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _search(stock: Catalogue, query: str = "") -> Form:
    return Form(f"/{stock.name}/search", (Field("q", "Search words", query),), "Search")


def _results(stock: Catalogue, asked: Mapping[str, str]) -> Page:
    query = asked.get("q", "")
    found = stock.search(query)
    last = max(1, -(-len(found) // ON_A_PAGE))
    number = asked.get("page", "1")
    at = min(last, max(1, int(number))) if number.isascii() and number.isdigit() and len(number) < 9 else 1
    parts: list[Part] = [Heading("Results"), _search(stock, query)]
    parts.append(
        Text(f"{len(found)} products, page {at} of {last}" if found else "No product has these words.")
    )
    for product in found[(at - 1) * ON_A_PAGE : at * ON_A_PAGE]:
        parts.append(Offer(product.title, _item(stock, product), money(product.price)))
    for name, to in (("Previous page", at - 1), ("Next page", at + 1)):
        if 1 <= to <= last:
            parts.append(Link(name, f"/{stock.name}/search?{urlencode({'q': query, 'page': to})}"))
    return Page("Results", parts)


def _product(stock: Catalogue, product: Product) -> Page:
    choices = tuple(Choice(name, values) for name, values in product.options.items())
    told = [product.description, *product.points]
    return Page(
        product.title,
        (
            Link("Back to search", f"/{stock.name}/"),
            Heading(product.title),
            Text(f"Price: {money(product.price)}"),
            Text(f"Department: {' > '.join(product.path)}"),
            *((Text(f"Features: {', '.join(product.features)}"),) if product.features else ()),
            *(Text(text) for text in told if text),
            Form(f"/{stock.name}/bought/{quote(product.id, safe='')}", choices, "Buy now"),
        ),
    )


def _bought(stock: Catalogue, product: Product, asked: Mapping[str, str]) -> Page:
    for name, value in asked.items():
        if value not in product.options.get(name, ()):
            return _missing(f"This product has no {name} {value}.", _item(stock, product))
    chosen = ", ".join(f"{name} {value}" for name, value in asked.items())
    told = f"You bought: {product.title}"
    parts = (
        Heading("Thank you"),
        Text(told),
        Text(f"Options: {chosen or 'none'}"),
        Text(f"Price: {money(product.price)}"),
    )
    return Page("Thank you", parts, purchase=Purchase(product, dict(asked)))


def _missing(told: str, back: str) -> Page:
    return Page("Not found", (Heading("Not found"), Text(told), Link("Back", back)), status=404)


def _item(stock: Catalogue, product: Product) -> str:
    return f"/{stock.name}/item/{quote(product.id, safe='')}"


def _html(part: Part) -> str:
    match part:
        case Heading(text):
            return f"<h1>{escape(text)}</h1>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Link(text, target):
            return f'<div class="row"><a href="{escape(target)}">{escape(text)}</a></div>'
        case Offer(text, target, price):
            link = f'<a href="{escape(target)}">{escape(text)}</a>'
            return f'<div class="row">{link} <b>{escape(price)}</b></div>'
        case Form(target, parts, button):
            inside = "\n".join(_control(each) for each in parts)
            return f'<form action="{escape(target)}">\n{inside}\n<button>{escape(button)}</button>\n</form>'


def _control(part: Field | Choice) -> str:
    name = escape(part.name)
    if isinstance(part, Field):
        label, value = escape(part.label), escape(part.value)
        return f'<div class="row"><input name="{name}" aria-label="{label}" value="{value}" size="40"></div>'
    radios = "\n".join(
        f'<label><input type="radio" name="{name}" value="{escape(value)}"> {escape(value)}</label>'
        for value in part.values
    )
    return f'<fieldset class="row"><legend>{name}</legend>\n{radios}\n</fieldset>'
