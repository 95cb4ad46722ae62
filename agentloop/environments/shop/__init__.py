"""A shop of our own, offline: a seeded catalogue, its pages, tasks with splits, and WebShop's reward."""

from __future__ import annotations

from agentloop.environments.shop.catalogue import Catalogue, Product, catalogue
from agentloop.environments.shop.goal import Goal, Purchase, Wish
from agentloop.environments.shop.reward import reward
from agentloop.environments.shop.site import Shop
from agentloop.environments.shop.tasks import tasks
from agentloop.environments.shop.text_shop import TextShop

__all__ = [
    "Catalogue",
    "Goal",
    "Product",
    "Purchase",
    "Shop",
    "TextShop",
    "Wish",
    "catalogue",
    "reward",
    "tasks",
]
