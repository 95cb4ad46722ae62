"""The loader of WebShop's files, on a small sample of our own in their form."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments.shop import Goal, Shop, webshop
from agentloop.errors import BadInput
from agentloop.types import Task

KETTLE = {
    "asin": "B000000001",
    "name": "Steel Whistling Kettle for Gas Stoves",
    "full_description": "A kettle that sings.",
    "small_description": ["Boils fast", "Dishwasher safe"],
    "pricing": "$24.50",
    "customization_options": {
        "Color": [{"value": "Red/Black ", "image": None}, {"value": "Blue"}],
        "Size": [{"value": "2 Quart"}, {"value": "2 Quart"}],
        "Style": None,
    },
    "category": "kitchen",
    "query": " Kettles ",
    "product_category": "Home & Kitchen \u203a Kettles \u203a Stovetop",
    "images": ["x"],
}
RANGE = {
    **KETTLE,
    "asin": "B000000002",
    "name": "Tea Towel",
    "pricing": "$1,010.00$1,020.00",
    "query": "towels",
}
FREE = {
    **KETTLE,
    "asin": "B000000003",
    "pricing": None,
    "small_description": "One text",
    "customization_options": "",
}
ROWS = [KETTLE, RANGE, FREE, {**KETTLE, "name": "a double"}, {**KETTLE, "asin": "B0000000000004"}]
MADE = {
    "B000000001": {
        "attributes": ["whistling", "stainless steel"],
        "instruction": "Find me a whistling kettle.",
        "instruction_attributes": ["whistling"],
    },
    "B000000009": {"attributes": [], "instruction": "gone", "instruction_attributes": ["x"]},
}
HUMAN = {
    "B000000001": [
        {
            "instruction": "i want a kettle that is dishwasher safe, in blue.",
            "instruction_attributes": ["dishwasher safe"],
            "instruction_options": ["blue"],
        },
        {"instruction": "no attributes", "instruction_attributes": [], "instruction_options": []},
    ]
}


def written(folder: Path, name: str, told: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return written(tmp_path, "items_shuffle.json", ROWS)


def test_products_are_read_as_webshop_reads_them(items: Path, tmp_path: Path) -> None:
    stock = webshop.catalogue(items, written(tmp_path, "items_ins_v2.json", MADE))
    assert list(stock.products) == ["B000000001", "B000000002", "B000000003"]
    kettle, towel, free = stock.products.values()
    assert kettle.kind == "kettles"
    assert kettle.path == ("Home & Kitchen", "Kettles", "Stovetop")
    assert kettle.options == {"color": ("red | black", "blue"), "size": ("2 quart",)}
    assert kettle.features == ("whistling", "stainless steel")
    assert (kettle.price, free.price) == (24.5, 100.0)
    assert 1010 <= towel.price <= 1020
    assert (kettle.points, free.points) == (("Boils fast", "Dishwasher safe"), ("One text",))
    assert free.options == {}


def test_made_instructions_ask_for_a_combination_of_options(items: Path, tmp_path: Path) -> None:
    stock = webshop.catalogue(items)
    path = written(tmp_path, "made.json", MADE)
    one = webshop.tasks(stock, path)
    both = webshop.tasks(stock, path, each=5)
    assert len(one) == 1 and len(both) == 2
    goal = Goal.from_dict(one[0].public["web"]["goal"])
    assert goal.features == ("whistling",)
    assert goal.price_at_most in (40.0, 50.0, 60.0)
    assert dict(goal.options)["size"] == "2 quart"
    assert one[0].prompt.startswith("Find me a whistling kettle, with color: ")
    assert f"no more than {goal.price_at_most:.2f} dollars" in one[0].prompt
    assert webshop.tasks(stock, path) == one


def test_instructions_by_people_want_values_without_names_and_those_without_attributes_are_left_out(
    items: Path, tmp_path: Path
) -> None:
    stock = webshop.catalogue(items)
    (task,) = webshop.tasks(stock, written(tmp_path, "human.json", HUMAN))
    goal = Goal.from_dict(task.public["web"]["goal"])
    assert goal.options == (("", "blue"),)
    assert goal.matching == "words"


def test_the_pages_serve_webshops_products_and_the_right_one_passes(items: Path, tmp_path: Path) -> None:
    stock = webshop.catalogue(items)
    (task,) = webshop.tasks(stock, written(tmp_path, "human.json", HUMAN))
    site = Shop([stock])
    start = site.start(task).url
    found = site.hosts["shop.test"]("/webshop/search?q=whistling+kettle").content.decode()
    assert "Steel Whistling Kettle" in found

    def reward(query: str) -> float | None:
        return site.outcome_at(f"{start}bought/B000000001?{query}", task).reward

    assert reward("color=blue&size=2+quart") == 1.0
    assert reward("color=red+%7C+black") == 2 / 3
    assert site.outcome_at(f"{start}bought/B000000002?color=blue", task).reward == 0.0


def test_a_dear_product_has_no_price_bound_as_in_webshop(tmp_path: Path) -> None:
    stock = webshop.catalogue(written(tmp_path, "items.json", [{**KETTLE, "pricing": "$985.00"}]))
    (task,) = webshop.tasks(stock, written(tmp_path, "human.json", HUMAN))
    assert Goal.from_dict(task.public["web"]["goal"]).price_at_most is None
    assert task.prompt == "i want a kettle that is dishwasher safe, in blue."


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"a": 1}, "must hold a list of products"),
        ([{"title": "x"}], "needs asin and name"),
        (["x"], "needs asin and name"),
    ],
)
def test_a_file_of_another_form_is_refused_in_words(told: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        webshop.catalogue(written(tmp_path, "other.json", told))


def test_a_missing_file_and_one_that_is_not_json_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        webshop.catalogue(tmp_path / "nothing.json")
    (tmp_path / "text").write_text("asin,name")
    with pytest.raises(BadInput, match="is not JSON"):
        webshop.catalogue(tmp_path / "text")


def test_instructions_for_other_products_are_refused_in_words(items: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no instruction for any of the 3 products"):
        webshop.tasks(webshop.catalogue(items), written(tmp_path, "other.json", {"B9": []}))


def test_a_task_of_webshop_needs_its_catalogue(items: Path, tmp_path: Path) -> None:
    (task,) = webshop.tasks(webshop.catalogue(items), written(tmp_path, "human.json", HUMAN))
    assert isinstance(task, Task)
    with pytest.raises(BadInput, match="catalogue that was given to Shop"):
        Shop().start(task)
