"""The pages of the shop and what a purchase is worth, without a browser."""

from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.shop import Catalogue, Goal, Product, Shop, Wish, catalogue, tasks
from agentloop.environments.shop.pages import Form, Link, Offer, html, page
from agentloop.errors import BadInput
from agentloop.types import Task

TASK = tasks("train", 1)[0]
GOAL = Goal.from_dict(TASK.public["web"]["goal"])
SHOPS = {"0": catalogue(0)}
ODD = Product(
    id='a/b?"<',
    title='<script>alert("x")</script> & co',
    kind="k",
    path=("k",),
    features=(),
    options={"co&lour": ("<b>", 'a"b')},
    price=1234.5,
)


class Targets(HTMLParser):
    """The links, form targets and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in ("href", "action")]


def bought(task: Task, site: Shop, product: str, **options: str) -> str:
    chosen = "&".join(f"{quote(name)}={quote(value)}" for name, value in options.items())
    return f"{site.start(task).url}bought/{product}?{chosen}"


def target() -> Product:
    from agentloop.environments.shop.tasks import meets

    return next(each for each in catalogue(0).products.values() if meets(each, GOAL))


def test_a_task_starts_at_the_search_page_of_its_shop_and_may_reach_nothing_else() -> None:
    start = Shop().start(TASK)
    assert start.url == "http://shop.test/0/"
    assert start.origins == ("http://shop.test",)


def test_every_link_of_the_pages_leads_to_a_page() -> None:
    waiting, seen = ["/0/", "/0/search?q=mug+hand+glazed", "/0/search?q=made&page=3"], set()
    while waiting and len(seen) < 120:
        address = waiting.pop(0)
        seen.add(address)
        shown = page(SHOPS, address)
        assert shown.status == 200, address
        links = [part.target for part in shown.parts if isinstance(part, Link | Form | Offer)]
        waiting += [each for each in links if each not in seen]
    assert len(seen) > 30


def test_the_wanted_product_with_its_options_is_worth_one_and_passes() -> None:
    site, product = Shop(), target()
    outcome = site.outcome_at(bought(TASK, site, product.id, **dict(GOAL.options)), TASK)
    assert (outcome.reward, outcome.done, outcome.passed) == (1.0, True, True)
    assert [fact.kind for fact in outcome.facts] == ["purchase", "constraints"]
    assert outcome.facts[1].data["unmet"] == []


def test_leaving_an_option_open_does_not_pass_and_says_so() -> None:
    site = Shop()
    outcome = site.outcome_at(bought(TASK, site, target().id), TASK)
    assert outcome.done and not outcome.passed
    assert [each["got"] for each in outcome.facts[1].data["unmet"]] == [None] * len(GOAL.options)


@pytest.mark.parametrize(
    "address",
    [
        "/0/",
        "/0/search?q=mug",
        "/0/item/p001",
        "/0/bought/nothing",
        "/0/bought/p001?colour=polka+dots",
        "/0/bought/p001?weight=1",
        "/1/bought/p001",
        "/0/bought",
        "/",
        "/zzz/",
    ],
)
def test_no_other_page_has_an_outcome(address: str) -> None:
    outcome = Shop().outcome_at(f"http://shop.test{address}", TASK)
    assert (outcome.reward, outcome.done, outcome.facts) == (None, False, ())


def test_a_purchase_at_another_site_does_not_count() -> None:
    site = Shop()
    url = bought(TASK, site, target().id, **dict(GOAL.options))
    for other in (
        "http://shop.test.evil.org",
        "https://shop.test",
        "http://shop.test:81",
        "http://a@shop.test",
    ):
        assert not site.outcome_at(url.replace("http://shop.test", other), TASK).done


def test_a_purchase_in_another_shop_does_not_count() -> None:
    site, product = Shop(), target()
    other = tasks("train", 1, shop=1)[0]
    outcome = site.outcome_at(bought(other, site, product.id), TASK)
    assert not outcome.done


def test_texts_of_a_product_stay_texts_on_the_page() -> None:
    shops = {"odd": Catalogue("odd", [ODD])}
    shown = page(shops, "/odd/search?q=alert")
    link = next(part.target for part in shown.parts if isinstance(part, Offer))
    told = html(page(shops, link))
    found = Targets()
    found.feed(told)
    assert "script" not in found.tags
    assert "&lt;script&gt;" in told and "$1,234.50" in told
    buying = next(each for each in found.found if "bought" in each)
    answer = page(shops, f"{buying}?{quote('co&lour')}={quote('<b>')}")
    assert answer.purchase is not None and answer.purchase.options == {"co&lour": "<b>"}


@given(st.text(max_size=60))
def test_any_address_is_answered(path: str) -> None:
    answer = Shop().hosts["shop.test"](f"/{path}")
    assert answer.status in (200, 404)
    site = Shop([catalogue(0)])
    for address in (
        f"/0/{path}",
        f"/0/search?q={path}&page={path}",
        f"/0/item/{path}",
        f"/0/bought/p001?{path}",
    ):
        assert site.hosts["shop.test"](address).status in (200, 404)


def test_only_shops_that_tasks_are_about_are_served() -> None:
    site = Shop()
    assert site.hosts["shop.test"]("/0/").status == 404
    site.start(TASK)
    assert site.hosts["shop.test"]("/0/").status == 200
    assert site.hosts["shop.test"]("/1/").status == 404


@pytest.mark.parametrize(
    "web",
    [
        {},
        {"site": "shop"},
        {"site": "shop", "catalogue": "7"},
        {"site": "shop", "catalogue": "mine", "goal": {"kind": "mug"}},
        {"site": "shop", "catalogue": "0", "goal": {"kind": "mug", "weight": 1}},
        {"site": "shop", "catalogue": "0", "goal": "mug"},
        "shop",
    ],
)
def test_a_task_of_another_form_is_refused_in_words(web: object) -> None:
    with pytest.raises(BadInput, match="needs|no weight"):
        Shop().start(Task(id="t", prompt="p", public={"web": web}))


def test_a_catalogue_that_is_given_is_served_under_its_name() -> None:
    mug = Product(id="x", title="mug", kind="mug", path=("a", "mug"), features=(), price=2.0)
    goal = Goal(kind="mug", path=("a", "mug"), price_at_most=3.0, options=(Wish("", "red"),))
    web = {"site": "shop", "catalogue": "my shop", "goal": goal.to_dict()}
    site, task = Shop([Catalogue("my shop", [mug])]), Task(id="t", prompt="p", public={"web": web})
    url = site.start(task).url
    assert site.hosts["shop.test"](url.removeprefix("http://shop.test")).status == 200
    assert site.outcome_at(f"{url}bought/x", task).reward == 0.5
