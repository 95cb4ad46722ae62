"""The reward of a purchase: exact on small cases, and its rules for all goals and purchases."""

from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.shop import Goal, Product, Purchase, Wish, catalogue, reward
from agentloop.environments.shop.reward import constraints, facts, type_score

MUG = Product(
    id="m1",
    title="Brenko Ember mug, stackable, hand glazed",
    kind="mug",
    path=("kitchen", "mug"),
    features=("stackable", "hand glazed"),
    options={"colour": ("red", "teal"), "size": ("200 ml", "300 ml")},
    price=14.5,
)
GOAL = Goal(
    kind="mug",
    path=("kitchen", "mug"),
    features=("hand glazed",),
    options=(Wish("colour", "teal"), Wish("size", "300 ml")),
    price_at_most=15.0,
)
RIGHT = Purchase(MUG, {"colour": "teal", "size": "300 ml"})
STOCK = catalogue(0)
KINDS = sorted({product.kind for product in STOCK.products.values()})
FEATURES = sorted({feature for product in STOCK.products.values() for feature in product.features})
COLOURS = sorted({colour for product in STOCK.products.values() for colour in product.options["colour"]})


def goals() -> st.SearchStrategy[Goal]:
    return st.builds(
        Goal,
        kind=st.sampled_from(KINDS),
        path=st.sampled_from([product.path for product in STOCK.products.values()]),
        features=st.lists(st.sampled_from(FEATURES), unique=True, max_size=3).map(tuple),
        options=st.lists(
            st.builds(Wish, st.sampled_from(["colour", "size", ""]), st.sampled_from(COLOURS)), max_size=2
        ).map(tuple),
        price_at_most=st.none() | st.floats(1, 200),
        title=st.sampled_from([product.title for product in STOCK.products.values()]),
        matching=st.sampled_from(["exact", "words"]),
    )


@st.composite
def purchases(draw: st.DrawFn) -> Purchase:
    product = draw(st.sampled_from(list(STOCK.products.values())))
    chosen = {name: draw(st.none() | st.sampled_from(values)) for name, values in product.options.items()}
    return Purchase(product, {name: value for name, value in chosen.items() if value})


def test_a_purchase_that_meets_everything_is_worth_one() -> None:
    assert reward(GOAL, RIGHT) == 1.0


def test_each_unmet_constraint_costs_its_share() -> None:
    # one feature, two options and the price: four parts
    assert reward(GOAL, Purchase(MUG, {"colour": "red", "size": "300 ml"})) == 3 / 4
    assert reward(GOAL, Purchase(MUG, {})) == 2 / 4
    dear = Purchase(Product(**{**vars(MUG), "price": 15.01}), RIGHT.options)
    assert reward(GOAL, dear) == 3 / 4
    plain = Purchase(Product(**{**vars(MUG), "features": ("stackable",)}), RIGHT.options)
    assert reward(GOAL, plain) == 3 / 4


def test_another_kind_halves_the_reward_in_its_department_and_takes_it_elsewhere() -> None:
    teapot = Product(**{**vars(MUG), "kind": "teapot", "path": ("kitchen", "teapot")})
    notebook = Product(**{**vars(MUG), "kind": "notebook", "path": ("stationery", "notebook")})
    assert reward(GOAL, Purchase(teapot, RIGHT.options)) == 0.5
    assert reward(GOAL, Purchase(notebook, RIGHT.options)) == 0.0


def test_the_price_itself_is_still_at_most_the_price() -> None:
    assert reward(Goal(**{**vars(GOAL), "price_at_most": 14.5}), RIGHT) == 1.0


def test_a_goal_that_bounds_no_price_counts_it_as_met() -> None:
    unbounded = Goal(**{**vars(GOAL), "price_at_most": None})
    assert reward(unbounded, RIGHT) == 1.0
    assert reward(unbounded, Purchase(MUG, {"colour": "red"})) == 2 / 4


@given(goals(), purchases())
def test_a_reward_lies_between_0_and_1_and_is_1_exactly_when_all_constraints_are_met(
    goal: Goal, purchase: Purchase
) -> None:
    worth = reward(goal, purchase)
    assert 0.0 <= worth <= 1.0
    assert (worth == 1.0) == all(each.met for each in constraints(goal, purchase))


