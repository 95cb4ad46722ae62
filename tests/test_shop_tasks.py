"""Tasks of the shop: every goal can be met, and splits share neither products nor goals."""

import pytest

from agentloop.environments.shop import Goal, catalogue, tasks
from agentloop.environments.shop.tasks import meets, split_products
from agentloop.errors import BadInput
from agentloop.types import Task

SPLITS = ("train", "dev", "test")


def goal(task: Task) -> Goal:
    return Goal.from_dict(task.public["web"]["goal"])


def test_the_prompt_states_every_constraint() -> None:
    for task in tasks("train", 50):
        wanted = goal(task)
        assert wanted.kind in task.prompt and f"${wanted.price_at_most:.2f}" in task.prompt
        assert all(feature in task.prompt for feature in wanted.features)
        assert all(f"{name} {value}" in task.prompt for name, value in wanted.options)


def test_every_goal_is_met_by_products_of_its_split_alone() -> None:
    stock = catalogue(0)
    for split in SPLITS:
        own = set(split_products(split))
        for task in tasks(split, 100):
            meeting = {each.id for each in stock.products.values() if meets(each, goal(task))}
            assert meeting and meeting <= own


def test_splits_share_no_product_and_hold_all_of_them() -> None:
    parts = [set(split_products(split)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 480


def test_splits_share_no_goal_whatever_the_seed() -> None:
    ids = [{task.id for seed in range(3) for task in tasks(split, 100, seed)} for split in SPLITS]
    assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]


def test_tasks_depend_on_seed_and_shop_and_the_first_ones_not_on_the_count() -> None:
    assert tasks("dev", 30) == tasks("dev", 60)[:30]
    assert tasks("dev", 30, 1) != tasks("dev", 30, 0)
    assert tasks("dev", 30, shop=1)[0].public["web"]["catalogue"] == "1"
    assert {task.split for task in tasks("dev", 5)} == {"dev"}


def test_the_same_goal_never_comes_twice() -> None:
    drawn = tasks("test", 400)
    assert len({task.id for task in drawn}) == len({task.prompt for task in drawn}) == 400


def test_an_unknown_split_and_too_many_tasks_are_refused_in_words() -> None:
    with pytest.raises(BadInput, match="one of train, dev, test"):
        tasks("validation", 1)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="with another seed"):
        tasks("dev", 20_000)
