"""What a purchase is worth: the reward of WebShop, and which constraints of the goal are met."""

from __future__ import annotations

from typing import Any, NamedTuple

from agentloop.environments.shop.goal import Goal, Purchase, Wish, money
from agentloop.environments.shop.matching import option_resembles, resembles, title_share
from agentloop.types import Fact

SAME_DEPARTMENT = 0.5


class Constraint(NamedTuple):
    """One wish of a goal, and what the purchase has in its place; ``got`` is None when nothing was chosen."""

    name: str
    wanted: str
    got: str | None
    met: bool


def reward(goal: Goal, purchase: Purchase) -> float:
    """The reward of a purchase, from 0 to 1 (Yao et al. 2022, WebShop, section 3).

    r = r_type * (|U_att n Y_att| + |U_opt n Y_opt| + 1[y_price <= u_price]) / (|U_att| + |U_opt| + 1)

    with the attributes U_att, options U_opt and price u_price that are wanted, and those of the
    purchase Y. It is 1 exactly when all constraints are met. Departures: an option that is wanted counts
    once, and only for the option of its own name where the goal names it (WebShop's program counts
    every chosen option that resembles some wanted one, and can so exceed 1). For ``r_type`` see
    ``type_score``. A goal without a price bound counts the price as met, as WebShop's does.
    """
    found = constraints(goal, purchase)
    rest = [each for each in found if each.name != "kind"]
    unbounded = goal.price_at_most is None
    met = sum(each.met for each in rest) + unbounded
    return type_score(goal, purchase) * met / (len(rest) + unbounded)


def type_score(goal: Goal, purchase: Purchase) -> float:
    """r_type: how far the purchase is the kind of thing that is wanted.

    In a catalogue of ours kinds are labels: 1 for the wanted kind, 0.5 for another of the same
    department, 0 for anything else. For WebShop's products it is the paper's: 0 when the titles share
    no word, 0.1 when they share less than a tenth of the wanted one's, else 1 when the query is the
    same, two categories are shared or more than a fifth of the words, and otherwise 0.5. Departure: the
    words of a title but for the most frequent ones of English stand in for its nouns, which WebShop
    finds with spaCy.
    """
    product = purchase.product
    if goal.matching == "exact":
        if product.kind == goal.kind:
            return 1.0
        return SAME_DEPARTMENT if goal.path and product.path[:1] == goal.path[:1] else 0.0
    share = title_share(goal.title, product.title)
    if share < 0.1:
        return 0.1 if share > 0 else 0.0
    same = product.kind == goal.kind or len(set(product.path) & set(goal.path)) >= 2
    return 1.0 if same or share > 0.2 else 0.5


def constraints(goal: Goal, purchase: Purchase) -> list[Constraint]:
    """Every constraint of the goal: the kind, each feature, each option, the price."""
    product = purchase.product
    found = [Constraint("kind", goal.kind, product.kind, type_score(goal, purchase) == 1.0)]
    offered = ", ".join(product.features)
    for feature in goal.features:
        found.append(Constraint(f"feature {feature}", feature, offered, _has(goal, purchase, feature)))
    found += [_chosen(goal, purchase, wish) for wish in goal.options]
    if goal.price_at_most is not None:
        met = product.price <= goal.price_at_most
        found.append(Constraint("price", f"at most {money(goal.price_at_most)}", money(product.price), met))
    return found


def facts(goal: Goal, purchase: Purchase) -> tuple[Fact, ...]:
    """The facts ``purchase`` and ``constraints`` of a purchase."""
    product, found = purchase.product, constraints(goal, purchase)
    bought = {
        "product": product.id,
        "title": product.title,
        "options": dict(purchase.options),
        "price": product.price,
    }
    told: dict[str, list[Any]] = {
        "met": [{"name": each.name, "wanted": each.wanted} for each in found if each.met],
        "unmet": [
            {"name": each.name, "wanted": each.wanted, "got": each.got} for each in found if not each.met
        ],
    }
    return Fact(kind="purchase", data=bought), Fact(kind="constraints", data=told)


def _has(goal: Goal, purchase: Purchase, feature: str) -> bool:
    product = purchase.product
    if goal.matching == "exact":
        return feature in product.features
    if any(resembles(each, feature) for each in product.features):
        return True
    texts = (product.title, " ".join(product.points), product.description)
    return any(feature.lower() in text.lower() for text in texts)


def _chosen(goal: Goal, purchase: Purchase, wish: Wish) -> Constraint:
    """A wanted option; one without a name may be any of those that were chosen."""
    if not wish.name:
        got = ", ".join(purchase.options.values()) or None
        met = any(option_resembles(name, value, wish.value) for name, value in purchase.options.items())
        return Constraint(f"option {wish.value}", wish.value, got, met)
    value = purchase.options.get(wish.name)
    if goal.matching == "exact":
        met = value == wish.value
    else:
        met = value is not None and option_resembles(wish.name, value, wish.value)
    return Constraint(wish.name, wish.value, value, met)