@given(st.sampled_from(list(STOCK.products.values())), st.data())
def test_giving_up_a_constraint_of_a_met_goal_always_lowers_the_reward(
    product: Product, data: st.DataObject
) -> None:
    chosen = {name: data.draw(st.sampled_from(values)) for name, values in product.options.items()}
    goal = Goal(
        kind=product.kind,
        path=product.path,
        features=product.features,
        options=tuple(Wish(*each) for each in chosen.items()),
        price_at_most=product.price,
    )
    spoilt = {
        "kind": Product(**{**vars(product), "kind": "something else"}),
        "price": Product(**{**vars(product), "price": product.price + 0.01}),
        **{name: Product(**{**vars(product), "features": product.features[1:]}) for name in ["feature"]},
    }
    assert reward(goal, Purchase(product, chosen)) == 1.0
    for other in spoilt.values():
        assert reward(goal, Purchase(other, chosen)) < 1.0
    for name in chosen:
        left = {key: value for key, value in chosen.items() if key != name}
        assert reward(goal, Purchase(product, left)) < 1.0


def test_the_facts_tell_what_was_bought_and_of_every_unmet_constraint_what_came_instead() -> None:
    bought, told = facts(GOAL, Purchase(MUG, {"colour": "red"}))
    assert bought.data == {
        "product": "m1",
        "title": MUG.title,
        "options": {"colour": "red"},
        "price": 14.5,
    }
    assert told.data["unmet"] == [
        {"name": "colour", "wanted": "teal", "got": "red"},
        {"name": "size", "wanted": "300 ml", "got": None},
    ]
    assert told.data["met"] == [
        {"name": "kind", "wanted": "mug"},
        {"name": "feature hand glazed", "wanted": "hand glazed"},
        {"name": "price", "wanted": "at most $15.00"},
    ]
    assert not bought.hidden and not told.hidden, "the prompt states all of it"


def test_by_words_the_type_is_judged_by_title_query_and_categories() -> None:
    def score(title: str, kind: str = "x", path: tuple[str, ...] = ()) -> float:
        product = Product(**{**vars(MUG), "title": title, "kind": kind, "path": path})
        wanted = "tall ceramic mug handle blue lid spoon saucer gift box picnic"
        goal = Goal(kind="mugs", path=("a", "b"), title=wanted, matching="words")
        return type_score(goal, Purchase(product, {}))

    assert score("ceramic mug with a handle") == 1.0, "3 of 11 words"
    assert score("ceramic thing mug") == 0.5, "2 of 11 words and nothing else"
    assert score("ceramic thing mug", kind="mugs") == 1.0
    assert score("ceramic thing mug", path=("b", "a", "c")) == 1.0
    assert score("ceramic thing", path=("b", "a", "c")) == 0.1
    assert score("nothing alike", kind="mugs") == 0.0


def test_by_words_sizes_have_to_be_equal_and_other_options_alike() -> None:
    goal = Goal(kind="mug", title=MUG.title, options=(Wish("", "x-large"),), matching="words")
    large = Purchase(MUG, {"size": "large"})
    assert reward(goal, large) == 1 / 2
    blue = Goal(kind="mug", title=MUG.title, options=(Wish("color", "blue navy"),), matching="words")
    assert reward(blue, Purchase(MUG, {"color": "navy blue"})) == 1.0
    assert reward(blue, Purchase(MUG, {"color": "green"})) == 1 / 2


def test_by_words_a_feature_may_stand_anywhere_in_the_texts_of_a_product() -> None:
    goal = Goal(kind="mug", title=MUG.title, features=("Dishwasher Safe",), matching="words")
    told = Product(**{**vars(MUG), "description": "It is dishwasher safe."})
    assert reward(goal, Purchase(MUG, {})) == 1 / 2
    assert reward(goal, Purchase(told, {})) == 1.0


def test_a_goal_comes_back_from_json_as_it_was() -> None:
    named = Goal(**{**vars(GOAL), "title": "t", "matching": "words", "options": (Wish("", "red"),)})
    assert Goal.from_dict(GOAL.to_dict()) == GOAL
    assert Goal.from_dict(named.to_dict()) == named
