"""The catalogue of the shop: drawn by seed, and searched by words."""

import pytest

from agentloop.environments.shop import Catalogue, Product, catalogue


def product(name: str, title: str, **more: object) -> Product:
    return Product(
        **{"id": name, "title": title, "kind": "k", "path": (), "features": (), "price": 1.0, **more}
    )


def test_the_same_seed_gives_the_same_products_and_another_seed_others() -> None:
    again = catalogue.__wrapped__(0)
    assert again.products == catalogue(0).products
    assert again.products != catalogue(1).products


def test_a_catalogue_has_hundreds_of_products_in_thirty_kinds_that_differ() -> None:
    products = catalogue(0).products.values()
    assert len(products) == 480
    assert len({each.kind for each in products}) == 30
    assert len({each.path[0] for each in products}) == 6
    assert len({(each.title, each.price) for each in products}) >= 475
    for each in products:
        assert 1 < each.price < 200 and each.price == round(each.price, 2)
        assert all(len(values) >= 2 for values in each.options.values())


def test_search_ranks_products_with_more_of_the_words_first() -> None:
    shop = Catalogue(
        "s", [product("a", "red mug"), product("b", "blue mug, hand glazed"), product("c", "red sock")]
    )
    assert [each.id for each in shop.search("hand glazed mug")] == ["b", "a"]
    assert [each.id for each in shop.search("Red MUGS!")][0] == "a"
    assert shop.search("tea") == []


@pytest.mark.parametrize("query", ["", "   ", "?!", "zzz"])
def test_a_query_without_known_words_finds_nothing(query: str) -> None:
    assert catalogue(0).search(query) == []


def test_search_finds_fifty_products_at_most_and_the_same_ones_each_time() -> None:
    first = catalogue(0).search("made of kitchen garden clothing size")
    assert len(first) == 50
    assert first == catalogue(0).search("made of kitchen garden clothing size")


def test_equal_products_are_ranked_by_id() -> None:
    shop = Catalogue("s", [product("b", "mug"), product("a", "mug")])
    assert [each.id for each in shop.search("mug")] == ["a", "b"]
